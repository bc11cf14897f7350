//! Transports (TLS, WebSocket, Unix sockets, proxies, serial lines) with real peers: Mosquitto, aedes behind the
//! WebSocket server `ws`, tinyproxy, microsocks. A client has a whole life over each: subscribes, publishes at QoS 2,
//! gets the message back, disconnects.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::{self, Brokers};
use mqtt_core::driver::trace::Pcapng;
use mqtt_core::driver::transport::{
    Modem, Proxy, Serial, SerialOptions, Tls, TlsError, TlsFault, TlsOptions, TlsVersion,
    WebSocketOptions, unix,
};
use mqtt_core::{Event, Login, Options, Publish, QoS, Reason, Reconnect, TransportFault, topic};
use rustix::event::{PollFd, PollFlags};
use system_tests::brokers::{aedes_websocket, start_rabbitmq_web};
use system_tests::{Capture, Config, Mosquitto, Over, ProxyServer, SOON, session_over};
use tempfile::TempDir;
use test_kit::certificates::{Authority, Identity};
use test_kit::terminal::pseudo_terminal;

mod secured;
use secured::{HOST, Secured};

fn soon() -> Instant {
    Instant::now() + SOON
}

fn options() -> Options<'static> {
    Options::new("over-stream")
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nonblocking(true).expect("settable");
    stream
}

impl Secured {
    fn connect(&self, options: &TlsOptions) -> io::Result<Tls<TcpStream>> {
        options.build()?.connect(tcp(self.broker.address()), HOST, soon())
    }

    /// The error of a connection with a login. The broker has not heard of the login.
    #[track_caller]
    fn refused(&self, options: &TlsOptions) -> (String, TlsFault) {
        let login = Login::new("ada", Some(b"sesame"));
        let connected = self.connect(options);
        let life = connected.and_then(|tls| session_over(tls, &self::options().login(login)));
        let error = life.expect_err("refused");
        self.broker.log().wait("SSL routines", SOON);
        assert_eq!(self.broker.log().count("New client connected"), 0);
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        let fault = tls.unwrap_or_else(|| panic!("no error of TLS: {error:?}")).fault();
        (error.to_string(), fault)
    }
}

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions::new().root_pem(authority.pem().as_bytes())
}

#[test]
fn a_client_lives_over_tls_with_a_trusted_broker() {
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.server(&[HOST]), &[]);
    let root = secured.file("root.pem", authority.pem());
    for options in [trusting(&authority), TlsOptions::new().root_file(root)] {
        let tls = secured.connect(&options).expect("trusted");
        assert_eq!(tls.version(), Some(TlsVersion::Tls13));
        session_over(tls, &self::options()).expect("a good life");
    }
}

#[test]
fn a_trace_shows_what_tls_hides() {
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.server(&[HOST]), &[]);
    let path = secured.folder.path().join("tls.pcapng");
    let file = Pcapng::create(&path).expect("the folder is writable");
    let address = format!("mqtts://{HOST}:{}", secured.broker.address().port());
    let tls = trusting(&authority).build().expect("a root");
    let brokers = Brokers::new(&[&address]).expect("an address").tls(tls);
    let options = options().login(Login::new("ada", Some(b"sesame")));
    let config = blocking::Config::new(&options).trace(file);
    let (client, mut events) = config.to(brokers).expect("it starts");
    let publish = Publish::new(topic!("a/b"), b"hello").qos(QoS::AtLeastOnce);
    let _ = client.send(&publish).expect("there is room");
    while let Some(event) = events.next() {
        if let Event::Published(_) = event {
            client.disconnect();
        } else if let Event::Down { reason, .. } = event {
            assert_eq!(reason, Reason::Requested);
        }
    }

    let capture = Capture::at(&path);
    capture.is_sound();
    assert_eq!(capture.values("mqtt", "mqtt.msgtype"), ["1", "2", "3", "4", "14"]);
    assert_eq!(capture.values("mqtt.passwd", "mqtt.passwd"), ["******"]);
}

