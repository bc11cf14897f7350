use std::{
    format, fs,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    string::{String, ToString},
    thread::JoinHandle,
    vec::Vec,
};

use test_kit::certificates::Authority;

use super::{
    MOST_UNSENT, Tls, TlsConnector, TlsError, TlsFault, TlsOptions, TlsVersion, testing::Server,
};
use crate::driver::{
    stream::Stream,
    transport::testing::{
        Stuffed, Trickle, content, fill_stuffed, finish, read_error, read_exact, read_to_end, soon,
        with_peer, write_all,
    },
};

const HOST: &str = "broker.example";

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions::new().root_pem(authority.pem().as_bytes())
}

fn connector(options: &TlsOptions) -> TlsConnector {
    options.build().expect("possible options")
}

/// A client and an echo that trust each other.
fn connected() -> (Tls<UnixStream>, JoinHandle<io::Result<Vec<u8>>>) {
    let authority = Authority::new("root");
    let (stream, peer) = Server::new(&authority.server(&[HOST])).echo();
    let tls = connector(&trusting(&authority)).connect(stream, HOST, soon()).expect("trusted");
    (tls, peer)
}

/// Why a connection to this server fails, and what the server heard.
#[track_caller]
fn refused(options: &TlsOptions, server: &Server, host: &str) -> (io::Error, TlsFault) {
    let (stream, peer) = server.echo();
    let error = connector(options).connect(stream, host, soon()).expect_err("not trusted");
    let heard = peer.join().expect("no panic");
    assert!(heard.is_err(), "the server had no handshake: {heard:?}");
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let fault = tls.unwrap_or_else(|| panic!("no TLS error: {error:?}")).fault();
    (error, fault)
}

#[test]
fn bytes_arrive_in_both_directions_and_the_end_too() {
    let (mut tls, peer) = connected();
    let sent = content(100_000);
    let mut back = Vec::new();
    for part in sent.chunks(5_000) {
        write_all(&mut tls, part);
        back.extend(read_exact(&mut tls, part.len()));
    }
    finish(&mut tls);
    back.extend(read_to_end(&mut tls));
    assert!(back == sent);
    assert!(peer.join().expect("no panic").expect("a good end") == sent);
}

#[test]
fn a_transport_of_a_few_bytes_at_a_time_loses_none() {
    let authority = Authority::new("root");
    let (stream, peer) = Server::new(&authority.server(&[HOST])).echo();
    let trickle = Trickle::new(stream);
    let mut tls = connector(&trusting(&authority)).connect(trickle, HOST, soon()).expect("trusted");
    let sent = content(20_000);
    for part in sent.chunks(3_333) {
        write_all(&mut tls, part);
        assert!(read_exact(&mut tls, part.len()) == part);
    }
    finish(&mut tls);
    assert!(read_to_end(&mut tls).is_empty());
    assert!(peer.join().expect("no panic").expect("a good end") == sent);
}

#[test]
fn the_same_connector_resumes_its_session() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let server = Server::with(&identity, None, &[version], &[]);
        let connector = connector(&trusting(&authority));
        for round in 0..3 {
            let (stream, peer) = server.echo();
            let mut tls = connector.clone().connect(stream, HOST, soon()).expect("trusted");
            assert_eq!(tls.resumed(), round > 0, "{round} {version:?}");
            // In 1.3 the ticket comes after the handshake.
            write_all(&mut tls, b"x");
            assert_eq!(read_exact(&mut tls, 1), b"x");
            finish(&mut tls);
            peer.join().expect("no panic").expect("a good end");
        }
    }
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let (good, other) = (Authority::new("root"), Authority::new("other"));
    let server = Server::new(&other.server(&[HOST]));
    let (error, fault) = refused(&trusting(&good), &server, HOST);
    let text = "the certificate of broker.example is signed by an unknown authority";
    assert_eq!(error.to_string(), text);
    assert_eq!(fault, TlsFault::NotTrusted);
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn an_authority_with_the_name_of_a_trusted_one_is_not_trusted() {
    let (good, other) = (Authority::new("root"), Authority::new("root"));
    let server = Server::new(&other.server(&[HOST]));
    let (error, fault) = refused(&trusting(&good), &server, HOST);
    assert!(error.to_string().contains("unknown authority, which has the name"), "{error}");
    assert_eq!(fault, TlsFault::NotTrusted);
}

