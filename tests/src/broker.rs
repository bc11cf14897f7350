//! Mosquitto, the reference broker: one for each test, on a port of its own.
//!
//! A free port may be taken before the broker binds it. That broker ends, and the next one tries another port. A broker
//! counts as started when its log says that it listens. A connection would not be a proof: it might lead to another
//! broker, and would count as a client of this one.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Lines, Process, SOON, program, run};
use crate::tls;

const RUNNING: &str = " running";

/// The configuration of a broker. By default: one listener, anyone may connect, nothing is stored on disk.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing runs before `start`"]
pub struct Config {
    lines: Vec<String>,
    logins: Vec<(String, String)>,
    access: Option<String>,
    subscribable: Option<String>,
    persistence: bool,
    certificate_login: bool,
}

impl Config {
    /// The default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line of `mosquitto.conf`, such as `max_inflight_messages 1` or `message_size_limit 1000`.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Admits this user with this password, and no client without a login.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.logins.push((user.into(), password.into()));
        self
    }

    /// The access control file: who may publish to and receive from which topics.
    pub fn access(mut self, file: &str) -> Self {
        self.access = Some(file.into());
        self
    }

    /// Refuses every subscription except to exactly this filter, with the plug-in that comes with Mosquitto.
    ///
    /// The access control file cannot do that: it grants the subscription and holds the messages back.
    pub fn only_subscribable(mut self, filter: &str) -> Self {
        self.subscribable = Some(filter.into());
        self
    }

    /// Keeps sessions and retained messages on disk, for [`Mosquitto::start_again`].
    pub fn persistence(mut self) -> Self {
        self.persistence = true;
        self
    }

    /// Speaks TLS and takes the name in a client's certificate for its login; see [`Tunnel`](crate::Tunnel).
    pub fn certificate_login(mut self) -> Self {
        self.certificate_login = true;
        self
    }

    /// Writes no line for each packet into its log, for tests with many clients.
    pub fn quiet(self) -> Self {
        self.line("log_type none").line("log_type information")
    }

    /// Starts the broker and waits until it takes connections.
    ///
    /// # Panics
    /// If it does not start; shows its log. If it is not installed; names the command that installs it.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Mosquitto {
        let folder = TempDir::with_prefix("mosquitto-").expect("a temporary folder can be made");
        let settings = self.write_files(folder.path());
        let mut broker = Mosquitto { folder, settings, port: 0, running: None, logs: Vec::new() };
        for _ in 0..50 {
            broker.port = free_port();
            if broker.launch() {
                return broker;
            }
        }
        panic!("50 ports in turn were taken before Mosquitto could bind them");
    }

    /// Writes the files that the configuration names. Returns its text without the listener.
    fn write_files(&self, folder: &Path) -> String {
        let place = |name: &str| folder.join(name).display().to_string();
        let mut text = String::from("log_dest stderr\nlog_type all\nlog_timestamp false\n");
        if rustix::process::geteuid().is_root() {
            // As root it would change to a user who cannot enter the temporary folder.
            text.push_str("user root\n");
        }
        let mut add = |line: String| writeln!(text, "{line}").expect("a string takes it");
        add(format!("allow_anonymous {}", self.logins.is_empty()));
        if !self.logins.is_empty() {
            let passwords = folder.join("passwords");
            fs::write(&passwords, "").expect("the folder is writable");
            for (user, password) in &self.logins {
                let mut command = Command::new(program("mosquitto_passwd"));
                run("mosquitto_passwd", command.arg("-b").arg(&passwords).args([user, password]));
            }
            add(format!("password_file {}", place("passwords")));
        }
        if let Some(access) = &self.access {
            fs::write(folder.join("access"), access).expect("the folder is writable");
            add(format!("acl_file {}", place("access")));
        }
        if let Some(filter) = &self.subscribable {
            fs::write(folder.join("dynamic-security.json"), dynamic_security(filter))
                .expect("the folder is writable");
            add(format!("plugin {}", plugin("mosquitto_dynamic_security.so").display()));
            add(format!("plugin_opt_config_file {}", place("dynamic-security.json")));
        }
        if self.persistence {
            add("persistence true".into());
            add(format!("persistence_location {}/", folder.display()));
        }
        if self.certificate_login {
            tls::make_certificate(folder);
            for line in tls::CERTIFICATE_LOGIN {
                add(line.replace("FOLDER", &folder.display().to_string()));
            }
        }
        for line in &self.lines {
            add(line.clone());
        }
        text
    }
}

