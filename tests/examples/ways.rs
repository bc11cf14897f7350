//! Every way to the broker that `pub` and `sub` have, with real peers, and the line that tells why a way is closed.

use std::path::Path;
use std::process::Command;

use mqtt_core::QoS;
use system_tests::brokers::aedes_websocket;
use system_tests::{Config, EVERY_QOS, Example, Message, Mosquitto, SOON, Subscriber};
use tempfile::TempDir;
use test_kit::certificates::{Authority, Identity};

use crate::secured::{HOST, Secured};
use crate::{fails_without_marker, level};

fn plain(path: &Path) -> String {
    path.to_str().expect("a temporary folder has a plain name").into()
}

/// A message from `pub` to `sub`, both with these arguments. It is retained, so that no one has to wait.
#[track_caller]
fn talk(args: &[&str]) {
    for qos in EVERY_QOS {
        let (topic, qos) = (format!("way/{}", level(qos)), level(qos));
        let publish = Example::new("pub").args(args).args(&["-t", &topic, "-m", "für euch"]);
        assert_eq!(publish.args(&["-q", &qos, "-r"]).run().text(), "");
        let sub = Example::new("sub").args(args).args(&["-t", &topic, "-q", &qos, "-C", "1", "-v"]);
        assert_eq!(sub.run().text(), format!("{topic} für euch\n"));
    }
}

/// `-h` and `-p`, and what follows.
fn to<'a>(port: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["-h", HOST, "-p", port];
    args.extend(more);
    args
}

#[test]
fn pub_and_sub_talk_over_tls() {
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.server(&[HOST]), &[]);
    let folder = TempDir::with_prefix("authorities-").expect("a temporary folder");
    let root = plain(&crate::secured::write(folder.path(), "root.pem", authority.pem()));
    let folder = plain(folder.path());
    let port = secured.broker.address().port().to_string();
    let mqtts = format!("mqtts://{HOST}:{port}");
    let mqtt = format!("mqtt://{HOST}:{port}");
    talk(&to(&port, &["--cafile", &root]));
    talk(&to(&port, &["--capath", &folder]));
    talk(&to(&port, &["--cafile", &root, "--tls-version", "tlsv1.3"]));
    talk(&["-L", &mqtts, "--cafile", &root]);
    talk(&["-L", &mqtt, "--cafile", &root]);
}

/// The chain is checked all the same.
#[test]
fn insecure_takes_the_certificate_of_another_host_and_of_no_other_authority() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let secured = Secured::start(&authority.server(&["elsewhere.example"]), &[]);
    let root = plain(&secured.file("root.pem", authority.pem()));
    let wrong = plain(&secured.file("other.pem", other.pem()));
    let port = secured.broker.address().port().to_string();
    talk(&to(&port, &["--cafile", &root, "--insecure"]));
    for refused in [&["--cafile", &root][..], &["--cafile", &wrong, "--insecure"]] {
        let args = [&to(&port, refused)[..], &["-t", "a", "-m", "x"]].concat();
        let why = Example::new("pub").args(&args).run().failure();
        assert!(why.contains("the certificate of"), "{why}");
    }
}

#[test]
fn a_client_certificate_is_shown_and_missed() {
    let (authority, clients) = (Authority::new("root"), Authority::new("clients"));
    let secured = Secured::with_clients(&authority.server(&[HOST]), Some(&clients), &[]);
    let client = clients.client("meter");
    let root = plain(&secured.file("root.pem", authority.pem()));
    let cert = plain(&secured.file("meter.pem", &client.certificate));
    let key = plain(&secured.file("meter.key", &client.key));
    let port = secured.broker.address().port().to_string();
    talk(&to(&port, &["--cafile", &root, "--cert", &cert, "--key", &key]));
    let without = to(&port, &["--cafile", &root, "-t", "a", "-m", "x", "-q", "1"]);
    let why = Example::new("pub").args(&without).run().failure();
    assert!(why.starts_with(&format!("pub: mqtts://{HOST}:{port}: ")), "{why}");
    assert!(why.contains("certificate"), "{why}");
}

/// A key with a password.
fn encrypted(key: &Path) -> String {
    let file = key.with_extension("encrypted");
    let mut openssl = Command::new("openssl");
    let openssl = openssl.args(["pkey", "-aes256", "-passout", "pass:marker", "-in"]).arg(key);
    let made = openssl.arg("-out").arg(&file).output().expect("openssl is here");
    assert!(made.status.success(), "{made:?}");
    plain(&file)
}

