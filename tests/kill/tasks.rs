//! The publisher as a client for tasks: see [`publisher`](crate::publisher).

use std::path::Path;

use mqtt_core::{
    OwnedEvent, Publish, QoS, Topic,
    driver::{
        journal::file::FileJournal,
        tokio::{Client, Config},
    },
};
use mqtt_examples::print;
use tokio::{runtime::Builder, time};

use crate::{
    Error, PATIENCE, Role, end_with_parent, message,
    publisher::{ID, LONG, PACE, WINDOW, options},
};

/// Events that may wait. None is waited for.
const QUEUE: usize = 100;

pub(crate) fn run(role: &Role) -> Result<(), Error> {
    end_with_parent();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Run(format!("no runtime: {error}")))?;
    runtime.block_on(serve(role))
}

async fn serve(role: &Role) -> Result<(), Error> {
    let journal = FileJournal::open(Path::new(&role.folder).join("publisher.journal"))?;
    let config = Config::new(&options(ID)).window(WINDOW).journal(journal.long_at(LONG));
    let (client, events) = Client::start(config, &[&role.broker])?;
    let mut events = events.into_queue(QUEUE);
    let telling = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let OwnedEvent::Up { .. } = event {
                print::line("up");
            }
        }
    });
    if role.last {
        finish(&client).await?;
        client.finish(PATIENCE).await.map_err(|error| Error::Run(format!("publisher: {error}")))?;
    } else {
        // Messages accepted before the last kill are in the journal. The source goes on behind them.
        publish(&client, client.position()).await?;
    }
    telling.await.map_err(|_| Error::Run("the task of the events panicked".into()))?;
    print::line(&format!("accepted {}", client.position()));
    Ok(())
}

/// Publishes without end.
async fn publish(client: &Client, mut next: u64) -> Result<(), Error> {
    loop {
        let (topic, payload) = (message::topic(next), message::payload(next));
        send(client, &topic, &payload, message::qos_of(next), next + 1).await?;
        next += 1;
        time::sleep(PACE).await;
    }
}

/// Publishes the last message of each QoS.
async fn finish(client: &Client) -> Result<(), Error> {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        send(client, &message::last_topic(qos), b"", qos, client.position()).await?;
    }
    Ok(())
}

/// Publishes one message, when there is room for it.
async fn send(
    client: &Client,
    topic: &str,
    payload: &[u8],
    qos: QoS,
    position: u64,
) -> Result<(), Error> {
    let request = |error| Error::Request { what: "publish", error };
    let topic = Topic::new(topic).map_err(|error| request(error.into()))?;
    let publish = Publish::new(topic, payload).qos(qos);
    let sent = time::timeout(PATIENCE, client.publish_at(&publish, position)).await;
    let sent = sent.map_err(|_| Error::Run("publisher: no room comes".into()))?;
    sent.map(drop).map_err(request)
}