#[test]
fn the_error_of_rustls_is_the_source() {
    let (good, other) = (Authority::new("root"), Authority::new("other"));
    let server = Server::new(&other.server(&[HOST]));
    let (error, _) = refused(&trusting(&good), &server, HOST);
    let tls = error.get_ref().expect("a TLS error");
    let source = tls.source().and_then(|source| source.downcast_ref::<rustls::Error>());
    let unknown = rustls::CertificateError::UnknownIssuer;
    assert_eq!(source, Some(&rustls::Error::InvalidCertificate(unknown)));
}

#[test]
fn the_system_does_not_know_the_authority_of_a_test() {
    let authority = Authority::new("root");
    let options = TlsOptions::new();
    match options.build() {
        // A machine without authorities says so.
        Err(error) => assert!(error.to_string().contains("no trusted authorities"), "{error}"),
        Ok(_) => {
            let server = Server::new(&authority.server(&[HOST]));
            let (error, _) = refused(&options, &server, HOST);
            assert!(error.to_string().ends_with("signed by an unknown authority"), "{error}");
        }
    }
}

#[test]
fn an_expired_certificate_is_not_trusted() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.expired_server(&[HOST]));
    let (error, fault) = refused(&trusting(&authority), &server, HOST);
    let text = "the certificate of broker.example has expired, by the clock of this machine";
    assert_eq!(error.to_string(), text);
    assert_eq!(fault, TlsFault::NotTrusted);
}

#[test]
fn a_certificate_of_the_future_is_not_trusted() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.future_server(&[HOST]));
    let (error, fault) = refused(&trusting(&authority), &server, HOST);
    let text = "the certificate of broker.example is not valid yet, by the clock of this machine";
    assert_eq!(error.to_string(), text);
    assert_eq!(fault, TlsFault::NotTrusted);
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.server(&["a.example", "127.0.0.1"]));
    let (error, fault) = refused(&trusting(&authority), &server, HOST);
    let text = "the certificate of the broker is not for the name broker.example, \
                but for a.example and 127.0.0.1";
    assert_eq!(error.to_string(), text);
    assert_eq!(fault, TlsFault::NotTrusted);
}

#[test]
fn the_name_to_check_can_be_given() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.server(&["inner.example"]));
    let (stream, _peer) = server.echo();
    let options = trusting(&authority).server_name("inner.example");
    connector(&options).connect(stream, "10.0.0.1", soon()).expect("the given name counts");
}

#[test]
fn an_address_is_a_name_too() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.server(&["127.0.0.1", "::1"]));
    for host in ["127.0.0.1", "::1", "[::1]"] {
        let (stream, _peer) = server.echo();
        connector(&trusting(&authority)).connect(stream, host, soon()).expect(host);
    }
}

#[test]
fn a_host_that_is_no_name_is_an_error() {
    let (stream, _peer) = with_peer(drop);
    let authority = Authority::new("root");
    let error = connector(&trusting(&authority)).connect(stream, "no name", soon());
    let text = error.expect_err("spaces").to_string();
    assert_eq!(text, "\"no name\" is neither a host name nor an address");
}

#[test]
fn a_missing_client_certificate_is_told_by_the_first_read_in_1_3() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    let server = Server::with(&identity, Some(&authority), &[&rustls::version::TLS13], &[]);
    let (stream, _peer) = server.echo();
    let mut tls = connector(&trusting(&authority)).connect(stream, HOST, soon()).expect("its half");
    let error = read_error(&mut tls);
    assert_eq!(error.to_string(), "broker.example wants a client certificate");
}

