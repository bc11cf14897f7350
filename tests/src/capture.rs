//! A capture file, as tshark reads it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::program;

/// A capture file. tshark decodes it anew for each question, and checks all checksums.
#[derive(Debug)]
#[must_use]
pub struct Capture<'a>(&'a Path);

impl<'a> Capture<'a> {
    /// The file at this path.
    pub const fn at(path: &'a Path) -> Self {
        Self(path)
    }

    /// The values of `fields`, a line for each packet that passes `filter`. A field that is more than once in a packet
    /// has its values with a comma between them.
    ///
    /// # Panics
    /// If tshark is missing, or cannot read the file; shows its errors.
    #[track_caller]
    #[must_use]
    pub fn lines(&self, filter: &str, fields: &[&str]) -> Vec<String> {
        let mut tshark = Command::new(program("tshark"));
        tshark.args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]);
        tshark.arg("-r").arg(self.0).args(["-Y", filter, "-T", "fields", "-E", "separator= "]);
        fields.iter().for_each(|field| {
            tshark.args(["-e", field]);
        });
        let output = tshark.stdin(Stdio::null()).output().expect("it is there");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {}\n{errors}", output.status);
        let text = String::from_utf8(output.stdout).expect("fields are text");
        text.lines().map(str::to_owned).collect()
    }

    /// As [`lines`](Self::lines) for one field, with all values one after the other.
    ///
    /// # Panics
    /// As [`lines`](Self::lines).
    #[track_caller]
    #[must_use]
    pub fn values(&self, filter: &str, field: &str) -> Vec<String> {
        let lines = self.lines(filter, &[field]);
        lines.iter().flat_map(|line| line.split(',')).map(str::to_owned).collect()
    }

    /// # Panics
    /// If tshark finds an error in a packet, a wrong checksum, or a gap or a repetition in a TCP connection.
    #[track_caller]
    pub fn is_sound(&self) {
        let faults = [
            "_ws.malformed",
            "tcp.analysis.flags",
            "ip.checksum.status == 0",
            "tcp.checksum.status == 0",
        ];
        for fault in faults {
            let found = self.lines(fault, &["frame.number", "_ws.col.Info"]);
            assert_eq!(found, [""; 0], "{fault} in {}", self.0.display());
        }
    }
}
