use std::fs;

use super::*;

/// The configuration that comes with the program.
const COMMENTED: &str = include_str!("../gateway.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("g.toml"))
}

fn error(text: &str) -> String {
    parse(text).expect_err("it is wrong").to_string()
}

#[test]
fn the_commented_file_has_the_defaults() {
    assert_eq!(parse(COMMENTED).expect("it is right"), Config::default());
    assert_eq!(parse("").expect("nothing is needed"), Config::default());
}

/// The settings that the file shows as comments are possible as well.
#[test]
fn the_comments_of_the_file_are_settings_too() {
    let setting = |line: &'static str| {
        let rest = line.strip_prefix("# ")?;
        (rest.split(' ').nth(1) == Some("=")).then_some(rest)
    };
    let text: Vec<&str> = COMMENTED.lines().map(|line| setting(line).unwrap_or(line)).collect();
    let config = parse(&text.join("\n")).expect("all settings");
    assert!(config.state.is_some() && config.broker.user.is_some());
    assert!(config.broker.password_file.is_some() && config.broker.ca_file.is_some());
    assert!(config.watchdog.device.is_some() && config.watchdog.device_timeout.is_some());
}

#[test]
fn an_error_names_the_line_and_the_reason() {
    for (text, expected) in [
        ("nam = \"x\"", "g.toml, line 1, column 1: unknown field `nam`, expected one of"),
        ("name = \"a b\"", "g.toml, line 1, column 8: \"a b\" is not a name: 1 to 23 of"),
        ("\n[link]\nstep = \"soon\"", "g.toml, line 3, column 8: \"soon\" is not a time:"),
        ("topic = \"a/#\"", "g.toml, line 1, column 9: \"a/#\": wildcard in a topic name"),
        ("topic = \"$SYS\"", "g.toml, line 1, column 9: it is longer than 200 bytes, or begins"),
        ("topic = 7", "g.toml, line 1, column 9: invalid type: integer `7`, expected a string"),
        ("name = \"x", "g.toml, line 1, column 10: invalid basic string"),
        (
            "[queue]\nsurvive = \"all\"",
            "g.toml, line 2, column 11: unknown variant `all`, expected",
        ),
        ("[queue]\nmessages = 70000", "g.toml, line 2, column 12: invalid value: integer `70000`"),
        ("[[sensors]]\nname = \"a\"", "g.toml, line 1, column 1: missing field `kind`"),
        ("[broker]\naddresses = [\"h:0\"]", "g.toml, line 2, column 13: the port is not from"),
    ] {
        let error = error(text);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn an_error_names_the_key_of_values_that_do_not_go_together() {
    let two = "[[sensors]]\nname = \"a\"\nkind = \"level\"\nperiod = \"1s\"\ndeadline = \"3s\"\n";
    for (text, key) in [
        ("[broker]\naddresses = []", "broker.addresses: it takes one to eight"),
        ("[broker]\npassword_file = \"p\"", "broker.password_file: a password needs a user"),
        ("[broker]\nkeep_alive = \"1500ms\"", "broker.keep_alive: MQTT has whole seconds"),
        ("[link]\nsilence = \"44s\"", "link.silence: a healthy link may be silent"),
        ("[queue]\nmessages = 15", "queue.messages: at least 16"),
        ("[queue]\nbytes = 4095", "queue.bytes: at least 4096"),
        ("[watchdog]\ndevice_timeout = \"9s\"", "watchdog.device_timeout: there is no"),
        ("sensors = []", "sensors: there are one to 64"),
        (&two.repeat(2), "sensors.a.name: another task has this name"),
        (&two.replace("\"a\"", "\"link\""), "sensors.link.name: another task has this name"),
    ] {
        let error = error(text);
        assert!(error.starts_with(&format!("g.toml, {key}")), "{text}: {error}");
    }
}

/// Where a password may come to stand by mistake.
#[test]
fn no_error_repeats_a_password() {
    for text in [
        "[broker]\naddresses = [\"mqtt://me:s3cret@h\"]",
        "[broker]\naddresses = \"mqtt://me:s3cret@h\"",
        "[broker]\naddresses = [\"mqtt://me:s3cret@h:0\"]",
        "[broker]\npassword = \"s3cret\"",
        "[broker]\ncluster = \"s3cret\"",
        "[broker]\ncluster = \"s3\\\", expected s3cret\"",
        "[broker]\nuser = \"s3cret",
        "[queue]\nmessages = \"s3cret\"",
        "s3cret",
    ] {
        let error = error(text);
        assert!(!error.contains("s3cret") || text == "s3cret", "{text}: {error}");
    }
    let config = parse("[broker]\nuser = \"me\"\npassword_file = \"/run/p\"").expect("possible");
    assert!(format!("{config:?}").contains("/run/p"), "only the place is known");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("g.toml");
    let error = Config::read(&file).expect_err("it is missing").to_string();
    assert!(error.starts_with(&format!("{}: No such file", file.display())), "{error}");
    fs::write(&file, b"name = \"\xFF\"").expect("writable");
    assert!(Config::read(&file).is_err(), "not UTF-8");
}
