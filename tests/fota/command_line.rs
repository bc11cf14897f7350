//! Wrong command lines and files: each has a message that names what and where.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use crate::plant::{Plant, WellDone, fota};

#[test]
fn wrong_command_lines_name_the_option() {
    for (line, why) in [
        ("", "a command is missing"),
        ("update", "unexpected argument \"update\""),
        ("keygen", "the name of the key is missing"),
        (
            "sign --key k --image i --product m --version 1.0.0",
            "the manifest to write is missing: --manifest",
        ),
        ("sign --product A", "option --product: it is not 1 to 16 of a to z, digits, - and _"),
        (
            "sign --version 1.0",
            "option --version: it is not a version such as 1.4.2, of numbers up to 65535",
        ),
        ("sign --chunk 1000", "option --chunk: it takes a multiple of 4096 up to 1048576"),
        ("sign --flash x", "unknown option --flash"),
        (
            "factory --room 4X",
            "option --room: \"4X\" is not a number of bytes, such as 4096, 64K or 4M",
        ),
        ("factory --room 0", "option --room: an image has at least one byte"),
        (
            "factory --flash f --room 1M --public-key k --image i",
            "--manifest and --image go together",
        ),
        ("publish --inject cut", "the manifest is missing: --manifest"),
        (
            "publish --manifest m --image i --inject cut",
            "option --inject: \"cut\" is not stall, corrupt, damage or forge",
        ),
        ("publish --devices 0", "option --devices: 0 is not a number of devices"),
        (
            "device --inject power-cut=x -i a --product m --flash f --public-key k",
            "option --inject: \"power-cut=x\" is not stall, cut, power-cut, power-cut=N or bad-image",
        ),
        ("device -i a/b", "option -i: it is a level of a topic, without / + #"),
        ("device --product m --flash f --public-key k", "the name of the device is missing: -i"),
        ("device -k 5", "option -k: the keep alive is part of the plan of the watchdog"),
        ("device -q 2", "option -q: each topic has a QoS of its own"),
        ("device --will-topic x", "option --will-topic: the will is part of the protocol"),
        ("device -L mqtt://h/topic -i a", "option -L: the topics are those of --prefix"),
        ("device --prefix a/#", "option --prefix: \"a/#\": wildcard in a topic name"),
        ("device --once=1", "option --once: it takes no value"),
    ] {
        let args: Vec<&str> = line.split_whitespace().collect();
        let why = if why.contains("manifest is missing") || why.contains("takes no value") {
            // Which one is found first does not matter here.
            ""
        } else {
            why
        };
        assert!(
            fota(&args).run().failure().contains(why),
            "{line}: {}",
            fota(&args).run().failure()
        );
    }
}

#[test]
fn wrong_files_are_named() {
    let plant = Plant::new();
    plant.has_device("d1", "1.0.0", "1M");
    let (key, public) = (plant.path("maker.key"), plant.path("maker.pub"));
    let (image, manifest) = (plant.path("2.0.0"), plant.manifest("2.0.0"));
    let (none, noise) = (plant.path("none"), plant.path("noise"));
    fs::write(&noise, "noise").expect("a folder");
    let failure = |args: &[&str]| fota(args).run().failure();
    let again = failure(&["keygen", &plant.path("maker")]);
    assert!(
        again.starts_with(&format!("fota: {key}: File exists")),
        "no key is overwritten: {again}"
    );
    let sign = ["sign", "--product", "meter", "--version", "3.0.0", "--manifest", &none];
    let no_image = failure(&[&sign[..], &["--key", &key, "--image", &none]].concat());
    assert!(no_image.starts_with(&format!("fota: {none}: No such file")), "{no_image}");
    let no_key = failure(&[&sign[..], &["--key", &noise, "--image", &image]].concat());
    assert_eq!(no_key, format!("fota: {noise}: it is not a key of 64 hexadecimal digits"));
    let publish = |manifest: &str, image: &str| {
        failure(&["publish", "-p", "1", "--manifest", manifest, "--image", image])
    };
    assert_eq!(
        publish(&noise, &image),
        format!("fota: {noise}: 5 bytes are not a manifest, which has 132")
    );
    let other = plant.path("1.0.0");
    assert_eq!(
        publish(&manifest, &other),
        format!("fota: {other}: it is not the image of {manifest}")
    );
    let device = |flash: &str, key: &str| {
        let args =
            ["device", "-i", "d1", "--product", "meter", "--flash", flash, "--public-key", key];
        failure(&args)
    };
    let no_flash = device(&none, &public);
    assert_eq!(no_flash, format!("fota: {none}: there is no such file; fota factory makes one"));
    let no_key = device(&plant.path("d1"), &noise);
    assert_eq!(no_key, format!("fota: {noise}: it is not a key of 64 hexadecimal digits"));
    let unsuitable = fota(&["device", "-i", "d1", "--product", "meter", "--flash", &noise])
        .args(&["--public-key", &public])
        .run();
    assert_eq!(unsuitable.status, Some(1));
    assert_eq!(unsuitable.err, format!("fota: {noise}: this flash cannot hold two slots\n"));
}

#[test]
#[cfg(unix)]
fn the_secret_key_is_for_its_owner_alone_and_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let plant = Plant::new();
    let mode = fs::metadata(plant.path("maker.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = fs::read_to_string(plant.path("maker.key")).expect("a key");
    let swapped = fota(&["device", "-i", "d1", "--product", "meter", "--flash", &plant.path("x")]);
    let swapped = swapped.args(&["--public-key", secret.trim()]).run();
    assert_eq!(swapped.status, Some(1));
    let manifest = fs::read(plant.manifest("2.0.0")).expect("a manifest");
    assert!(!String::from_utf8_lossy(&manifest).contains(secret.trim()));
}

#[test]
fn a_publisher_without_a_broker_says_so_and_a_device_waits_for_one() {
    let plant = Plant::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let publish = fota(&["publish", "--image", &plant.path("2.0.0")]).broker(address);
    let refused = publish.args(&["--manifest", &plant.manifest("2.0.0")]).run().failure();
    assert!(refused.starts_with(&format!("fota: {address}: Connection refused")), "{refused}");
    let mut device = plant.device_at("d1", address).start();
    let lines = device.lines();
    lines.wait("not connected", system_tests::SOON);
    device.interrupt();
    assert_eq!(device.done().status, Some(0));
}

#[test]
fn help_lists_each_command_and_each_fault() {
    let help = fota(&["--help"]).run().well_done();
    for word in
        ["keygen", "sign", "factory", "publish", "device", "power-cut", "--cafile", "bad-image"]
    {
        assert!(help.contains(word), "{word}");
    }
    assert_eq!(fota(&["device", "--help"]).run().well_done(), help);
}