#[test]
fn what_is_wrong_with_tls_is_told_in_one_line() {
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.server(&[HOST]), &[]);
    let plaintext = Mosquitto::start();
    let other = Authority::new("other").client("meter");
    let root = plain(&secured.file("root.pem", authority.pem()));
    let wrong = plain(&secured.file("wrong.pem", Authority::new("wrong").pem()));
    let text = plain(&secured.file("text.pem", "marker\n"));
    let cert = plain(&secured.file("meter.pem", &authority.client("meter").certificate));
    let key = secured.file("other.key", &other.key);
    let (encrypted, key) = (encrypted(&key), plain(&key));
    let port = secured.broker.address().port().to_string();
    let plain_port = plaintext.address().port().to_string();
    let unknown_host = ["-h", "no-such-host.invalid", "--cafile", &root];
    for (args, why) in [
        (to(&port, &["--cafile", "/no-such-file"]), "/no-such-file: No such file or directory"),
        (to(&port, &["--capath", "/no-such-folder"]), "/no-such-folder: No such file or directory"),
        (to(&port, &["--cafile", &text]), "text.pem: there is no PEM certificate"),
        (to(&port, &["--cafile", &wrong]), "certificate"),
        (to(&port, &["--cafile", &root, "--cert", &cert]), "--cert and --key go together"),
        (to(&port, &["--cafile", &root, "--cert", &cert, "--key", &key]), "the key is not that of"),
        (
            to(&port, &["--cafile", &root, "--cert", &cert, "--key", &encrypted]),
            "the private key is encrypted, and no password can be given here",
        ),
        (to(&port, &["--cafile", &root, "--tls-version", "tlsv1.1"]), "TLS 1.1 is too old"),
        (to(&port, &["--cafile", &root, "--tls-version", "ssl"]), "is not tlsv1.2 or tlsv1.3"),
        (to(&port, &["--psk", "00"]), "rustls, has nothing like it"),
        (to(&plain_port, &["--cafile", &root]), "is the port one for TLS?"),
        (["-h", "127.0.0.1", "-p", &port, "--cafile", &root].to_vec(), "127.0.0.1"),
        (unknown_host.to_vec(), "mqtts://no-such-host.invalid:8883: "),
        (["--unix", "/run/x", "--insecure"].to_vec(), "there is no TLS over a Unix socket"),
    ] {
        for name in ["pub", "sub"] {
            let message: &[&str] = if name == "pub" { &["-m", "x", "-q", "1"] } else { &[] };
            let example = || Example::new(name).args(&args).args(&["-t", "a"]).args(message);
            let done = example().run();
            let lines: Vec<&str> = done
                .err
                .lines()
                .filter(|line| !line.ends_with("--help lists the options"))
                .collect();
            assert_eq!((done.status, lines.len()), (Some(1), 1), "{args:?}: {}", done.err);
            assert!(done.err.contains(why), "{args:?}: {}", done.err);
            fails_without_marker(example().args(&["-u", "meter", "-P", "marker"]));
        }
    }
    // No password was sent to a broker that is not trusted.
    assert_eq!(secured.broker.log().count("New client connected"), 0);
}

#[test]
fn a_broker_without_tls_gets_no_plain_connect_from_mqtts() {
    let broker = Mosquitto::start();
    let url = format!("mqtts://meter:marker@{}/a", broker.address());
    fails_without_marker(Example::new("pub").args(&["-L", &url, "-m", "x", "-q", "1"]));
    assert_eq!(broker.log().count("New client connected"), 0);
}

#[test]
fn pub_and_sub_talk_over_websocket() {
    if let Err(why) = aedes_websocket::is_here() {
        return println!("{why}");
    }
    let broker = aedes_websocket::start(None);
    talk(&["-L", &format!("ws://{HOST}:{}", broker.address().port())]);
    let elsewhere = format!("ws://{HOST}:{}/elsewhere", broker.address().port());
    let why = Example::new("sub").args(&["-L", &elsewhere, "-t", "a"]).run().failure();
    assert!(why.ends_with("/elsewhere: refused: 400 Bad Request"), "{why}");

    let authority = Authority::new("root");
    let Identity { certificate, key } = authority.server(&[HOST]);
    let broker = aedes_websocket::start(Some((certificate, key)));
    let folder = TempDir::with_prefix("authority-").expect("a temporary folder");
    let root = plain(&crate::secured::write(folder.path(), "root.pem", authority.pem()));
    let port = broker.address().port();
    for scheme in ["ws", "wss"] {
        talk(&["-L", &format!("{scheme}://{HOST}:{port}/mqtt"), "--cafile", &root]);
    }
}

#[test]
fn pub_and_sub_talk_over_a_unix_socket() {
    let folder = TempDir::with_prefix("socket-").expect("a temporary folder");
    let path = folder.path().join("a%20broker");
    let broker = Config::new().line(&format!("listener 0 {}", path.display())).start();
    let path = plain(&path);
    talk(&["--unix", &path]);
    talk(&["-L", &format!("unix:{}", path.replace('%', "%25"))]);
    drop(broker);
    let why = Example::new("sub").args(&["--unix", &path, "-t", "a"]).run().failure();
    assert!(why.contains(&path) && why.contains("Connection refused"), "{why}");
    let both = Example::new("sub").args(&["--unix", &path, "-t", "a", "-h", HOST]).run().failure();
    assert_eq!(both, "sub: --unix goes without -h, -p and -L");
}

#[test]
fn the_local_address_is_that_of_the_user() {
    let broker = Mosquitto::start();
    let theirs = Subscriber::new(&broker, "theirs").filter("a", QoS::AtLeastOnce).start();
    let publish = Example::new("pub").broker(broker.address()).args(&["-i", "ours", "--nodelay"]);
    let publish = publish.args(&["-A", "127.0.0.2", "-t", "a", "-m", "x", "-q", "1"]);
    assert_eq!(publish.run().text(), "");
    assert_eq!(theirs.next(SOON), Message::new("a", b"x", QoS::AtLeastOnce, false));
    let connected = broker.log().line(" as ours ", SOON);
    assert!(connected.contains("from 127.0.0.2:"), "{connected}");
    let sub = Example::new("sub").broker(broker.address()).args(&["-A", "192.0.2.1", "-t", "a"]);
    let why = sub.run().failure();
    assert!(why.contains("Cannot assign requested address"), "{why}");
    let sub = Example::new("sub").args(&["-A", "eth0", "-t", "a"]).run().failure();
    assert_eq!(sub, "sub: option -A: \"eth0\" is not an IP address");
}
