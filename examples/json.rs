//! A message as JSON, with the names of mosquitto_sub: `%j` and `%J` of `-F`.

use std::io;

use mqtt_core::PacketId;
use serde_json::value::RawValue;

use crate::format::Received;

/// The format of its time.
pub const TIME: &str = "%Y-%m-%dT%H:%M:%S.%6f%z";

/// `message`, received at `time`. The payload is a string, in which bytes that are not UTF-8 are replaced, or, if
/// `payload_is_json`, stands there as it is, without space between its parts.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`]: the payload is not JSON.
pub fn of(message: &Received, time: &str, payload_is_json: bool) -> io::Result<String> {
    let Received { topic, payload, qos, retain, id, .. } = message;
    let payload_text = if payload_is_json {
        let parsed: Result<&RawValue, _> = serde_json::from_slice(payload);
        compact(parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?.get())
    } else {
        quoted(&String::from_utf8_lossy(payload))?
    };
    let id = id.map_or_else(String::new, |id: PacketId| format!("\"mid\":{},", id.get()));
    Ok(format!(
        "{{\"tst\":{},\"topic\":{},\"qos\":{},\"retain\":{},\"payloadlen\":{},{id}\"payload\":{payload_text}}}",
        quoted(time)?,
        quoted(topic)?,
        *qos as u8,
        u8::from(*retain),
        payload.len(),
    ))
}

fn quoted(text: &str) -> io::Result<String> {
    serde_json::to_string(text).map_err(io::Error::other)
}

/// JSON without the space between its parts, so that it is one line.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|letter| {
            let is_kept = in_string || !letter.is_ascii_whitespace();
            in_string ^= *letter == '"' && !escaped;
            escaped = in_string && *letter == '\\' && !escaped;
            is_kept
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use mqtt_core::QoS;

    use super::*;

    fn message(payload: &[u8], qos: QoS) -> Received {
        let id = if qos == QoS::AtMostOnce { None } else { PacketId::new(7) };
        Received {
            topic: "a\"b".into(),
            payload: payload.into(),
            qos,
            retain: true,
            dup: false,
            id,
        }
    }

    #[test]
    fn a_payload_is_a_string() {
        let text = of(&message(b"h\"\x01\xFF", QoS::AtLeastOnce), "now", false).expect("a string");
        let expected = "{\"tst\":\"now\",\"topic\":\"a\\\"b\",\"qos\":1,\"retain\":1,\"payloadlen\":4,\"mid\":7,\
                        \"payload\":\"h\\\"\\u0001\u{FFFD}\"}";
        assert_eq!(text, expected);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value.get("payloadlen"), Some(&4.into()));
    }

    #[test]
    fn a_payload_that_is_json_stays_json() {
        let payload = b" { \"a b\" :\n [1.50, \"\\\"  \\\\\", true ] }\n";
        let text = of(&message(payload, QoS::AtMostOnce), "now", true).expect("JSON");
        assert!(text.ends_with(",\"payload\":{\"a b\":[1.50,\"\\\"  \\\\\",true]}}"), "{text}");
        assert!(!text.contains("mid"), "{text}");
        let error = of(&message(b"{\"a\":}", QoS::AtMostOnce), "now", true).expect_err("no JSON");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
