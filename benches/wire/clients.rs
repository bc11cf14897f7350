//! The clients that are measured, each in a process of its own.

use std::{io::Write as _, time::Duration};

use mqtt_core::{
    Event, Options, Publish, QoS, Topic,
    driver::tokio::{self as ours, Config},
};
use rumqttc::{AsyncClient, EventLoop, Incoming, MqttOptions, Outgoing};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

use crate::{Failure, PAYLOAD, TOPIC};

/// Publishes that may be in flight, with each client.
const WINDOW: u16 = 100;
const PAYLOAD_BYTES: [u8; PAYLOAD] = [b'x'; PAYLOAD];

/// A client, in the order of the columns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    Tokio,
    Rumqttc,
}

impl Client {
    pub(crate) const ALL: [Self; 2] = [Self::Tokio, Self::Rumqttc];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tokio => "driver::tokio",
            Self::Rumqttc => "rumqttc",
        }
    }
}

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// One task publishes as fast as it can, another one drives the connection.
    Publish(QoS),
    Receive(QoS),
}

impl Job {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Publish(qos) => format!("pub-{}", level(qos)),
            Self::Receive(qos) => format!("sub-{}", level(qos)),
        }
    }
}

const fn level(qos: QoS) -> u8 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
        QoS::ExactlyOnce => 2,
    }
}

/// Does the job, and reports its processor time in microseconds.
pub(crate) fn run(client: Client, job: Job, messages: u64, port: u16) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let took = runtime.block_on(async {
        match (client, job) {
            (Client::Tokio, Job::Publish(qos)) => our_publishes(qos, messages, port).await,
            (Client::Tokio, Job::Receive(qos)) => our_messages(qos, messages, port).await,
            (Client::Rumqttc, Job::Publish(qos)) => their_publishes(qos, messages, port).await,
            (Client::Rumqttc, Job::Receive(qos)) => their_messages(qos, messages, port).await,
        }
    })?;
    report(&took.as_micros().to_string())
}

fn report(line: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

/// The processor time of this process.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

async fn our_client(port: u16) -> Result<(ours::Client, ours::Events), Failure> {
    let config = Config::new(&Options::new("measured")).window(WINDOW.into());
    Ok(ours::Client::connect(config, &[&format!("localhost:{port}")]).await?)
}

async fn our_publishes(qos: QoS, messages: u64, port: u16) -> Result<Duration, Failure> {
    let (client, mut events) = our_client(port).await?;
    let before = used();
    let publishing = tokio::spawn(async move {
        let publish = Publish::new(Topic::new(TOPIC)?, &PAYLOAD_BYTES).qos(qos);
        for _ in 0..messages {
            let _ = client.send(&publish).await?;
        }
        Ok::<_, ours::Error>(())
    });
    let mut published = 0;
    while published < messages {
        published += u64::from(matches!(still_up(events.next().await)?, Event::Published(_)));
    }
    publishing.await??;
    Ok(used() - before)
}

async fn our_messages(qos: QoS, messages: u64, port: u16) -> Result<Duration, Failure> {
    let (client, mut events) = our_client(port).await?;
    let handle = client.subscribe(TOPIC, qos)?;
    let _granted = events.wait(handle, |_| {}).await?;
    report("ready")?;
    let before = used();
    let mut received = 0;
    while received < messages {
        received += u64::from(matches!(still_up(events.next().await)?, Event::Message(_)));
    }
    Ok(used() - before)
}

/// The event, if it is not the end of the connection.
fn still_up(event: Option<Event<'_>>) -> Result<Event<'_>, Failure> {
    match event {
        Some(Event::Down { reason, .. }) => Err(reason.to_string().into()),
        Some(event) => Ok(event),
        None => Err("the client is stopped".into()),
    }
}

async fn their_client(port: u16) -> Result<(AsyncClient, EventLoop), Failure> {
    let mut options = MqttOptions::new("measured", "localhost", port);
    options.set_inflight(WINDOW);
    let (client, mut events) = AsyncClient::new(options, WINDOW.into());
    while !matches!(events.poll().await?, rumqttc::Event::Incoming(Incoming::ConnAck(_))) {}
    Ok((client, events))
}

const fn their_qos(qos: QoS) -> rumqttc::QoS {
    match qos {
        QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
        QoS::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
        QoS::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
    }
}

async fn their_publishes(qos: QoS, messages: u64, port: u16) -> Result<Duration, Failure> {
    let (client, mut events) = their_client(port).await?;
    let before = used();
    let publishing = tokio::spawn(async move {
        for _ in 0..messages {
            client.publish(TOPIC, their_qos(qos), false, PAYLOAD_BYTES).await?;
        }
        Ok::<_, rumqttc::ClientError>(client)
    });
    let mut published = 0;
    while published < messages {
        let event = events.poll().await?;
        let done = if qos == QoS::AtMostOnce {
            matches!(event, rumqttc::Event::Outgoing(Outgoing::Publish(_)))
        } else {
            matches!(event, rumqttc::Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_)))
        };
        published += u64::from(done);
    }
    let _client = publishing.await??;
    Ok(used() - before)
}

async fn their_messages(qos: QoS, messages: u64, port: u16) -> Result<Duration, Failure> {
    let (client, mut events) = their_client(port).await?;
    client.subscribe(TOPIC, their_qos(qos)).await?;
    while !matches!(events.poll().await?, rumqttc::Event::Incoming(Incoming::SubAck(_))) {}
    report("ready")?;
    let before = used();
    let mut received = 0;
    while received < messages {
        let message =
            matches!(events.poll().await?, rumqttc::Event::Incoming(Incoming::Publish(_)));
        received += u64::from(message);
    }
    Ok(used() - before)
}
