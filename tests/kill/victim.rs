//! A process of this program that is killed.

use std::{
    env,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use crate::{Driver, Error, PATIENCE};

/// A publisher or a subscriber; killed when dropped.
pub(crate) struct Victim {
    role: &'static str,
    child: Child,
    lines: Receiver<String>,
}

impl Victim {
    /// Starts it. With `last` it ends by itself.
    pub(crate) fn start(
        role: &'static str,
        broker: SocketAddr,
        folder: &Path,
        driver: Driver,
        last: bool,
    ) -> Result<Self, Error> {
        let failed = |error| Error::Run(format!("{role} does not start: {error}"));
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command.args(["--role", role, "--broker", &broker.to_string(), "--folder"]).arg(folder);
        command.args(["--driver", driver.name()]);
        if last {
            command.arg("--last");
        }
        // It ends when its standard input does.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take();
        thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
                // After the kill there is no receiver.
                let _ = line.map(|line| sender.send(line));
            }
        });
        Ok(Self { role, child, lines })
    }

    /// Waits for a line that begins with `word`. Returns the rest of the line. The wait goes on while `goes_on` returns
    /// true.
    pub(crate) fn line(
        &self,
        word: &str,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<String, Error> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(word) {
                        return Ok(rest.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) if goes_on() => {}
                Err(_) => return Err(Error::Run(format!("{} did not say {word:?}", self.role))),
            }
        }
    }

    /// Ends it at once (SIGKILL). It must not have ended by itself.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        if let Some(status) = self.ended()? {
            return Err(Error::Run(format!("{} ended by itself: {status}", self.role)));
        }
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|error| self.failed(error))
    }

    /// Waits until it has ended by itself, with success.
    pub(crate) fn finish(&mut self, mut goes_on: impl FnMut() -> bool) -> Result<(), Error> {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(Error::Run(format!("{} failed: {status}", self.role)));
                }
                None if waited < PATIENCE => {
                    thread::sleep(LOOK_AGAIN);
                    waited += LOOK_AGAIN;
                }
                None if goes_on() => waited = Duration::ZERO,
                None => return Err(Error::Run(format!("{} comes to no end", self.role))),
            }
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::Run(format!("{}: {error}", self.role))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
