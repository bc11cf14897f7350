//! How `sub` writes a message: `-v`, `-F`, or only the payload.
//!
//! ```
//! use mqtt_core::QoS;
//! use mqtt_examples::format::{Format, Received};
//!
//! let format = Format::parse("%t %q %04l:%x").expect("known fields");
//! let payload = b"hi".to_vec();
//! let message =
//!     Received { topic: "a/b".into(), payload, qos: QoS::AtLeastOnce, retain: false, dup: false, id: None };
//! let mut line = Vec::new();
//! format.write(&message, true, &mut line)?;
//! assert_eq!(line, b"a/b 1 0002:6869\n");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io::{self, Write};

use jiff::{ZonedDateTime, fmt::strtime};
use mqtt_core::{PacketId, QoS};

use crate::json;

/// The text of `--help` for `-F`.
pub const HELP: &str = "\
FORMAT of -F is text with
  %t topic, %p payload, %x %X payload in hexadecimal, %l its length in bytes, %q QoS, %r retained (1 or 0),
  %d sent again (1 or 0), %m packet id (0 at QoS 0), %j %J all of it as JSON (%J: the payload is JSON itself),
  %I time in ISO 8601, %U seconds since 1970, %% a percent sign,
  @Y @m @d @H @M @S and others: parts of the time as in strftime(3), @N nanoseconds, @@ an at sign,
  \\n \\r \\t \\0 \\a \\e \\\\ line end, return, tab, zero, bell, escape, backslash.
Between % and the letter may stand - (to the left), 0 (numbers filled with zeros), the least width, and .N: at most N
characters of a text, or bytes of the payload.";

/// The largest width.
const WIDEST: usize = 65_535;
/// The fields of MQTT 5 in mosquitto_sub.
const V5_FIELDS: &str = "ACDEFPRS";

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
    /// Whether the broker may have sent it before.
    pub dup: bool,
    /// Packet id; `None` at QoS 0.
    pub id: Option<PacketId>,
}

/// How a message is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Payload,
    Verbose,
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field, Shape),
    /// The format of `strftime`.
    Time(String),
    Nanoseconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Topic,
    Payload,
    Hex,
    UpperHex,
    Length,
    QoS,
    Retain,
    Dup,
    Id,
    Json,
    JsonInJson,
    Iso8601,
    Seconds,
}

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    left: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

impl Format {
    /// Only the payload. As in mosquitto_sub, an empty message leaves no trace.
    #[must_use]
    pub const fn payload() -> Self {
        Self(Kind::Payload)
    }

    /// Topic and payload; `(null)` for an empty one, as in mosquitto_sub.
    #[must_use]
    pub const fn verbose() -> Self {
        Self(Kind::Verbose)
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
            let part = match letter {
                '%' => percent(&mut rest)?,
                '@' => at(&mut rest)?,
                '\\' => Err(escape(&mut rest)?),
                other => Err(other),
            };
            match part {
                Err(letter) => plain.push(letter),
                Ok(part) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(part);
                }
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(Kind::Parts(parts)))
    }

    /// Writes `message`, with a line end if `line_end` says so.
    ///
    /// # Errors
    ///
    /// The error of `out`; [`io::ErrorKind::InvalidData`] if the payload has to be JSON for `%J` and is not. Nothing is
    /// written then.
    pub fn write(
        &self,
        message: &Received,
        line_end: bool,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match &self.0 {
            Kind::Payload if message.payload.is_empty() => return Ok(()),
            Kind::Payload => out.write_all(&message.payload)?,
            Kind::Verbose => {
                let payload: &[u8] =
                    if message.payload.is_empty() { b"(null)" } else { &message.payload };
                out.write_all(message.topic.as_bytes())?;
                out.write_all(b" ")?;
                out.write_all(payload)?;
            }
            Kind::Parts(parts) => {
                let mut line = Vec::new();
                let now = ZonedDateTime::now();
                for part in parts {
                    part.append(message, &now, &mut line)?;
                }
                out.write_all(&line)?;
            }
        }
        if line_end { out.write_all(b"\n") } else { Ok(()) }
    }
}

