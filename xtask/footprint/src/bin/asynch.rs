//! The full client over the async driver: the requests of `client`, by a task that waits for room and for outcomes, and
//! an async handler. The executor polls without end, and the transport is always ready.
#![no_std]
#![no_main]

use core::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
};

use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{ErrorType, Read, Write};
use footprint::{now, read, write};
use mqtt_core::driver::asynch::{Client, Dial, Requests, State, Storage, Whole, split};
use mqtt_core::{
    Event, Login, Options, Publish, QoS, TransportFault, Version, Will, filter, topic,
};

type Share<'s> = RefCell<State<'s>>;

/// Constant, so that no code runs to build it.
const OPTIONS: Options<'static> = Options::new("boiler-7")
    .version(Version::Auto)
    .clean_session(false)
    .will(Will::new(topic!("boiler/7/state"), b"gone").qos(QoS::AtLeastOnce).retain(true))
    .login(Login::new("boiler", Some(b"secret")))
    .manual_acknowledge(true);

struct Line;

impl ErrorType for Line {
    type Error = Infallible;
}

impl Read for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(read(buffer))
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(write(bytes))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Dialler;

impl Dial for Dialler {
    type Link<'a> = Whole<Line>;

    async fn dial(&mut self, endpoint: u8) -> Result<Whole<Line>, TransportFault> {
        if black_box(endpoint) == 0 { Ok(Whole::new(Line)) } else { Err(TransportFault::Refused) }
    }
}

struct Delay;

impl DelayNs for Delay {
    async fn delay_ns(&mut self, nanos: u32) {
        black_box(nanos);
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut storage = Storage::<1024, 8, 4>::new();
    if let Ok(state) = storage.state(&OPTIONS) {
        let share = RefCell::new(state);
        let (mut input, mut output) = ([0; 256], [0; 256]);
        if let Ok((mut runner, client)) = split(&share, &mut input, &mut output) {
            let mut run = pin!(runner.run(Dialler, Delay, now, handle));
            let mut task = pin!(request(client));
            let mut context = Context::from_waker(Waker::noop());
            loop {
                let _ = run.as_mut().poll(&mut context);
                let _ = task.as_mut().poll(&mut context);
            }
        }
    }
    loop {}
}

async fn handle(requests: Requests<'_, Share<'_>>, event: Event<'_>) {
    match event {
        Event::Message(message) => {
            write(message.topic.as_bytes());
            write(message.payload);
            if let Some(delivery) = message.delivery {
                let _ = requests.acknowledge(delivery);
            }
        }
        Event::MessageChunk(bytes) => {
            write(bytes);
        }
        Event::MessageEnd { delivery: Some(delivery) } => {
            let _ = requests.acknowledge(delivery);
        }
        other => {
            black_box(&other);
        }
    }
}

/// The requests of an application.
async fn request(client: Client<'_, Share<'_>>) {
    loop {
        match black_box(0_u8) {
            0 => {
                let qos = match black_box(0_u8) {
                    0 => QoS::AtMostOnce,
                    1 => QoS::AtLeastOnce,
                    _ => QoS::ExactlyOnce,
                };
                let publish = Publish::new(topic!("boiler/7/temperature"), black_box(b"21.5"));
                let _ = client.publish_wait(&publish.qos(qos).retain(black_box(false))).await;
            }
            1 => {
                let filters = black_box(&[(filter!("boiler/7/set/#"), QoS::ExactlyOnce)]);
                let _ = client.subscribe_wait(filters).await;
            }
            2 => {
                let _ = client.unsubscribe(black_box(&[filter!("boiler/7/set/#")]));
            }
            3 => client.disconnect(),
            4 => client.connect(),
            _ => {}
        }
    }
}
