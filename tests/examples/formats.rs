//! `-F` of `sub`, beside that of mosquitto_sub.

use mqtt_core::QoS;
use system_tests::{Example, Mosquitto, Publisher, SOON, Subscriber};

/// The same text from both programs, for a retained message at QoS 1.
const SAME: [&str; 24] = [
    "%t %p %l %q %r %m %%",
    "%x %X",
    "%10t|%-10t|%.1t|%10.2t|%-10.2t|%08t|",
    "%5l|%-5l|%05l|%010l|%-05l|",
    "%5m|%05m|",
    "%10p|%-10p|%010p|",
    "%-t|%0t|%5%|",
    "@@ a@@b",
    "@z @Z",
    "@Y-@m-@d",
    r"\a\e\n\r\t\0\\",
    "%.0t|",
    "%.5I|",
    "%3t|%003l|",
    "%%%t%%",
    "@j @a @b @A @B",
    "@C @y @e @u @w @x",
    "@D|@F",
    "@V @G @g @U @W",
    "plain",
    "%-10l|",
    "%l%l",
    "ü%tü",
    "@p",
];

#[test]
fn a_format_gives_the_text_that_mosquitto_sub_gives() {
    let broker = Mosquitto::start();
    Publisher::new(&broker, "p").publish("a/b", b"h\"i\x01", QoS::AtLeastOnce, true);
    for (number, format) in SAME.iter().enumerate() {
        let theirs = Subscriber::new(&broker, &format!("theirs-{number}"));
        let theirs = theirs.filter("a/b", QoS::AtLeastOnce).args(["-F", format]).start_raw();
        let ours = Example::new("sub").broker(broker.address());
        let ours = ours.args(&["-t", "a/b", "-q", "1", "-C", "1", "-N", "-F", format]).run().well();
        let theirs = theirs.payload(SOON);
        let (ours, theirs) = (ours.escape_ascii().to_string(), theirs.escape_ascii().to_string());
        assert_eq!(ours, theirs, "{format}");
    }
}

/// The text without its digits, which are those of a moment.
fn shape(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).into_owned();
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn times_and_json_have_the_form_that_mosquitto_sub_gives_them() {
    let broker = Mosquitto::start();
    Publisher::new(&broker, "p").publish("a", b"{ \"b\": [1, 2] }", QoS::AtLeastOnce, true);
    for (number, format) in
        ["%I|%30I|", "%U", "@H:@M:@S @N", "@c|@X", "%j", "%J"].iter().enumerate()
    {
        let theirs = Subscriber::new(&broker, &format!("theirs-{number}"));
        let theirs = theirs.filter("a", QoS::AtLeastOnce).args(["-F", format]).start_raw();
        let ours = Example::new("sub").broker(broker.address());
        let ours = ours.args(&["-t", "a", "-q", "1", "-C", "1", "-N", "-F", format]).run().well();
        // Version 2.0.11 writes a Z in front of the offset, which ISO 8601 does not know.
        let theirs = shape(&theirs.payload(SOON)).replace("Z+", "+").replace("Z-", "-");
        assert_eq!(shape(&ours), theirs, "{format}");
    }
}

#[test]
fn a_payload_that_is_no_json_is_told_and_counted() {
    let broker = Mosquitto::start();
    let publisher = Publisher::new(&broker, "p");
    publisher.publish("j", b"no", QoS::AtLeastOnce, true);
    let sub = Example::new("sub").broker(broker.address());
    let sub =
        sub.args(&["-t", "j", "-q", "1", "-C", "2", "-F", "%J"]).subscribed("s", broker.log());
    publisher.publish("j", b"7", QoS::AtLeastOnce, false);
    let done = sub.done();
    assert_eq!(done.err, "sub: the payload on \"j\" is not JSON, as %J needs it\n");
    assert_eq!(done.status, Some(0));
    assert!(done.out.ends_with(b",\"payload\":7}\n"), "{}", done.out.escape_ascii());
}

#[test]
fn an_empty_message_is_written_as_mosquitto_sub_writes_it() {
    let broker = Mosquitto::start();
    let sub = |id, args: &[&str]| {
        let sub = Example::new("sub").broker(broker.address()).args(&["-t", "e", "-q", "1"]);
        sub.args(&["-C", "2"]).args(args).subscribed(id, broker.log())
    };
    let (plain, verbose) = (sub("plain", &[]), sub("verbose", &["-v"]));
    let publisher = Publisher::new(&broker, "p");
    publisher.publish("e", b"", QoS::AtLeastOnce, false);
    publisher.publish("e", b"x", QoS::AtLeastOnce, false);
    assert_eq!(plain.done().text(), "x\n");
    assert_eq!(verbose.done().text(), "e (null)\ne x\n");
}

#[test]
fn a_format_that_is_not_known_is_refused() {
    for (format, why) in [
        ("%y", "%y is unknown"),
        (r"\y", r"\y is unknown"),
        ("@!", "@! is unknown"),
        ("%", "'%' at its end"),
        ("%10", "'%' at its end"),
        ("@", "'@' at its end"),
        ("%A", "%A is of MQTT 5, and this speaks MQTT 3.1.1 and 3.1"),
        ("%S", "%S is of MQTT 5, and this speaks MQTT 3.1.1 and 3.1"),
    ] {
        let sub = Example::new("sub").args(&["-t", "a", "-F", format]).run().failure();
        assert_eq!(sub, format!("sub: option -F: {why}"));
    }
}
