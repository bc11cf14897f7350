//! A wrong command line or configuration is refused at once, with a reason.

use std::fs;

use system_tests::Example;

use super::plant::{Config, Plant};

fn plant() -> Plant {
    Plant::new(Config::to_urls(vec!["mqtt://127.0.0.1:1".into()]))
}

#[test]
fn wrong_options_are_named() {
    for (args, why) in [
        (
            &["--inject", "hang:pump"][..],
            "option --inject: \"pump\" is not a task of this configuration: boiler, tank, link",
        ),
        (
            &["--inject", "fire"],
            "option --inject: \"fire\" is not a fault: hang:TASK, panic:TASK, link",
        ),
        (&["--inject", "link:soon"], "option --inject: \"soon\" is not a time"),
        (&["--inject"], "option --inject: a value is missing"),
        (&["--fast"], "unknown option --fast"),
        (&["hang"], "unexpected argument \"hang\""),
    ] {
        let done = plant().example(args).run();
        let (first, rest) = done.err.split_once('\n').expect("two lines");
        assert!(first.starts_with(&format!("gateway: {why}")), "{first}");
        assert_eq!((done.status, rest), (Some(1), "gateway: --help lists the options\n"));
        assert_eq!(done.out, b"");
    }
}

#[test]
fn a_wrong_configuration_is_named_with_its_file_and_place_and_touches_nothing() {
    for (from, to, why) in [
        ("name = \"gw\"", "nam = \"gw\"", "gateway.toml, line 1, column 1: unknown field `nam`"),
        ("step = \"1s\"", "step = \"1\"", "column 8: \"1\" is not a time"),
        ("[queue]", "[queue]\nmessages = 1", "gateway.toml, queue.messages: at least 16"),
        ("silence = \"2s\"", "silence = \"1s\"", "gateway.toml, link.silence: a healthy link"),
        (
            "heartbeat = \"100ms\"",
            "heartbeat = \"10m\"",
            "the configuration, watchdog.recovery: a reset takes longer",
        ),
        (
            "deadline = \"3s\"",
            "deadline = \"500ms\"",
            "the configuration, sensors.boiler: with a period of 100ms",
        ),
        (
            "stop_within = \"1s\"",
            "stop_within = \"13s\"",
            "the configuration, stop_within: it is longer",
        ),
    ] {
        let plant = plant();
        let file = plant.path("gateway.toml");
        let text = fs::read_to_string(&file).expect("it is there");
        fs::write(&file, text.replacen(from, to, 1)).expect("writable");
        let error = plant.example(&["--plain"]).run().failure();
        assert!(error.contains(why), "{error}");
        assert!(!plant.path("state").exists(), "{why}");
    }
    let error = Example::new("gateway").args(&["--config", "/nowhere/g.toml"]).run().failure();
    assert!(error.starts_with("gateway: /nowhere/g.toml: No such file"), "{error}");
}

#[test]
fn files_that_a_configuration_names_and_that_are_missing_are_named() {
    for (broker, why) in [
        (
            "user = \"me\"\npassword_file = \"/nowhere/p\"",
            "broker.password_file, /nowhere/p: No such",
        ),
        ("ca_file = \"/nowhere/ca\"", "broker.ca_file: "),
    ] {
        let mut config = Config::to_urls(vec!["mqtts://127.0.0.1:1".into()]);
        config.broker = broker.into();
        let error = Plant::new(config).example(&["--plain"]).run().failure();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn check_shows_the_time_budget_and_touches_nothing() {
    let plant = plant();
    let text = plant.example(&["--check"]).run().text();
    for line in [
        "The configuration is possible.",
        "verdict and feed each 100ms, up to 100 ms late",
        "boiler: a reading each 100ms, starves after 3s",
        "link: silence, steps and patience together, starves after 12001ms",
    ] {
        assert!(text.lines().any(|one| one == line), "{text}");
    }
    assert!(!plant.path("state").exists());
}

#[test]
fn help_names_every_option() {
    let help = Example::new("gateway").args(&["--help"]).run().text();
    for part in [
        "usage: gateway",
        "--config FILE",
        "--plain",
        "--check",
        "--inject FAULT",
        "Exit status: 0",
    ] {
        assert!(help.contains(part), "{help}");
    }
}
