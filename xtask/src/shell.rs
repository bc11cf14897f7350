//! Runs programs. Their output goes to a log. It goes to the console only if the user asks for that or the program
//! fails.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::workspace::Workspace;

/// Collects the output of the programs of one step.
pub(crate) struct Log {
    path: PathBuf,
    echo: bool,
}

/// A program that ended.
pub(crate) struct Ran {
    /// Whether its exit status was 0.
    pub(crate) ok: bool,
    /// Standard output and standard error, as they came.
    pub(crate) text: String,
    /// The command line, shortened, and how it ended.
    pub(crate) how: String,
}

impl Ran {
    /// The text, or the reason if the program failed.
    pub(crate) fn require(self) -> Result<String, String> {
        if self.ok { Ok(self.text) } else { Err(self.how) }
    }
}

impl Log {
    /// An empty log in the build directory; with `echo`, all goes to the console as well.
    pub(crate) fn create(workspace: &Workspace, name: &str, echo: bool) -> Result<Self, String> {
        let path = workspace.scratch("logs")?.join(format!("{name}.log"));
        File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, echo })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a program to its end, without standard input.
    pub(crate) fn run(&self, command: &mut Command) -> Result<Ran, String> {
        let line = line_of(command);
        self.try_run(command, &line).map_err(|error| format!("{line}: {error}"))
    }

    fn try_run(&self, command: &mut Command, line: &str) -> std::io::Result<Ran> {
        let mut file = OpenOptions::new().read(true).append(true).open(&self.path)?;
        writeln!(file, "$ {line}")?;
        if self.echo {
            println!("$ {line}");
        }
        let start = file.seek(SeekFrom::End(0))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file.try_clone()?);
        let mut child = command.spawn()?;
        let mut bytes = Vec::new();
        let mut reader = File::open(&self.path)?;
        reader.seek(SeekFrom::Start(start))?;
        let status = if self.echo {
            loop {
                let ended = child.try_wait()?;
                let seen = bytes.len();
                reader.read_to_end(&mut bytes)?;
                std::io::stdout().write_all(bytes.get(seen..).unwrap_or_default())?;
                match ended {
                    Some(status) => break status,
                    None => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        } else {
            child.wait()?
        };
        reader.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ran { ok: status.success(), text, how: format!("`{line}` failed: {status}") })
    }

    /// The last lines of the log, indented, for the console. Nothing if the console has shown them already.
    pub(crate) fn tail(&self, lines: usize) -> String {
        if self.echo {
            return String::new();
        }
        let text = std::fs::read(&self.path).unwrap_or_default();
        tail(&String::from_utf8_lossy(&text), lines)
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let left_out = all.len().saturating_sub(lines);
    let mut shown = String::new();
    if left_out > 0 {
        shown = format!("    ... {left_out} lines before these\n");
    }
    for line in all.into_iter().skip(left_out) {
        shown.push_str("    ");
        shown.push_str(line);
        shown.push('\n');
    }
    shown
}

/// The command as one would type it, the program by its name alone.
fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let words = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

/// The standard output of a program, if it runs and succeeds. For short questions.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_shown_by_its_end() {
        assert_eq!(tail("one\ntwo\n", 2), "    one\n    two\n");
        assert_eq!(tail("one\ntwo\nthree\n", 1), "    ... 2 lines before these\n    three\n");
    }

    #[test]
    fn a_command_is_named_as_it_is_typed() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["build", "-p", "mqtt-core"]);
        assert_eq!(line_of(&command), "cargo build -p mqtt-core");
    }
}