/// A Mosquitto for one test. It ends when this is dropped. If the test fails, its log is shown.
#[derive(Debug)]
pub struct Mosquitto {
    folder: TempDir,
    settings: String,
    port: u16,
    running: Option<Process>,
    /// One log for each start.
    logs: Vec<Lines>,
}

impl Mosquitto {
    /// Starts a broker with the default [`Config`].
    ///
    /// # Panics
    /// As [`Config::start`].
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Config::new().start()
    }

    /// Where it listens. The address is the same through all its starts.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its log since its last start: every packet in and out is a line, such as
    /// `Received PUBLISH from id (d0, q1, r0, m1, 'topic', ... (2 bytes))`.
    ///
    /// # Panics
    /// Never: a broker has been started at least once.
    #[must_use]
    pub fn log(&self) -> &Lines {
        self.logs.last().expect("a broker has a log from its start on")
    }

    /// Ends it in good order (SIGTERM): clients are disconnected, and persistent state is saved.
    ///
    /// # Panics
    /// If it does not run, or does not end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends it at once (SIGKILL), as a power cut would.
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) {
        let mut process = self.running.take().expect("the broker runs");
        process.signal(signal);
        process.ended(self.log(), SOON);
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill): same port, same configuration, same folder.
    ///
    /// # Panics
    /// If it still runs, or does not start.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the broker still runs");
        let limit = Instant::now() + SOON;
        // An outgoing connection of another program may have taken the port meanwhile.
        while !self.launch() {
            assert!(Instant::now() < limit, "port {} stays taken for {SOON:?}", self.port);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stalls it (SIGSTOP): connections stay open, the kernel goes on taking bytes and connections for it.
    ///
    /// # Panics
    /// If it does not run.
    pub fn freeze(&self) {
        self.running.as_ref().expect("the broker runs").freeze();
    }

    /// Ends a [`freeze`](Self::freeze).
    ///
    /// # Panics
    /// If it does not run.
    pub fn thaw(&self) {
        self.running.as_ref().expect("the broker runs").thaw();
    }

    /// Saves its persistent state, and waits until that is done.
    ///
    /// # Panics
    /// If it does not run or keeps nothing.
    #[track_caller]
    pub fn save(&self) {
        let database = self.folder.path().join("mosquitto.db");
        let written = || fs::metadata(&database).and_then(|file| file.modified()).ok();
        let before = written();
        self.running.as_ref().expect("the broker runs").signal(Signal::USR1);
        let limit = Instant::now() + SOON;
        // The file is written under another name and renamed, so if it is there it is complete.
        while written() == before {
            assert!(
                Instant::now() < limit,
                "waited {SOON:?} for {}\n{}",
                database.display(),
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the process. Returns `false` if another one has its port.
    #[track_caller]
    fn launch(&mut self) -> bool {
        let file = self.folder.path().join("mosquitto.conf");
        let text = format!("listener {} {}\n{}", self.port, Ipv4Addr::LOCALHOST, self.settings);
        fs::write(&file, text).expect("the folder is writable");
        let mut command = Command::new(program("mosquitto"));
        command
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Process::spawn("mosquitto", &mut command);
        let log = process.stderr();
        let started =
            log.until(SOON, |lines| lines.iter().any(|line| line.ends_with(RUNNING)).then_some(()));
        if started.is_none() {
            assert!(log.count("Address already in use") > 0, "Mosquitto does not start\n{log}");
            return false;
        }
        self.logs.push(log);
        self.running = Some(process);
        true
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.running.take());
        if thread::panicking() {
            for log in &self.logs {
                eprintln!("{log}");
            }
        }
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Mosquitto's own plug-ins are in the folder of the system's libraries.
fn plugin(name: &str) -> PathBuf {
    let libraries = ["/usr/lib", "/usr/local/lib", "/opt/homebrew/lib"].map(PathBuf::from);
    let nested = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    libraries
        .into_iter()
        .chain(nested)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name}, which comes with Mosquitto, is missing"))
}

/// The plug-in's state: anonymous clients may do everything, but may subscribe only to `filter`.
fn dynamic_security(filter: &str) -> String {
    let json = r#"{
        "defaultACLAccess": { "publishClientSend": true, "publishClientReceive": true, "subscribe": false, "unsubscribe": true },
        "clients": [],
        "groups": [{ "groupname": "anyone", "roles": [{ "rolename": "reader", "priority": 0 }], "clients": [] }],
        "anonymousGroup": "anyone",
        "roles": [{ "rolename": "reader", "acls": [
            { "acltype": "subscribeLiteral", "topic": "FILTER", "priority": 0, "allow": true }
        ] }]
    }"#;
    json.replace("FILTER", filter)
}