#[test]
fn a_client_lives_over_tls_1_2() {
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.server(&[HOST]), &["tls_version tlsv1.2"]);
    let tls = secured.connect(&trusting(&authority)).expect("trusted");
    session_over(tls, &options()).expect("a good life");
}

#[test]
fn a_broker_of_an_unknown_authority_hears_no_login() {
    let authority = Authority::new("root");
    let secured = Secured::start(&Authority::new("other").server(&[HOST]), &[]);
    let (text, fault) = secured.refused(&trusting(&authority));
    assert_eq!(text, "the certificate of localhost is signed by an unknown authority");
    assert_eq!(fault, TlsFault::NotTrusted);
}

#[test]
fn a_broker_whose_certificate_has_expired_hears_no_login() {
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.expired_server(&[HOST]), &[]);
    let (text, fault) = secured.refused(&trusting(&authority));
    assert_eq!(text, "the certificate of localhost has expired, by the clock of this machine");
    assert_eq!(fault, TlsFault::NotTrusted);
}

#[test]
fn a_broker_of_another_name_hears_no_login() {
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.server(&["broker.example"]), &[]);
    let (text, fault) = secured.refused(&trusting(&authority));
    let wanted =
        "the certificate of the broker is not for the name localhost, but for broker.example";
    assert_eq!(text, wanted);
    assert_eq!(fault, TlsFault::NotTrusted);
}

#[test]
fn a_client_without_a_certificate_is_told_that_the_broker_wants_one() {
    let authority = Authority::new("root");
    let server = authority.server(&[HOST]);
    for versions in [&[][..], &["tls_version tlsv1.2"]] {
        let secured = Secured::with_clients(&server, Some(&authority), versions);
        let (text, fault) = secured.refused(&trusting(&authority));
        assert!(text.contains("wants a client certificate"), "{text}");
        assert_eq!(fault, TlsFault::NotAccepted);
    }
}

/// The reason and the error that a client over `secured` tells first.
#[track_caller]
fn told(secured: &Secured, tls: &TlsOptions) -> (Reason, String) {
    let address = format!("mqtts://ada:sesame@{HOST}:{}", secured.broker.address().port());
    let brokers = Brokers::new(&[&address]).expect("an address").tls(tls.build().expect("a root"));
    let options = options().reconnect(Reconnect::never());
    let (_client, mut events) = blocking::Config::new(&options).to(brokers).expect("it starts");
    while let Some(event) = events.next() {
        if let Event::Down { reason, .. } = event {
            let error = events.last_error().expect("the cause").to_string();
            return (reason, error);
        }
    }
    panic!("it has no end");
}

#[test]
fn the_blocking_client_tells_why_tls_failed_by_its_event() {
    let authority = Authority::new("root");
    let server = authority.server(&[HOST]);
    let secured = Secured::start(&server, &[]);
    let (reason, error) = told(&secured, &trusting(&Authority::new("other")));
    assert_eq!(reason, Reason::TransportFailed(TransportFault::NotTrusted));
    assert!(error.contains("is signed by an unknown authority"), "{error}");
    assert!(!error.contains("sesame"), "{error}");
    // In TLS 1.3 the broker says so behind the handshake.
    let secured = Secured::with_clients(&server, Some(&authority), &[]);
    let (reason, error) = told(&secured, &trusting(&authority));
    assert_eq!(reason, Reason::TransportFailed(TransportFault::NotAccepted));
    assert!(error.contains("wants a client certificate"), "{error}");
}

#[test]
fn a_client_certificate_of_another_authority_is_not_accepted() {
    let authority = Authority::new("root");
    let secured = Secured::with_clients(&authority.server(&[HOST]), Some(&authority), &[]);
    let client = Authority::new("other").client("device");
    let options =
        trusting(&authority).identity_pem(client.certificate.as_bytes(), client.key.as_bytes());
    let (text, fault) = secured.refused(&options);
    assert!(text.contains("client certificate"), "{text}");
    assert_eq!(fault, TlsFault::NotAccepted);
}

