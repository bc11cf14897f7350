//! A client over any stream, without a driver of the library: a loop of a few lines, as an application may have one.

use std::io;
use std::time::Instant;

use mqtt_core::driver::stream::Stream;
use mqtt_core::framer::Framer;
use mqtt_core::{Action, BoxedClient, Event, Filter, Options, Publish, QoS, Reason, Topic};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::process::SOON;

const BUFFER: usize = 64 * 1024;
const TOPIC: &str = "over/stream";

/// An open connection of a client that has subscribed to a topic.
pub struct Over<S> {
    client: BoxedClient,
    stream: S,
    framer: Framer<Box<[u8]>>,
    start: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Up,
    Subscribed,
    Published,
    Message(Vec<u8>),
    Closed,
}

impl<S: Stream> Over<S> {
    /// Connects and subscribes.
    ///
    /// # Errors
    ///
    /// The error of the stream, or the reason of the client.
    ///
    /// # Panics
    ///
    /// If the options are not possible.
    pub fn open(stream: S, options: &Options<'_>) -> io::Result<Self> {
        let options = options.clone().receive_capacity(BUFFER);
        let client = BoxedClient::new_boxed(&options, BUFFER, 8).expect("possible options");
        let framer = Framer::new(vec![0; BUFFER].into_boxed_slice());
        let mut over = Self { client, stream, framer, start: Instant::now() };
        over.expect(&Seen::Up)?;
        let filter = Filter::new(TOPIC).expect("a filter");
        let _ = over.client.subscribe(&[(filter, QoS::ExactlyOnce)]).expect("there is room");
        over.expect(&Seen::Subscribed)?;
        Ok(over)
    }

    /// Publishes the payload at QoS 2 and waits until it has come back.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Panics
    ///
    /// If another payload comes back.
    pub fn send_and_receive(&mut self, payload: &[u8]) -> io::Result<()> {
        let topic = Topic::new(TOPIC).expect("a topic");
        let publish = Publish::new(topic, payload).qos(QoS::ExactlyOnce);
        let _ = self.client.publish(&publish).expect("there is room");
        let (mut published, mut received) = (false, false);
        while !published || !received {
            match self.next()? {
                Seen::Published => published = true,
                Seen::Message(back) => {
                    assert!(back == payload, "another payload came back");
                    received = true;
                }
                other @ (Seen::Up | Seen::Subscribed | Seen::Closed) => {
                    panic!("waited for a message, saw {other:?}")
                }
            }
        }
        Ok(())
    }

    /// Disconnects, finishes the stream and reads to its end.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn close(mut self) -> io::Result<()> {
        self.client.disconnect();
        self.expect(&Seen::Closed)?;
        loop {
            match self.stream.finish() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(true)?,
                finished => break finished?,
            }
        }
        match self.read_to_end() {
            // After a DISCONNECT Mosquitto does not read the goodbye of the layers below, so the system resets.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            ended => ended,
        }
    }

    /// Waits until the broker ends the stream.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn read_to_end(&mut self) -> io::Result<()> {
        loop {
            match self.stream.read(&mut [0; 100]) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(false)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn expect(&mut self, wanted: &Seen) -> io::Result<()> {
        let seen = self.next()?;
        assert!(seen == *wanted, "waited for {wanted:?}, saw {seen:?}");
        Ok(())
    }

    fn next(&mut self) -> io::Result<Seen> {
        loop {
            let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let now = mqtt_core::Instant::from_millis(millis);
            let all = self.framer.input();
            let mut input = all;
            let event = self.client.receive(&mut input, now).map_err(io::Error::other)?;
            let (seen, taken) = (event.and_then(seen), all.len() - input.len());
            self.framer.consume(taken);
            if let Some(seen) = seen {
                return Ok(seen);
            }
            let blocked = match self.client.poll(now) {
                Action::Connect { .. } => {
                    self.client.connected(now);
                    continue;
                }
                Action::Transmit(bytes) => match self.stream.write(bytes) {
                    Ok(count) => {
                        self.client.transmitted(count, now);
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                    Err(error) => return Err(error),
                },
                Action::Close(Reason::Requested) => return Ok(Seen::Closed),
                Action::Close(reason) => return Err(io::Error::other(reason.to_string())),
                Action::Persist(_) => unreachable!("there is no journal"),
                Action::TransmitFrom(_) => unreachable!("there is no source"),
                Action::Wait(_) => false,
            };
            self.wait(blocked)?;
            match self.stream.read(self.framer.space()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.framer.filled(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for input, or until the transport takes bytes again.
    fn wait(&mut self, blocked: bool) -> io::Result<()> {
        if self.stream.has_output() {
            match self.stream.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                flushed => flushed?,
            }
        }
        if self.stream.has_input() {
            return Ok(());
        }
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, blocked || self.stream.has_output());
        let mut source = [PollFd::from_borrowed_fd(self.stream.source(), flags)];
        let limit = Timespec::try_from(SOON).expect("a short time");
        if rustix::event::poll(&mut source, Some(&limit))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

/// Other events are of no interest.
fn seen(event: Event<'_>) -> Option<Seen> {
    if let Event::Message(message) = event {
        return Some(Seen::Message(message.payload.to_vec()));
    }
    if let Event::Up { .. } = event {
        return Some(Seen::Up);
    }
    if let Event::Subscribed { .. } = event {
        return Some(Seen::Subscribed);
    }
    // RabbitMQ has no QoS 2 and says so.
    let published = matches!(event, Event::Published(_) | Event::Downgraded(_));
    published.then_some(Seen::Published)
}

/// A whole life over a stream: connects, subscribes, publishes a short and a long payload at QoS 2, gets them back, and
/// disconnects.
///
/// # Errors
///
/// The error of the stream, or the reason of the client.
///
/// # Panics
///
/// If another payload comes back.
pub fn session_over(stream: impl Stream, options: &Options<'_>) -> io::Result<()> {
    let mut over = Over::open(stream, options)?;
    over.send_and_receive(b"short")?;
    over.send_and_receive(&crate::content(40_000))?;
    over.close()
}
