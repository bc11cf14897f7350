//! How `sub` writes a message: `-v`, `-F`, or only the payload.
//!
//! ```
//! use mqtt_core::QoS;
//! use mqtt_examples::format::{Format, Received};
//!
//! let format = Format::parse("%t %q %l:%x").expect("known fields");
//! let message = Received { topic: "a/b".into(), payload: b"hi".to_vec(), qos: QoS::AtLeastOnce, retain: false };
//! let mut line = Vec::new();
//! format.write(&message, &mut line)?;
//! assert_eq!(line, b"a/b 1 2:6869");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use mqtt_core::QoS;

/// The text of `--help` for `-F`.
pub const HELP: &str = "\
FORMAT of -F is text with %t topic, %p payload, %x %X payload in hexadecimal, %l its length in bytes,
%q QoS, %r retained (1) or not (0), %U seconds since 1970, %% a percent sign, \\n \\r \\t \\0 \\\\.";

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// QoS of the delivery.
    pub qos: QoS,
    /// Whether it was retained.
    pub retain: bool,
}

/// How a message is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Payload,
    Hex,
    UpperHex,
    Length,
    QoS,
    Retain,
    Time,
}

impl Format {
    /// Only the payload.
    #[must_use]
    pub fn payload() -> Self {
        Self(vec![Part::Payload])
    }

    /// Topic and payload.
    #[must_use]
    pub fn verbose() -> Self {
        Self(vec![Part::Topic, Part::Text(" ".into()), Part::Payload])
    }

    /// The format that the user wrote.
    ///
    /// # Errors
    ///
    /// The part of the format that is not a field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            let field = match (letter, rest.clone().next()) {
                ('%' | '\\', None) => return Err(format!("{letter:?} at its end")),
                ('%', Some(field)) => field,
                ('\\', Some(escaped)) => {
                    plain.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        '0' => '\0',
                        '\\' => '\\',
                        other => return Err(format!("\\{other} is unknown")),
                    });
                    rest.next();
                    continue;
                }
                _ => {
                    plain.push(letter);
                    continue;
                }
            };
            rest.next();
            let part = match field {
                '%' => {
                    plain.push('%');
                    continue;
                }
                't' => Part::Topic,
                'p' => Part::Payload,
                'x' => Part::Hex,
                'X' => Part::UpperHex,
                'l' => Part::Length,
                'q' => Part::QoS,
                'r' => Part::Retain,
                'U' => Part::Time,
                other => return Err(format!("%{other} is unknown")),
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// Writes `message`, without a line end.
    ///
    /// # Errors
    ///
    /// The error of `out`.
    pub fn write(&self, message: &Received, out: &mut impl Write) -> io::Result<()> {
        let Received { topic, payload, qos, retain } = message;
        for part in &self.0 {
            match part {
                Part::Text(text) => out.write_all(text.as_bytes())?,
                Part::Topic => out.write_all(topic.as_bytes())?,
                Part::Payload => out.write_all(payload)?,
                Part::Hex => payload.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?,
                Part::UpperHex => payload.iter().try_for_each(|byte| write!(out, "{byte:02X}"))?,
                Part::Length => write!(out, "{}", payload.len())?,
                Part::QoS => write!(out, "{}", *qos as u8)?,
                Part::Retain => write!(out, "{}", u8::from(*retain))?,
                Part::Time => write!(out, "{}", since_1970().as_secs())?,
            }
        }
        Ok(())
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &Format) -> Vec<u8> {
        let message = Received {
            topic: "t".into(),
            payload: b"\xFF\n".to_vec(),
            qos: QoS::ExactlyOnce,
            retain: true,
        };
        let mut line = Vec::new();
        format.write(&message, &mut line).expect("a vector takes it");
        line
    }

    #[test]
    fn a_payload_is_written_as_it_is() {
        assert_eq!(written(&Format::payload()), b"\xFF\n");
        assert_eq!(written(&Format::verbose()), b"t \xFF\n");
    }

    #[test]
    fn every_field_has_its_letter() {
        let format = Format::parse("%q%r %t[%l]\\t%x%X %p 100%%\\\\").expect("known fields");
        assert_eq!(written(&format), b"21 t[2]\tff0aFF0A \xFF\n 100%\\");
    }

    #[test]
    fn unknown_fields_are_named() {
        assert_eq!(Format::parse("%y"), Err("%y is unknown".into()));
        assert_eq!(Format::parse("\\y"), Err("\\y is unknown".into()));
        assert_eq!(Format::parse("100%"), Err("'%' at its end".into()));
    }
}
