//! Whom to trust, and with which certificate to appear.

use std::{
    fmt, format, fs, io,
    path::{Path, PathBuf},
    string::{String, ToString},
    sync::Arc,
    time::Instant,
    vec::Vec,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    client::WebPkiServerVerifier,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::{Tls, TlsError, unverified::Unverified};
use crate::driver::{stream::Stream, transport::located::at};

/// A version of TLS. Older ones are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Where certificates or keys come from.
#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Directory(PathBuf),
    Text(Vec<u8>),
}

impl Pem {
    /// How it is called in errors. Its content is not shown.
    fn place(&self) -> String {
        match self {
            Self::File(path) | Self::Directory(path) => path.display().to_string(),
            Self::Text(_) => "the given PEM text".into(),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

/// The options of TLS. By default the broker needs a certificate for its host name, signed by an authority that the
/// system trusts, and TLS 1.2 or 1.3 is spoken.
///
/// ```no_run
/// use mqtt_core::driver::transport::{TlsOptions, TlsVersion};
///
/// let connector = TlsOptions::new()
///     .root_file("/etc/device/broker-ca.pem")
///     .identity_files("/etc/device/device.pem", "/etc/device/device.key")
///     .minimum_version(TlsVersion::Tls13)
///     .build()?;
/// # let _ = connector;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TlsOptions {
    /// None: the system's store.
    roots: Vec<Pem>,
    with_system_roots: bool,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
    minimum_version: TlsVersion,
    alpn: Vec<String>,
    any_name: bool,
    insecure: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsOptions {
    /// The default: the authorities of the system are trusted, and no client certificate is shown.
    pub const fn new() -> Self {
        Self {
            roots: Vec::new(),
            with_system_roots: false,
            identity: None,
            server_name: None,
            minimum_version: TlsVersion::Tls12,
            alpn: Vec::new(),
            any_name: false,
            insecure: false,
        }
    }

    /// Trusts the authorities in this PEM file, and no longer those of the system. Several calls add up.
    pub fn root_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Pem::File(path.into()));
        self
    }

    /// The same for all PEM files of a folder. Files without certificates are passed over.
    pub fn root_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Pem::Directory(path.into()));
        self
    }

    /// The same for a PEM text, such as the certificate of the one authority that a device is built for.
    pub fn root_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(Pem::Text(pem.into()));
        self
    }

    /// Trusts the authorities of the system too, beside those that were given.
    pub const fn with_system_roots(mut self) -> Self {
        self.with_system_roots = true;
        self
    }

    /// The client certificate, with the certificates between it and the authority behind it, and its key: two PEM
    /// files. The key must not be encrypted.
    pub fn identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some((Pem::File(certificates.into()), Pem::File(key.into())));
        self
    }

    /// The same as PEM texts.
    pub fn identity_pem(mut self, certificates: &[u8], key: &[u8]) -> Self {
        self.identity = Some((Pem::Text(certificates.into()), Pem::Text(key.into())));
        self
    }

    /// The name that the certificate has to be for, if it is not the host that is connected to.
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The oldest version to speak; TLS 1.2 by default.
    pub const fn minimum_version(mut self, version: TlsVersion) -> Self {
        self.minimum_version = version;
        self
    }

    /// The protocols to offer, the preferred one first. Cloud services want one on port 443, such as `x-amzn-mqtt-ca`.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(ToString::to_string).collect();
        self
    }

    /// Accepts a certificate of any host, if a trusted authority has signed it and it has not expired. Whoever has a
    /// certificate of that authority can then stand in for the broker, so it suits an authority of one's own only.
    pub const fn any_name(mut self, on: bool) -> Self {
        self.any_name = on;
        self
    }

    /// **For tests only**: accepts any certificate. Everyone on the way can then read and change everything, the
    /// password too.
    pub const fn insecure(mut self, on: bool) -> Self {
        self.insecure = on;
        self
    }

    /// Reads the files and checks the options. This is done once; a connector is used for many connections.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or has nothing usable, a key that is encrypted or does not fit its certificate, a
    /// system without trusted authorities. The error names the file.
    pub fn build(&self) -> io::Result<TlsConnector> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[&SupportedProtocolVersion] = match self.minimum_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| invalid(error.to_string()))?;
        let builder = if self.insecure || self.any_name {
            let authorities = if self.insecure {
                None
            } else {
                let roots = Arc::new(self.trusted()?);
                let checks = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
                Some(checks.build().map_err(|error| invalid(error.to_string()))?)
            };
            let verifier = Arc::new(Unverified { provider, authorities });
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(self.trusted()?)
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => {
                let chain = certificates_of(certificates)?;
                let key_place = key.place();
                builder.with_client_auth_cert(chain, key_of(key)?).map_err(|error| {
                    let what = if matches!(error, rustls::Error::InconsistentKeys(_)) {
                        format!(
                            "the key is not that of the certificate in {}",
                            certificates.place()
                        )
                    } else {
                        format!("the key cannot be used: {error}")
                    };
                    invalid(format!("{key_place}: {what}"))
                })?
            }
        };
        if self.alpn.iter().any(|name| !(1..=255).contains(&name.len())) {
            return Err(invalid("a protocol name of ALPN has 1 to 255 bytes".into()));
        }
        config.alpn_protocols = self.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        Ok(TlsConnector {
            config: Arc::new(config),
            server_name: self.server_name.clone(),
            has_identity: self.identity.is_some(),
        })
    }

    /// The trusted authorities.
    fn trusted(&self) -> io::Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        if self.roots.is_empty() || self.with_system_roots {
            let system = rustls_native_certs::load_native_certs();
            let (added, _unreadable) = store.add_parsable_certificates(system.certs);
            if added == 0 {
                let mut text = String::from("the system has no trusted authorities");
                for error in &system.errors {
                    text.push_str("; ");
                    text.push_str(&error.to_string());
                }
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
        }
        for pem in &self.roots {
            for certificate in certificates_of(pem)? {
                store.add(certificate).map_err(|error| {
                    invalid(format!("{}: a certificate cannot be used: {error}", pem.place()))
                })?;
            }
        }
        Ok(store)
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn text_of(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| at(path.display().to_string(), error))
}

