//! Commands that come over MQTT: `period sensor2 500ms`.

use crate::time::Span;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A sensor takes its readings at another interval.
    Period {
        /// The sensor.
        sensor: String,
        /// The interval.
        period: Span,
    },
}

/// The most bytes of a command.
const LONGEST: usize = 100;

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    ///
    /// What is wrong, for the answer.
    pub fn parse(payload: &[u8]) -> Result<Self, String> {
        let unknown = "not a command; there is: period SENSOR TIME";
        let text = std::str::from_utf8(payload).ok().filter(|text| text.len() <= LONGEST);
        let words: Vec<&str> = text.unwrap_or_default().split_ascii_whitespace().collect();
        let &["period", sensor, period] = words.as_slice() else { return Err(unknown.into()) };
        let period = period.parse().map_err(|error: crate::time::SpanError| error.to_string())?;
        Ok(Self::Period { sensor: sensor.into(), period })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_or_the_answer_says_what_there_is() {
        let period = Span::from_millis(500);
        let expected = Command::Period { sensor: "sensor2".into(), period };
        assert_eq!(Command::parse(b" period  sensor2 500ms\n"), Ok(expected));
        for payload in [&b""[..], b"\xFF", b"period sensor2", b"reboot", &[b' '; 101]] {
            let error = Command::parse(payload).expect_err("it is none");
            assert!(error.starts_with("not a command"), "{error}");
        }
        assert!(Command::parse(b"period a soon").is_err_and(|error| error.contains("not a time")));
    }
}
