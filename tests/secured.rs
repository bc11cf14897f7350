//! A Mosquitto that speaks TLS, with certificates made for the test.

use std::fs;
use std::path::{Path, PathBuf};

use system_tests::{Config, Mosquitto};
use tempfile::TempDir;
use test_kit::certificates::{Authority, Identity};

/// The host in the certificates of brokers.
pub(crate) const HOST: &str = "localhost";

/// A broker that speaks TLS, and its files.
pub(crate) struct Secured {
    pub(crate) broker: Mosquitto,
    pub(crate) folder: TempDir,
}

impl Secured {
    pub(crate) fn start(identity: &Identity, more: &[&str]) -> Self {
        Self::with_clients(identity, None, more)
    }

    /// With an authority, clients need a certificate of it.
    pub(crate) fn with_clients(
        identity: &Identity,
        clients: Option<&Authority>,
        more: &[&str],
    ) -> Self {
        let folder = TempDir::with_prefix("certificates-").expect("a temporary folder");
        let write = |name: &str, text: &str| write(folder.path(), name, text).display().to_string();
        let mut config = Config::new()
            .line(&format!("certfile {}", write("server.pem", &identity.certificate)))
            .line(&format!("keyfile {}", write("server.key", &identity.key)));
        if let Some(clients) = clients {
            config = config
                .line(&format!("cafile {}", write("clients.pem", clients.pem())))
                .line("require_certificate true");
        }
        let broker = more.iter().fold(config, |config, line| config.line(line)).start();
        Self { broker, folder }
    }

    /// A file in the broker's folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write(self.folder.path(), name, content)
    }
}

/// A file with this content.
pub(crate) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, content).expect("the folder is writable");
    file
}