#[test]
fn a_missing_client_certificate_is_told_by_the_handshake_in_1_2() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    let server = Server::with(&identity, Some(&authority), &[&rustls::version::TLS12], &[]);
    let (error, fault) = refused(&trusting(&authority), &server, HOST);
    assert!(error.to_string().contains("wants a client certificate"), "{error}");
    assert_eq!(fault, TlsFault::NotAccepted);
}

#[test]
fn a_client_certificate_of_another_authority_is_not_accepted() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let identity = authority.server(&[HOST]);
    let server = Server::with(&identity, Some(&authority), &[&rustls::version::TLS13], &[]);
    let (stream, _peer) = server.echo();
    let client = other.client("device");
    let options =
        trusting(&authority).identity_pem(client.certificate.as_bytes(), client.key.as_bytes());
    let mut tls = connector(&options).connect(stream, HOST, soon()).expect("its half");
    let error = read_error(&mut tls);
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    assert_eq!(tls.map(TlsError::fault), Some(TlsFault::NotAccepted), "{error}");
    assert!(error.to_string().contains("client certificate"), "{error}");
}

#[test]
fn a_client_certificate_is_shown() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    let server = Server::with(&identity, Some(&authority), &[&rustls::version::TLS13], &[]);
    let (stream, _peer) = server.echo();
    let client = authority.client("device");
    let options =
        trusting(&authority).identity_pem(client.certificate.as_bytes(), client.key.as_bytes());
    let mut tls = connector(&options).connect(stream, HOST, soon()).expect("trusted");
    write_all(&mut tls, b"hello");
    assert_eq!(read_exact(&mut tls, 5), b"hello");
}

#[test]
fn the_last_words_of_the_broker_are_the_error_of_a_write() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    let server = Server::with(&identity, Some(&authority), &[&rustls::version::TLS13], &[]);
    let (stream, peer) = server.echo();
    let mut tls = connector(&trusting(&authority)).connect(stream, HOST, soon()).expect("its half");
    let _refused = peer.join();
    let error = tls.write(b"CONNECT").and_then(|_| tls.flush()).expect_err("it is closed");
    assert_eq!(error.to_string(), "broker.example wants a client certificate");
}

#[test]
fn a_minimum_version_keeps_off_an_older_one() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    let server = Server::with(&identity, None, &[&rustls::version::TLS12], &[]);
    let options = trusting(&authority).minimum_version(TlsVersion::Tls13);
    let (error, fault) = refused(&options, &server, HOST);
    let text = "broker.example and this client have no version of TLS in common";
    assert_eq!(error.to_string(), text);
    assert_eq!(fault, TlsFault::Protocol);
}

#[test]
fn an_older_version_is_spoken_if_it_is_allowed() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    let server = Server::with(&identity, None, &[&rustls::version::TLS12], &[]);
    let (stream, _peer) = server.echo();
    let tls = connector(&trusting(&authority)).connect(stream, HOST, soon()).expect("allowed");
    assert_eq!(tls.version(), Some(TlsVersion::Tls12));
}

#[test]
fn a_protocol_is_agreed_on() {
    let authority = Authority::new("root");
    let identity = authority.server(&[HOST]);
    let versions = [&rustls::version::TLS13];
    let server = Server::with(&identity, None, &versions, &["mqtt", "x-amzn-mqtt-ca"]);
    let (stream, _peer) = server.echo();
    let options = trusting(&authority).alpn(&["x-amzn-mqtt-ca"]);
    let tls = connector(&options).connect(stream, HOST, soon()).expect("trusted");
    assert_eq!(tls.alpn(), Some(&b"x-amzn-mqtt-ca"[..]));
    let (error, fault) = refused(&trusting(&authority).alpn(&["h2"]), &server, HOST);
    let text = "broker.example speaks none of the protocols that were offered (ALPN)";
    assert_eq!(error.to_string(), text);
    assert_eq!(fault, TlsFault::Protocol);
}