/// A field, or a letter that stands for itself, after `%`.
fn percent(rest: &mut std::str::Chars<'_>) -> Result<Result<Part, char>, String> {
    let incomplete = || "'%' at its end".to_owned();
    let mut shape = Shape::default();
    let mut letter = rest.next().ok_or_else(incomplete)?;
    if letter == '-' {
        shape.left = true;
        letter = rest.next().ok_or_else(incomplete)?;
    }
    if letter == '0' {
        shape.zeros = true;
        letter = rest.next().ok_or_else(incomplete)?;
    }
    let mut number = |letter: &mut char| {
        let mut number = 0;
        while let Some(digit) = letter.to_digit(10) {
            number = number * 10 + digit as usize;
            if number > WIDEST {
                return Err(format!("a number in it is larger than {WIDEST}"));
            }
            *letter = rest.next().ok_or_else(incomplete)?;
        }
        Ok(number)
    };
    shape.width = number(&mut letter)?;
    let has_precision = letter == '.';
    if has_precision {
        // The first digit.
        letter = '0';
        shape.precision = Some(number(&mut letter)?);
    }
    let field = match letter {
        '%' => return Ok(Err('%')),
        't' => Field::Topic,
        'p' => Field::Payload,
        'x' => Field::Hex,
        'X' => Field::UpperHex,
        'l' => Field::Length,
        'q' => Field::QoS,
        'r' => Field::Retain,
        'd' => Field::Dup,
        'm' => Field::Id,
        'j' => Field::Json,
        'J' => Field::JsonInJson,
        'I' => Field::Iso8601,
        'U' => Field::Seconds,
        five if V5_FIELDS.contains(five) => {
            return Err(format!("%{five} is of MQTT 5, and this speaks MQTT 3.1.1 and 3.1"));
        }
        other => return Err(format!("%{other} is unknown")),
    };
    Ok(Ok(Part::Field(field, shape)))
}

/// A part of the time, or an at sign, after `@`.
fn at(rest: &mut std::str::Chars<'_>) -> Result<Result<Part, char>, String> {
    match rest.next() {
        None => Err("'@' at its end".into()),
        Some('@') => Ok(Err('@')),
        Some('N') => Ok(Ok(Part::Nanoseconds)),
        Some(letter) => {
            // In the language of C, as in most scripts.
            let format = match letter {
                'c' => "%a %b %e %H:%M:%S %Y".to_owned(),
                'r' => "%I:%M:%S %p".to_owned(),
                'x' => "%m/%d/%y".to_owned(),
                'X' => "%H:%M:%S".to_owned(),
                other => format!("%{other}"),
            };
            match letter
                .is_ascii_alphabetic()
                .then(|| strtime::format(&format, &ZonedDateTime::now()))
            {
                Some(Ok(_)) => Ok(Ok(Part::Time(format))),
                _ => Err(format!("@{letter} is unknown")),
            }
        }
    }
}

/// The character after a backslash.
fn escape(rest: &mut std::str::Chars<'_>) -> Result<char, String> {
    match rest.next() {
        None => Err("'\\\\' at its end".into()),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some('0') => Ok('\0'),
        Some('a') => Ok('\x07'),
        Some('e') => Ok('\x1B'),
        Some('\\') => Ok('\\'),
        Some(other) => Err(format!("\\{other} is unknown")),
    }
}

impl Part {
    fn append(
        &self,
        message: &Received,
        now: &ZonedDateTime,
        line: &mut Vec<u8>,
    ) -> io::Result<()> {
        match self {
            Self::Text(text) => line.extend_from_slice(text.as_bytes()),
            Self::Field(field, shape) => field.append(*shape, message, now, line)?,
            Self::Time(format) => line.extend_from_slice(time(format, now)?.as_bytes()),
            Self::Nanoseconds => write!(line, "{:09}", now.subsec_nanosecond())?,
        }
        Ok(())
    }
}

impl Field {
    fn append(
        self,
        shape: Shape,
        message: &Received,
        now: &ZonedDateTime,
        line: &mut Vec<u8>,
    ) -> io::Result<()> {
        let Received { topic, payload, qos, retain, dup, id } = message;
        let number = |number: usize| (number.to_string(), true);
        let (text, fills) = match self {
            Self::Topic => (topic.clone(), false),
            Self::Payload => {
                shape.pad(shape.cut(payload), true, line);
                return Ok(());
            }
            Self::Hex => {
                (shape.cut(payload).iter().map(|byte| format!("{byte:02x}")).collect(), true)
            }
            Self::UpperHex => {
                (shape.cut(payload).iter().map(|byte| format!("{byte:02X}")).collect(), true)
            }
            Self::Length => number(payload.len()),
            Self::QoS => number(usize::from(*qos as u8)),
            Self::Retain => number(usize::from(*retain)),
            Self::Dup => number(usize::from(*dup)),
            Self::Id => number(id.map_or(0, |id| usize::from(id.get()))),
            Self::Json => (json::of(message, &time(json::TIME, now)?, false)?, false),
            Self::JsonInJson => (json::of(message, &time(json::TIME, now)?, true)?, false),
            Self::Iso8601 => (time("%Y-%m-%dT%H:%M:%S%z", now)?, false),
            Self::Seconds => {
                let now = now.timestamp();
                (format!("{}.{:09}", now.as_second(), now.subsec_nanosecond()), false)
            }
        };
        match (self, shape.precision) {
            (Self::Topic | Self::Iso8601 | Self::Seconds, Some(most)) => {
                let text: String = text.chars().take(most).collect();
                shape.pad(text.as_bytes(), fills, line);
            }
            _ => shape.pad(text.as_bytes(), fills, line),
        }
        Ok(())
    }
}