#[test]
fn a_client_certificate_is_its_name_at_the_broker() {
    let authority = Authority::new("root");
    let server = authority.server(&[HOST]);
    let by_name = ["use_identity_as_username true"];
    let secured = Secured::with_clients(&server, Some(&authority), &by_name);
    let client = authority.client("device-7");
    let certificate = secured.file("device.pem", &client.certificate);
    let key = secured.file("device.key", &client.key);
    let tls = secured.connect(&trusting(&authority).identity_files(certificate, key));
    session_over(tls.expect("trusted"), &options()).expect("a good life");
    secured.broker.log().wait("u'device-7'", SOON);
}

#[test]
fn a_port_without_tls_is_told() {
    let broker = Mosquitto::start();
    let tls = trusting(&Authority::new("root")).build().expect("possible");
    let error = tls.connect(tcp(broker.address()), HOST, soon()).expect_err("no TLS");
    assert!(error.to_string().contains("is the port one for TLS?"), "{error}");
}

/// Whether WebSocket can be tested here.
fn has_websocket() -> bool {
    let here = aedes_websocket::is_here();
    if let Err(why) = &here {
        println!("{why}");
    }
    here.is_ok()
}

#[test]
fn a_client_lives_over_websocket() {
    if !has_websocket() {
        return;
    }
    let broker = aedes_websocket::start(None);
    let port = broker.address().port();
    let socket = WebSocketOptions::default().connect(tcp(broker.address()), HOST, port, soon());
    session_over(socket.expect("it is open"), &options()).expect("a good life");
}

#[test]
fn a_client_lives_over_websocket_over_tls() {
    if !has_websocket() {
        return;
    }
    let authority = Authority::new("root");
    let Identity { certificate, key } = authority.server(&[HOST]);
    let broker = aedes_websocket::start(Some((certificate, key)));
    let connector = trusting(&authority).build().expect("possible");
    // Node.js resumes sessions.
    for round in 0..2 {
        let tls = connector.connect(tcp(broker.address()), HOST, soon()).expect("trusted");
        assert_eq!(tls.resumed(), round > 0);
        let port = broker.address().port();
        let socket = WebSocketOptions::default().connect(tls, HOST, port, soon());
        session_over(socket.expect("it is open"), &options()).expect("a good life");
    }
}

#[test]
fn a_client_lives_over_websocket_with_rabbitmq() {
    let broker = match start_rabbitmq_web() {
        Ok(broker) => broker,
        Err(why) => return println!("{why}"),
    };
    let address = broker.address();
    let socket = WebSocketOptions::new("/ws").connect(tcp(address), HOST, address.port(), soon());
    session_over(socket.expect("it is open"), &options()).expect("a good life");
    let error = WebSocketOptions::default().connect(tcp(address), HOST, address.port(), soon());
    let error = error.expect_err("its path is another one");
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
}

#[test]
fn another_path_than_that_of_the_broker_is_told() {
    if !has_websocket() {
        return;
    }
    let broker = aedes_websocket::start(None);
    let address = broker.address();
    let options = WebSocketOptions::new("/elsewhere");
    let error = options.connect(tcp(address), HOST, address.port(), soon());
    let text = error.expect_err("no such path").to_string();
    let place = format!("WebSocket localhost:{}/elsewhere: ", address.port());
    assert_eq!(text, format!("{place}refused: 400 Bad Request"));
}

#[test]
fn a_broker_without_websocket_is_told() {
    let broker = Mosquitto::start();
    let port = broker.address().port();
    let socket = WebSocketOptions::default().connect(tcp(broker.address()), HOST, port, soon());
    let error = socket.expect_err("it speaks MQTT alone");
    assert!(error.to_string().ends_with("the connection was closed before the answer"), "{error}");
}