#[test]
fn a_protocol_name_has_1_to_255_bytes() {
    for name in [String::new(), "x".repeat(256)] {
        let error = TlsOptions::new().insecure(true).alpn(&[&name]).build();
        assert!(error.expect_err("impossible").to_string().contains("ALPN"));
    }
}

#[test]
fn a_peer_without_tls_is_told() {
    let authority = Authority::new("root");
    let (stream, _peer) = with_peer(|mut stream| {
        let _hello = stream.read(&mut [0; 1000]);
        stream.write_all(b"\x20\x02\x00\x05 and other words").expect("it is there");
    });
    let error = connector(&trusting(&authority)).connect(stream, HOST, soon());
    let text = error.expect_err("no TLS").to_string();
    assert!(text.starts_with("broker.example does not speak TLS there"), "{text}");
}

#[test]
fn a_peer_that_closes_in_the_handshake_is_told() {
    let authority = Authority::new("root");
    let (stream, _peer) = with_peer(|mut stream| drop(stream.read(&mut [0; 1000])));
    let error = connector(&trusting(&authority)).connect(stream, HOST, soon());
    let error = error.expect_err("no TLS");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("is the port one for TLS?"), "{error}");
}

#[test]
fn a_silent_peer_costs_the_time_that_was_given() {
    let authority = Authority::new("root");
    let (stream, _silent) = crate::driver::transport::testing::pair();
    let now = std::time::Instant::now();
    let error = connector(&trusting(&authority)).connect(stream, HOST, now);
    let error = error.expect_err("no answer");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().starts_with("in the TLS handshake with broker.example: "), "{error}");
}

#[test]
fn a_peer_that_closes_without_a_word_ends_the_stream() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.server(&[HOST]));
    let (stream, _peer) = with_peer(move |stream| {
        let mut tls = server.accept(stream);
        tls.write_all(b"last").expect("it is there");
    });
    let mut tls = connector(&trusting(&authority)).connect(stream, HOST, soon()).expect("trusted");
    assert_eq!(read_to_end(&mut tls), b"last");
}

#[test]
fn finishing_is_no_error_if_the_broker_is_gone() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.server(&[HOST]));
    let (stream, peer) = with_peer(move |stream| {
        let mut tls = server.accept(stream);
        tls.flush().expect("it is there");
    });
    let mut tls = connector(&trusting(&authority)).connect(stream, HOST, soon()).expect("trusted");
    peer.join().expect("no panic");
    finish(&mut tls);
}

#[test]
fn decoded_bytes_are_input_although_the_source_has_none() {
    let (mut tls, _peer) = connected();
    write_all(&mut tls, b"0123456789");
    assert_eq!(read_exact(&mut tls, 1), b"0");
    assert!(tls.has_input());
    assert_eq!(read_exact(&mut tls, 9), b"123456789");
    assert!(!tls.has_input());
    let error = tls.read(&mut [0]).expect_err("there is none");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_goodbye_is_input_until_it_was_read() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.server(&[HOST]));
    let (stream, peer) = with_peer(move |stream| {
        let mut tls = server.accept(stream);
        tls.write_all(b"last").expect("it is there");
        tls.conn.send_close_notify();
        tls.flush().expect("it is there");
        // The transport stays open.
        tls
    });
    let mut tls = connector(&trusting(&authority)).connect(stream, HOST, soon()).expect("trusted");
    let _open = peer.join().expect("no panic");
    assert_eq!(read_exact(&mut tls, 4), b"last");
    assert!(tls.has_input());
    assert_eq!(tls.read(&mut [0]).expect("the end"), 0);
    assert!(!tls.has_input());
}

#[test]
fn a_transport_that_takes_nothing_does_not_make_the_buffer_grow() {
    let authority = Authority::new("root");
    let (stream, peer) = Server::new(&authority.server(&[HOST])).echo();
    let (stuffed, switch) = Stuffed::new(stream);
    let mut tls = connector(&trusting(&authority)).connect(stuffed, HOST, soon()).expect("trusted");
    let all = content(10 * MOST_UNSENT);
    let sent = fill_stuffed(&mut tls, &switch, &all, MOST_UNSENT);
    assert!(peer.join().expect("no panic").expect("a good end") == sent);
}

