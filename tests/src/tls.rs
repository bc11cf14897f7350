//! TLS by `openssl`, for things that a broker does only with TLS.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::process::{Process, program, run};

/// Lines of `mosquitto.conf`. The broker asks for the certificate and does not require it. Otherwise the handshake
/// would fail without it, before any MQTT.
pub(crate) const CERTIFICATE_LOGIN: [&str; 4] = [
    "certfile FOLDER/certificate.pem",
    "keyfile FOLDER/key.pem",
    "require_certificate false",
    "use_identity_as_username true",
];

pub(crate) fn make_certificate(folder: &Path) {
    let mut command = Command::new(program("openssl"));
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]);
    command.args(["-days", "2", "-subj", "/CN=localhost"]);
    command
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"));
    run("openssl req", &mut command);
}

/// A plain port for one connection. It leads through TLS, without a client certificate, to a TLS broker.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    /// Ends with the process, once a client has connected.
    opened: Option<JoinHandle<Option<Process>>>,
}

impl Tunnel {
    /// Opens a tunnel to `broker`.
    ///
    /// # Panics
    /// If there is no port, or `openssl` is missing.
    #[must_use]
    #[track_caller]
    pub fn open(broker: SocketAddr) -> Self {
        let openssl = program("openssl");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let opened = thread::spawn(move || {
            let (plain, _) = listener.accept().ok()?;
            // The program's input and output are the connection itself.
            let copy = plain.try_clone().ok()?;
            let mut command = Command::new(openssl);
            command.args(["s_client", "-quiet", "-connect", &broker.to_string()]);
            command.stdin(OwnedFd::from(plain)).stdout(OwnedFd::from(copy)).stderr(Stdio::null());
            Some(Process::spawn("openssl s_client", &mut command))
        });
        Self { address, opened: Some(opened) }
    }

    /// The plain end.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(opened) = self.opened.take_if(|opened| opened.is_finished()) {
            drop(opened.join());
        }
    }
}
