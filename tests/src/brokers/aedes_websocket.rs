//! aedes behind the WebSocket server of the package `ws`, as a program of a few lines.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use super::aedes::link_packages;
use super::daemon::{Daemon, GET, Recipe, found};
use super::{Broker, packages};

/// Why it cannot be started here.
///
/// # Errors
///
/// The command that installs it.
pub fn is_here() -> Result<(), String> {
    found("node")?;
    let modules = packages().join("npm/node_modules");
    if ["aedes", "ws"].into_iter().all(|name| modules.join(name).is_dir()) {
        Ok(())
    } else {
        Err(format!("aedes with WebSocket is missing; {GET}"))
    }
}

/// Starts it at the path `/mqtt`; with a certificate and its key (PEM texts) over TLS.
///
/// # Panics
///
/// If it does not start.
#[must_use]
pub fn start(identity: Option<(String, String)>) -> Box<dyn Broker> {
    Box::new(Daemon::start(Recipe {
        name: "aedes",
        ready: "listening",
        taken: "EADDRINUSE",
        command: Box::new(move |folder, port| {
            let write = |name: &str, text: &str| {
                let file = folder.join(name);
                fs::write(&file, text).expect("the folder is writable");
                file
            };
            let program = write("broker.mjs", include_str!("aedes_websocket.mjs"));
            link_packages(folder);
            let mut command = Command::new(crate::process::program("node"));
            command.arg(program).args([Ipv4Addr::LOCALHOST.to_string(), port.to_string()]);
            if let Some((certificate, key)) = &identity {
                command.arg(write("certificate.pem", certificate)).arg(write("key.pem", key));
            }
            command
        }),
    }))
}
