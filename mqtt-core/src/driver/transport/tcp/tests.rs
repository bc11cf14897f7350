use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
    vec::Vec,
};

use super::{HEAD_START, TcpOptions, in_turn};

const PATIENCE: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// An address where nothing answers: its queue of connections is full, so the system drops what comes.
#[cfg(target_os = "linux")]
struct Hanging {
    address: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

#[cfg(target_os = "linux")]
impl Hanging {
    fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let new = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let listener = new();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().expect("bound").as_socket().expect("IPv4");
        let queued = (0..4).map(|_| {
            let socket = new();
            socket.set_nonblocking(true).expect("settable");
            let _in_progress = socket.connect(&address.into());
            socket
        });
        let queued = queued.collect();
        Self { address, _listener: listener, _queued: queued }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_never_answers_costs_a_head_start_and_no_more() {
    let (hanging, (_listener, good)) = (Hanging::new(), listening());
    let start = Instant::now();
    let stream = TcpOptions::new().connect_any(&[hanging.address, good], soon()).expect("the second");
    assert_eq!(stream.peer_addr().ok(), Some(good));
    let took = start.elapsed();
    assert!((HEAD_START..PATIENCE / 4).contains(&took), "{took:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_time_bounds_all_addresses_together() {
    let hanging = [Hanging::new(), Hanging::new(), Hanging::new()];
    let addresses: Vec<_> = hanging.iter().map(|hanging| hanging.address).collect();
    let start = Instant::now();
    let until = start + HEAD_START * 2;
    let error = TcpOptions::new().connect_any(&addresses, until).expect_err("nobody answers");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() < PATIENCE / 4);
}

#[test]
fn an_address_that_refuses_is_followed_at_once_by_the_next_one() {
    let ((closed, refusing), (_listener, good)) = (listening(), listening());
    drop(closed);
    let stream = TcpOptions::new().connect_any(&[refusing, good], soon()).expect("the second one");
    assert_eq!(stream.peer_addr().ok(), Some(good));
}

#[test]
fn the_error_is_that_of_the_address_that_failed_last() {
    let (closed, refusing) = listening();
    drop(closed);
    let error = TcpOptions::new().connect_any(&[refusing], soon()).expect_err("it refuses");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let error = TcpOptions::new().connect_any(&[], soon()).expect_err("there is none");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_families_take_turns_and_the_first_one_stays_first() {
    let v4 = |last| SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 1));
    let v6 = |last| SocketAddr::from((Ipv6Addr::new(0xFD00, 0, 0, 0, 0, 0, 0, last), 1));
    let given = [v6(1), v6(2), v6(3), v4(1)];
    assert_eq!(in_turn(&given, None), [v6(1), v4(1), v6(2), v6(3)]);
    assert_eq!(in_turn(&given, Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED))), [v4(1)]);
}

#[test]
fn no_more_than_eight_addresses_are_tried() {
    let many: Vec<_> = (1..=50).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect();
    assert_eq!(in_turn(&many, None), many[..8]);
}

#[test]
fn the_options_reach_the_socket() {
    let (_listener, address) = listening();
    let options = TcpOptions::new()
        .nodelay(false)
        .keepalive(Duration::from_secs(40), Duration::from_secs(5))
        .user_timeout(Duration::from_secs(9))
        .local_address(Ipv4Addr::new(127, 0, 0, 5).into())
        .send_buffer(20_000);
    let stream = options.connect_any(&[address], soon()).expect("it listens");
    let local = stream.local_addr().expect("it is connected");
    assert_eq!(local.ip(), Ipv4Addr::new(127, 0, 0, 5));
    let socket = socket2::SockRef::from(&stream);
    assert!(!stream.nodelay().expect("readable"));
    assert!(socket.keepalive().expect("readable"));
    assert!(socket.send_buffer_size().expect("readable") >= 20_000);
    #[cfg(target_os = "linux")]
    {
        assert_eq!(socket.tcp_keepalive_time().ok(), Some(Duration::from_secs(40)));
        assert_eq!(socket.tcp_user_timeout().ok(), Some(Some(Duration::from_secs(9))));
    }
}

#[test]
fn a_connection_does_not_wait() {
    let (listener, address) = listening();
    let mut stream: TcpStream = TcpOptions::new().connect_any(&[address], soon()).expect("it listens");
    let _peer = listener.accept().expect("it connects");
    let error = io::Read::read(&mut stream, &mut [0]).expect_err("nothing was sent");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[cfg(target_os = "linux")]
#[test]
fn an_interface_that_does_not_exist_is_an_error() {
    let (_listener, address) = listening();
    let options = TcpOptions::new().interface("no-such-interface");
    assert!(options.connect_any(&[address], soon()).is_err());
}