#[test]
fn a_client_lives_over_a_unix_socket() {
    let folder = TempDir::with_prefix("socket-").expect("a temporary folder");
    let path = folder.path().join("broker");
    let mut broker = Config::new().line(&format!("listener 0 {}", path.display())).start();
    session_over(unix::connect(&path, soon()).expect("it listens"), &options())
        .expect("a good life");
    broker.kill();
    let text = unix::connect(&path, soon()).expect_err("nobody listens").to_string();
    assert!(text.starts_with(&format!("Unix socket {}: ", path.display())), "{text}");
}

/// A life over a proxy to the broker, with and without TLS behind it.
fn live_over(proxy: &Proxy, server: &ProxyServer) {
    let broker = Mosquitto::start();
    let to = |port| proxy.connect(tcp(server.address()), HOST, port, soon()).expect("allowed");
    session_over(to(broker.address().port()), &options()).expect("a good life");
    let authority = Authority::new("root");
    let secured = Secured::start(&authority.server(&[HOST]), &[]);
    let tls = trusting(&authority).build().expect("possible");
    let stream = to(secured.broker.address().port());
    let tls = tls.connect(stream, HOST, soon()).expect("trusted");
    session_over(tls, &options()).expect("a good life");
}

type StartProxy = fn(Option<(&str, &str)>) -> Option<ProxyServer>;
type MakeProxy = fn(&str, u16) -> Proxy;

/// Both kinds, as far as they are here.
fn proxies(login: Option<(&str, &str)>) -> Vec<(Proxy, ProxyServer)> {
    let kinds: [(StartProxy, MakeProxy); 2] =
        [(ProxyServer::http, Proxy::http), (ProxyServer::socks5, Proxy::socks5)];
    let mut all = Vec::new();
    for (start, make) in kinds {
        match start(login) {
            Some(server) => {
                let address = server.address();
                all.push((make(&address.ip().to_string(), address.port()), server));
            }
            None => println!("a proxy is not here: tinyproxy or microsocks"),
        }
    }
    all
}

#[test]
fn a_client_lives_behind_a_proxy() {
    for (proxy, server) in proxies(None) {
        live_over(&proxy, &server);
    }
}

#[test]
fn a_client_lives_behind_a_proxy_with_a_login() {
    for (proxy, server) in proxies(Some(("ada", "sesame"))) {
        live_over(&proxy.login("ada", "sesame"), &server);
    }
}

#[test]
fn a_wrong_login_at_a_proxy_is_told_without_the_password() {
    for (proxy, server) in proxies(Some(("ada", "sesame"))) {
        for proxy in [proxy.clone(), proxy.login("ada", "wrong-one")] {
            let connected = proxy.connect(tcp(server.address()), HOST, 1, soon());
            let error = connected.expect_err("the login is wrong");
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
            assert!(error.to_string().contains("login"), "{error}");
            assert!(!format!("{error:?}").contains("wrong-one"), "{error:?}");
        }
    }
}

#[test]
fn a_broker_that_a_proxy_cannot_reach_is_told() {
    for (proxy, server) in proxies(None) {
        let mut broker = Mosquitto::start();
        let port = broker.address().port();
        broker.kill();
        let error = proxy.connect(tcp(server.address()), HOST, port, soon());
        let text = error.expect_err("nobody listens").to_string();
        assert!(text.contains(&format!("on the way to localhost:{port}: ")), "{text}");
    }
}

/// A modem at the other end of a serial line. It calls a broker over TCP.
struct SimulatedModem {
    path: PathBuf,
    running: JoinHandle<()>,
}

