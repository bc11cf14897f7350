//! Proxies that this project did not write: tinyproxy (HTTP CONNECT) and microsocks (SOCKS5).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::broker::free_port;
use crate::process::{Process, SOON, find};

/// A proxy on a loopback port. It ends when this is dropped.
#[derive(Debug)]
pub struct ProxyServer {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl ProxyServer {
    /// tinyproxy, for users with a login if there is one. `None` if it is not installed.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn http(login: Option<(&str, &str)>) -> Option<Self> {
        let program = find("tinyproxy")?;
        Some(Self::start("tinyproxy", |folder, port| {
            let file = folder.join("tinyproxy.conf");
            let login = login.map(|(user, password)| format!("BasicAuth {user} {password}\n"));
            let host = Ipv4Addr::LOCALHOST;
            let text = format!(
                "Port {port}\nListen {host}\nAllow {host}\nTimeout 60\nMaxClients 10\n{}",
                login.unwrap_or_default()
            );
            fs::write(&file, text).expect("the folder is writable");
            let mut command = Command::new(&program);
            command.arg("-d").arg("-c").arg(file);
            command
        }))
    }

    /// microsocks, for users with a login if there is one. `None` if it is not installed.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn socks5(login: Option<(&str, &str)>) -> Option<Self> {
        let program = find("microsocks")?;
        Some(Self::start("microsocks", |_, port| {
            let mut command = Command::new(&program);
            command.args(["-i", &Ipv4Addr::LOCALHOST.to_string(), "-p", &port.to_string()]);
            if let Some((user, password)) = login {
                command.args(["-u", user, "-P", password]);
            }
            command
        }))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    fn start(name: &str, command: impl Fn(&Path, u16) -> Command) -> Self {
        let limit = Instant::now() + SOON;
        loop {
            let folder = TempDir::with_prefix(format!("{name}-")).expect("a temporary folder");
            let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
            let mut command = command(folder.path(), address.port());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = Process::spawn(name, &mut command);
            // It ends if the port is taken.
            while process.runs() {
                if TcpStream::connect(address).is_ok() && process.runs() {
                    return Self { address, _process: process, _folder: folder };
                }
                assert!(Instant::now() < limit, "{name} does not listen for {SOON:?}");
                thread::sleep(Duration::from_millis(5));
            }
            assert!(Instant::now() < limit, "{name} does not start for {SOON:?}");
        }
    }
}