/// All certificates of a file, a folder or a text; at least one.
fn certificates_of(pem: &Pem) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates = match pem {
        Pem::Text(text) => parse_certificates(text, &pem.place())?,
        Pem::File(path) => parse_certificates(&text_of(path)?, &pem.place())?,
        Pem::Directory(path) => {
            let in_folder = |error| at(path.display().to_string(), error);
            let mut all = Vec::new();
            for entry in fs::read_dir(path).map_err(in_folder)? {
                let file = entry.map_err(in_folder)?.path();
                if file.is_file() {
                    let text = text_of(&file)?;
                    all.extend(parse_certificates(&text, &file.display().to_string())?);
                }
            }
            all
        }
    };
    if certificates.is_empty() {
        return Err(invalid(format!("{}: there is no PEM certificate", pem.place())));
    }
    Ok(certificates)
}

fn parse_certificates(text: &[u8], place: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let all: Result<_, _> = CertificateDer::pem_slice_iter(text).collect();
    all.map_err(|error| invalid(format!("{place}: this is no PEM file: {error}")))
}

fn key_of(pem: &Pem) -> io::Result<PrivateKeyDer<'static>> {
    let text = match pem {
        Pem::Text(text) => text.clone(),
        Pem::File(path) | Pem::Directory(path) => text_of(path)?,
    };
    let place = pem.place();
    if ["BEGIN ENCRYPTED PRIVATE KEY", "4,ENCRYPTED"].iter().any(|mark| contains(&text, mark)) {
        return Err(invalid(format!(
            "{place}: the private key is encrypted, and no password can be given here; decrypt it with `openssl pkey`"
        )));
    }
    // The error is not shown: it might have a part of the key.
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| invalid(format!("{place}: there is no PEM private key")))
}

fn contains(text: &[u8], mark: &str) -> bool {
    text.windows(mark.len()).any(|window| window == mark.as_bytes())
}

/// Opens TLS connections with the same [`TlsOptions`], and resumes their sessions. Copies share the sessions.
#[derive(Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
    has_identity: bool,
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector")
            .field("server_name", &self.server_name)
            .field("has_identity", &self.has_identity)
            .finish_non_exhaustive()
    }
}

impl TlsConnector {
    /// TLS over `stream`. The certificate has to be for `host`, a name or an IP address, unless
    /// [`TlsOptions::server_name`] says another.
    ///
    /// # Errors
    ///
    /// [`TlsError`] inside of the `io::Error` if one side does not accept the other; `TimedOut` at `until`;
    /// the errors of the stream. The text says which host.
    pub fn connect<S: Stream>(&self, stream: S, host: &str, until: Instant) -> io::Result<Tls<S>> {
        let host = self.server_name.as_deref().unwrap_or(host);
        let bare = host.trim_start_matches('[').trim_end_matches([']', '.']);
        let name = ServerName::try_from(bare)
            .map_err(|_| invalid(format!("{host:?} is neither a host name nor an address")))?
            .to_owned();
        let connection = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| TlsError::new(error, host, self.has_identity))?;
        let mut tls = Tls::new(stream, connection, host.into(), self.has_identity);
        tls.shake_hands(until)?;
        Ok(tls)
    }
}

// `Connector`s are shared by threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<TlsConnector>();
};