impl SimulatedModem {
    fn start(broker: SocketAddr) -> Self {
        let (mut line, path) = pseudo_terminal();
        let running = thread::spawn(move || {
            loop {
                let Some(command) = read_command(&mut line) else { return };
                // A modem repeats what it hears.
                let mut say = |text: &str| line.write_all(text.as_bytes()).expect("it is open");
                say(&format!("{command}\r"));
                if !command.starts_with("ATD") {
                    say("\r\nOK\r\n");
                    continue;
                }
                match TcpStream::connect(broker) {
                    Err(_) => say("\r\nNO CARRIER\r\n"),
                    Ok(call) => {
                        say("\r\nCONNECT 115200\r\n");
                        return pass_on(line, call);
                    }
                }
            }
        });
        Self { path, running }
    }

    fn modem() -> Modem {
        let limit = Duration::from_secs(20);
        Modem::new()
            .command("ATZ", "OK", limit)
            .command("AT+CGDCONT=1,\"IP\",\"internet\"", "OK", limit)
            .command("ATD*99#", "CONNECT", limit)
    }

    fn dial(&self) -> io::Result<Serial> {
        let mut serial = Serial::open(&self.path, &SerialOptions::new(115_200))?;
        serial.dial(&Self::modem(), soon())?;
        Ok(serial)
    }
}

/// The command up to its carriage return; `None` if the line is closed.
fn read_command(line: &mut fs::File) -> Option<String> {
    let mut command = Vec::new();
    loop {
        let mut byte = [0];
        match (line.read(&mut byte), byte) {
            (Ok(1), [b'\r']) => return String::from_utf8(command).ok(),
            (Ok(1), [byte]) => command.push(byte),
            _ => return None,
        }
    }
}

/// Passes bytes on in both directions until one of them ends. Then the carrier is lost.
fn pass_on(mut line: fs::File, mut call: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        let mut ready = [PollFd::new(&line, PollFlags::IN), PollFd::new(&call, PollFlags::IN)];
        rustix::event::poll(&mut ready, None).expect("two descriptors");
        let [from_line, from_call] = ready.map(|end| !end.revents().is_empty());
        let mut pass = |from: &mut dyn Read, to: &mut dyn Write| {
            let len = from.read(&mut buffer).ok().filter(|&len| len > 0)?;
            to.write_all(buffer.get(..len)?).ok()
        };
        if from_line && pass(&mut line, &mut call).is_none() {
            return;
        }
        if from_call && pass(&mut call, &mut line).is_none() {
            let _closed = line.write_all(b"\r\nNO CARRIER\r\n");
            return;
        }
    }
}

#[test]
fn a_client_lives_over_a_serial_line_with_a_modem() {
    let broker = Mosquitto::start();
    let modem = SimulatedModem::start(broker.address());
    // The broker ends the call after the DISCONNECT.
    session_over(modem.dial().expect("a call"), &options()).expect("a good life");
    modem.running.join().expect("no panic");
}

#[test]
fn a_call_ends_with_its_line() {
    let broker = Mosquitto::start();
    let modem = SimulatedModem::start(broker.address());
    let mut over = Over::open(modem.dial().expect("a call"), &options()).expect("connected");
    over.send_and_receive(b"x").expect("connected");
    drop(over);
    modem.running.join().expect("no panic");
    broker.log().wait("Client over-stream closed its connection", SOON);
}

#[test]
fn a_carrier_that_is_lost_ends_the_stream() {
    let mut broker = Mosquitto::start();
    let modem = SimulatedModem::start(broker.address());
    let mut over = Over::open(modem.dial().expect("a call"), &options()).expect("connected");
    over.send_and_receive(b"x").expect("connected");
    broker.kill();
    over.read_to_end().expect("an end, and no error");
    modem.running.join().expect("no panic");
}

#[test]
fn a_call_that_nobody_takes_is_told() {
    let mut broker = Mosquitto::start();
    broker.kill();
    let modem = SimulatedModem::start(broker.address());
    let error = modem.dial().expect_err("no carrier");
    assert!(error.to_string().ends_with("the modem at ATD*99#: NO CARRIER"), "{error}");
}