impl Shape {
    /// The first bytes of a payload.
    fn cut(self, payload: &[u8]) -> &[u8] {
        self.precision.and_then(|most| payload.get(..most)).unwrap_or(payload)
    }

    /// Appends `text`, as wide as it has to be.
    fn pad(self, text: &[u8], fills: bool, line: &mut Vec<u8>) {
        // A byte in the middle of a character has no width.
        let width = text.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        let missing = self.width.saturating_sub(width);
        let filler = if self.zeros && fills && !self.left { b'0' } else { b' ' };
        let padding = std::iter::repeat_n(filler, missing);
        if self.left {
            line.extend_from_slice(text);
            line.extend(padding);
        } else {
            line.extend(padding);
            line.extend_from_slice(text);
        }
    }
}

fn time(format: &str, now: &ZonedDateTime) -> io::Result<String> {
    strtime::format(format, now).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &[u8]) -> Received {
        Received {
            topic: "t".into(),
            payload: payload.to_vec(),
            qos: QoS::ExactlyOnce,
            retain: true,
            dup: false,
            id: PacketId::new(7),
        }
    }

    fn of(format: &Format, payload: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        format.write(&message(payload), true, &mut line).expect("a vector takes it");
        line
    }

    fn written(format: &str) -> String {
        let line = of(&Format::parse(format).expect("known fields"), b"h\xC3\xA9\n");
        let text = String::from_utf8(line).expect("text");
        text.strip_suffix('\n').expect("a line end").into()
    }

    #[test]
    fn a_payload_is_written_as_it_is() {
        assert_eq!(of(&Format::payload(), b"\xFF\n"), b"\xFF\n\n");
        assert_eq!(of(&Format::verbose(), b"\xFF\n"), b"t \xFF\n\n");
    }

    #[test]
    fn an_empty_message_is_written_as_mosquitto_sub_does() {
        assert_eq!(of(&Format::payload(), b""), b"");
        assert_eq!(of(&Format::verbose(), b""), b"t (null)\n");
        assert_eq!(of(&Format::parse("%p").expect("a field"), b""), b"\n");
    }

    #[test]
    fn every_field_has_its_letter() {
        let all = written("%q%r%d %t[%l]\\t%x%X %m 100%%\\\\@@\\a\\e\\0");
        assert_eq!(all, "210 t[4]\t68c3a90a68C3A90A 7 100%\\@\x07\x1B\0");
    }

    #[test]
    fn a_field_is_as_wide_as_it_has_to_be() {
        for (format, expected) in [
            ("%3t|", "  t|"),
            ("%-3t|", "t  |"),
            ("%03t|", "  t|"),
            ("%05l|", "00004|"),
            ("%-05l|", "4    |"),
            ("%1x|", "68c3a90a|"),
            ("%010x|", "0068c3a90a|"),
            ("%.2x|", "68c3|"),
            ("%.0t|", "|"),
            ("%5.3p|", "   hé|"),
            ("%-5.3p|", "hé   |"),
            ("%3q|", "  2|"),
        ] {
            assert_eq!(written(format), expected, "{format}");
        }
    }

    #[test]
    fn times_have_their_parts() {
        let before = ZonedDateTime::now().timestamp().as_second();
        let seconds = written("%U");
        let (whole, nanoseconds) = seconds.split_once('.').expect("a fraction");
        assert!(whole.parse::<i64>().expect("a number") - before < 60 && nanoseconds.len() == 9);
        let iso = written("%I");
        assert!(iso.len() == 24 && iso.contains('T'), "{iso}");
        assert_eq!(written("@Y-@m-@dT@H").len(), 13);
        assert_eq!(written("@N").len(), 9);
    }

    #[test]
    fn unknown_fields_are_named() {
        for (format, why) in [
            ("%y", "%y is unknown"),
            ("\\y", "\\y is unknown"),
            ("@Q5@!", "@! is unknown"),
            ("100%", "'%' at its end"),
            ("%-010", "'%' at its end"),
            ("%.", "'%' at its end"),
            ("a@", "'@' at its end"),
            ("%99999999999999999999t", "a number in it is larger than 65535"),
            ("%A", "%A is of MQTT 5, and this speaks MQTT 3.1.1 and 3.1"),
        ] {
            assert_eq!(Format::parse(format), Err(why.into()), "{format}");
        }
    }

    #[test]
    fn what_has_to_be_json_and_is_not_is_refused_whole() {
        let mut line = Vec::new();
        let format = Format::parse("%t %J").expect("known fields");
        let error = format.write(&message(b"{"), true, &mut line).expect_err("no JSON");
        assert_eq!((error.kind(), line.len()), (io::ErrorKind::InvalidData, 0));
    }
}