#[test]
fn with_insecure_any_certificate_will_do() {
    let server = Server::new(&Authority::new("whoever").expired_server(&["elsewhere"]));
    let (stream, _peer) = server.echo();
    let options = TlsOptions::new().insecure(true);
    let mut tls = connector(&options).connect(stream, HOST, soon()).expect("anything goes");
    write_all(&mut tls, b"x");
    assert_eq!(read_exact(&mut tls, 1), b"x");
}

#[test]
fn roots_come_from_files_and_folders() {
    let authority = Authority::new("root");
    let server = Server::new(&authority.server(&[HOST]));
    let folder = Folder::new("roots");
    let file = folder.file("ca.pem", authority.pem());
    folder.file("README", "no certificate is here");
    for options in [TlsOptions::new().root_file(&file), TlsOptions::new().root_directory(&folder.0)]
    {
        let (stream, _peer) = server.echo();
        connector(&options).connect(stream, HOST, soon()).expect("trusted");
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = Folder::new("unusable");
    let empty = folder.file("empty.pem", "nothing");
    let missing = folder.0.join("missing.pem");
    let text = |options: TlsOptions| options.build().expect_err("unusable").to_string();
    let name = |path: &std::path::Path| path.display().to_string();
    let error = text(TlsOptions::new().root_file(&empty));
    assert_eq!(error, format!("{}: there is no PEM certificate", name(&empty)));
    let error = text(TlsOptions::new().root_file(&missing));
    assert!(error.starts_with(&format!("{}: ", name(&missing))), "{error}");
    let error = text(TlsOptions::new().root_directory(&folder.0));
    assert_eq!(error, format!("{}: there is no PEM certificate", name(&folder.0)));
    let client = Authority::new("root").client("device");
    let certificate = folder.file("device.pem", &client.certificate);
    let error = text(TlsOptions::new().insecure(true).identity_files(&certificate, &certificate));
    assert_eq!(error, format!("{}: there is no PEM private key", name(&certificate)));
}

#[test]
fn an_encrypted_key_is_told_clearly() {
    let client = Authority::new("root").client("device");
    let pkcs8 =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
               AAAA\n-----END RSA PRIVATE KEY-----\n";
    for key in [pkcs8, old] {
        let options = TlsOptions::new()
            .insecure(true)
            .identity_pem(client.certificate.as_bytes(), key.as_bytes());
        let text = options.build().expect_err("encrypted").to_string();
        assert!(text.starts_with("the given PEM text: the private key is encrypted"), "{text}");
    }
}

#[test]
fn a_key_of_another_certificate_is_told() {
    let authority = Authority::new("root");
    let (one, other) = (authority.client("one"), authority.client("other"));
    let options = TlsOptions::new()
        .insecure(true)
        .identity_pem(one.certificate.as_bytes(), other.key.as_bytes());
    let text = options.build().expect_err("they do not fit").to_string();
    assert!(text.contains("the key is not that of the certificate"), "{text}");
}

#[test]
fn no_key_is_shown() {
    let authority = Authority::new("root");
    let client = authority.client("device");
    let options =
        trusting(&authority).identity_pem(client.certificate.as_bytes(), client.key.as_bytes());
    let connector = connector(&options);
    let (stream, _peer) = Server::new(&authority.server(&[HOST])).echo();
    let shown = format!("{options:?} {connector:?}");
    let tls = connector.connect(stream, HOST, soon()).expect("trusted");
    let shown = format!("{shown} {tls:?}");
    let line = client.key.lines().nth(1).expect("a key has lines");
    assert!(!shown.contains(line) && !shown.contains("PRIVATE"), "{shown}");
    assert!(shown.contains(HOST), "{shown}");
}

/// A folder that ends with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("mqtt-core-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("the folder is writable");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
