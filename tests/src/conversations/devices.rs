//! The client of `driver::asynch` as a [`Talker`], over the transports of hosts: an executor and a reactor of tokio, and
//! a link of the library behind the traits of embedded-io.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::driver::asynch::{self, Dial, Link, Requests, State, Waiter, fault};
use mqtt_core::driver::blocking::Connector;
use mqtt_core::driver::stream;
use mqtt_core::{Handle, Options, QoS, Slot, TransportFault};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::hosts::heard;
use super::talker::{Heard, Talker, checked, subscription};
use crate::message::Message;
use crate::transports::{Transport, Way};

/// The sizes of a client on a host: outbox, requests in flight, tasks that wait, read buffer, write buffer.
const OUTBOX: usize = 256 << 10;
const WINDOW: usize = 1024;
const WAITERS: usize = 4;
const BUFFER: usize = 64 << 10;

/// How long an attempt may take at most. The client gives it up earlier.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);

type Share = RefCell<State<'static>>;

/// Starts a client for devices over a transport. Its storage is that of a program that never ends, and is not freed.
///
/// # Panics
/// If its options are not possible.
#[must_use]
#[track_caller]
pub fn devices(
    transport: &Transport,
    broker: SocketAddr,
    options: &Options<'_>,
) -> Box<dyn Talker> {
    let way = transport.to(broker);
    let state = State::new(
        options,
        vec![0; OUTBOX].leak(),
        vec![Slot::EMPTY; WINDOW].leak(),
        vec![Waiter::FREE; WAITERS].leak(),
    );
    let state = state.unwrap_or_else(|error| panic!("no client: {error}"));
    let share: &'static Share = Box::leak(Box::new(RefCell::new(state)));
    let (read, write) = (vec![0; BUFFER].leak(), vec![0; BUFFER].leak());
    let (mut runner, client) = asynch::split(share, read, write).expect("possible buffers");
    let queue = Rc::new(RefCell::new(VecDeque::new()));
    let dialler = Dialler { connector: way.connector() };
    let (filled, start) = (Rc::clone(&queue), Instant::now());
    let run = async move {
        let now = || mqtt_core::Instant::from_millis(start.elapsed().as_millis() as u64);
        // The message that is coming in pieces.
        let mut begun = None;
        let handle = async |_: Requests<'_, Share>, event: mqtt_core::Event<'_>| {
            filled.borrow_mut().extend(heard(&event, &mut begun));
        };
        runner.run(dialler, Sleep, now, handle).await.expect("it has no journal");
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    Box::new(Device { requests: *client, queue, run: Some(Box::pin(run)), runtime, _way: way })
}

struct Device {
    requests: Requests<'static, Share>,
    queue: Rc<RefCell<VecDeque<Heard>>>,
    /// `None` once the client has stopped. It is polled while somebody waits for an event, as the other clients.
    run: Option<Pin<Box<dyn Future<Output = ()>>>>,
    runtime: Runtime,
    /// It outlives the client.
    _way: Way,
}

impl Drop for Device {
    fn drop(&mut self) {
        // Its transport belongs to the reactor.
        let _context = self.runtime.enter();
        self.run = None;
    }
}

impl Talker for Device {
    fn hear(&mut self, within: Duration) -> Option<Heard> {
        let Self { queue, run, runtime, .. } = self;
        runtime.block_on(async {
            let next = poll_fn(|context| {
                if let Some(future) = run {
                    if future.as_mut().poll(context).is_ready() {
                        *run = None;
                    }
                }
                match queue.borrow_mut().pop_front() {
                    None if run.is_some() => Poll::Pending,
                    heard => Poll::Ready(heard),
                }
            });
            tokio::time::timeout(within, next).await.ok().flatten()
        })
    }

    fn publish(&mut self, message: &Message) -> Result<Handle, String> {
        let Message { topic, payload, qos, retain } = message;
        let topic = mqtt_core::Topic::new(topic).map_err(|error| error.to_string())?;
        let publish = mqtt_core::Publish::new(topic, payload).qos(*qos).retain(*retain);
        self.requests.try_publish(&publish).map_err(|error| error.to_string())
    }

    fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Result<Handle, String> {
        let filters = subscription(filters)?;
        self.requests.subscribe(&filters).map_err(|error| error.to_string())
    }

    fn unsubscribe(&mut self, filters: &[&str]) -> Result<Handle, String> {
        let filters = filters.iter().copied().map(checked).collect::<Result<Vec<_>, _>>()?;
        self.requests.unsubscribe(&filters).map_err(|error| error.to_string())
    }

    fn cancel(&mut self, request: Handle) -> Result<(), String> {
        self.requests.cancel(request).map_err(|error| error.to_string())
    }

    fn disconnect(&mut self) {
        self.requests.disconnect();
    }
}

/// The delays of tokio.
struct Sleep;

impl DelayNs for Sleep {
    async fn delay_ns(&mut self, nanos: u32) {
        tokio::time::sleep(Duration::from_nanos(nanos.into())).await;
    }

    async fn delay_ms(&mut self, millis: u32) {
        tokio::time::sleep(Duration::from_millis(millis.into())).await;
    }
}

/// Opens links of the library, each attempt in a thread that may wait.
struct Dialler {
    connector: Arc<dyn Connector>,
}

impl Dial for Dialler {
    type Link<'a> = Shared;

    async fn dial(&mut self, endpoint: u8) -> Result<Shared, TransportFault> {
        let connector = Arc::clone(&self.connector);
        let opened =
            tokio::task::spawn_blocking(move || connector.connect(endpoint, LONGEST_ATTEMPT));
        let link = opened.await.expect("a connector does not panic");
        link.and_then(Shared::new).map_err(|error| fault(&error))
    }
}

/// A link of the library whose two directions share it: neither waits while it holds it.
struct Shared {
    link: RefCell<stream::Link>,
    /// A second descriptor of it. It is only waited for, and for that every kind of descriptor is the same.
    source: TcpStream,
}

impl Shared {
    fn new(link: stream::Link) -> io::Result<Self> {
        let source = std::net::TcpStream::from(link.source().try_clone_to_owned()?);
        source.set_nonblocking(true)?;
        Ok(Self { link: RefCell::new(link), source: TcpStream::from_std(source)? })
    }

    /// Waits for the reactor, which tells again from then on.
    async fn ready(&self, interest: Interest) -> io::Result<()> {
        self.source.ready(interest).await?;
        let _used_up =
            self.source.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        Ok(())
    }
}

struct Reader<'l>(&'l Shared);

struct Writer<'l>(&'l Shared);

impl ErrorType for Reader<'_> {
    type Error = io::Error;
}

impl ErrorType for Writer<'_> {
    type Error = io::Error;
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Read for Reader<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.link.borrow_mut().read(buffer);
            match read {
                Err(error) if waits(&error) => self.0.ready(Interest::READABLE).await?,
                done => return done,
            }
        }
    }
}

impl Writer<'_> {
    async fn when_ready<T>(
        &mut self,
        mut act: impl FnMut(&mut stream::Link) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let acted = act(&mut self.0.link.borrow_mut());
            match acted {
                Err(error) if waits(&error) => self.0.ready(Interest::WRITABLE).await?,
                done => return done,
            }
        }
    }
}

impl Write for Writer<'_> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.when_ready(|link| link.write(bytes)).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.when_ready(|link| link.flush()).await
    }
}

impl Link for Shared {
    type Reader<'l> = Reader<'l>;
    type Writer<'l> = Writer<'l>;

    const BUFFERS: bool = true;

    fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        (Reader(self), Writer(self))
    }

    async fn shut(&mut self) {
        // If it fails, the peer is gone already.
        let _gone = Writer(self).when_ready(|link| link.finish()).await;
    }
}
