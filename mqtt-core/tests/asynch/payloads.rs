//! Publishes whose payload is read while it is sent.

use std::rc::Rc;

use mqtt_core::driver::asynch::{Outcome, Payloads, RunError};
use mqtt_core::{
    ConnectionState, Event, Instant, Options, PublishFrom, QoS, SourceFault, SourceId, topic,
};

use crate::broker::DialSplit;
use crate::executor::{Delay, World, run};
use crate::{device, kept, message};

const LEN: usize = 3_000;

/// Letters, other ones for each source. A read takes its time.
struct Letters {
    world: Rc<World>,
    pause: u64,
    /// From this offset on the source fails.
    fails_from: usize,
}

fn letters() -> Vec<u8> {
    (0..LEN).map(|at| b'a' + (at % 26) as u8).collect()
}

impl Payloads for Letters {
    async fn read(
        &mut self,
        source: SourceId,
        offset: u32,
        buffer: &mut [u8],
    ) -> Result<usize, SourceFault> {
        self.world.after(self.pause).await;
        if source != SourceId::new(1) {
            return Err(SourceFault::Gone);
        }
        let end = (offset as usize + buffer.len()).min(self.fails_from);
        let bytes = letters();
        let Some(rest) = bytes.get(offset as usize..end).filter(|rest| !rest.is_empty()) else {
            return Err(SourceFault::Failed);
        };
        buffer[..rest.len()].copy_from_slice(rest);
        Ok(rest.len())
    }
}

fn publish(source: u32, qos: QoS) -> PublishFrom<'static> {
    PublishFrom::new(topic!("up"), SourceId::new(source), LEN as u32).qos(qos)
}

fn options() -> Options<'static> {
    kept("d").sources(true)
}

#[test]
fn a_payload_larger_than_the_outbox_is_sent_in_its_place_also_over_a_broken_connection() {
    for pause in [0, 2] {
        for cut in [None, Some(40), Some(700), Some(2_999)] {
            device!(options() => world, broker, runner, client);
            broker.manners(|manners| manners.breaks_after = cut);
            let mut payloads = Letters { world: Rc::clone(&world), pause, fails_from: LEN };
            let clock = || -> Instant { world.instant() };
            let dial = DialSplit(broker.clone());
            let served = async {
                let delay = Delay(Rc::clone(&world));
                let handle = async |_: mqtt_core::driver::asynch::Requests<'_, _>,
                                    event: Event<'_>| {
                    if let Event::Down { .. } = event {
                        broker.manners(|manners| manners.breaks_after = None);
                    }
                };
                let ended: Result<(), RunError<_>> =
                    runner.run_from(&mut payloads, dial, delay, clock, handle).await;
                ended.expect("there is no journal");
            };
            let main = async {
                let _ = client.publish(&message("1", QoS::AtLeastOnce)).await.expect("a message");
                let large = client.publish_from_wait(&publish(1, QoS::AtLeastOnce)).await;
                assert_eq!(large, Ok(Outcome::Published));
                let _ = client.publish(&message("3", QoS::AtLeastOnce)).await.expect("a message");
                client.finish().await;
            };
            run(&world, main, vec![Box::pin(served)]);
            let mut delivered = broker.delivered();
            // At least once.
            delivered.dedup();
            assert_eq!(delivered, ["1", &String::from_utf8(letters()).unwrap(), "3"], "{cut:?}");
        }
    }
}

#[test]
fn a_payload_that_fails_ends_its_publish_and_not_the_others() {
    for (source, fails_from) in [(2, LEN), (1, 0), (1, 1_000)] {
        device!(options() => world, broker, runner, client);
        let mut payloads = Letters { world: Rc::clone(&world), pause: 1, fails_from };
        let clock = || -> Instant { world.instant() };
        let dial = DialSplit(broker.clone());
        let served = async {
            let delay = Delay(Rc::clone(&world));
            let ended: Result<(), RunError<_>> =
                runner.run_from(&mut payloads, dial, delay, clock, async |_, _| ()).await;
            ended.expect("there is no journal");
        };
        let main = async {
            let failed = client.publish_from_wait(&publish(source, QoS::ExactlyOnce)).await;
            assert_eq!(failed, Ok(Outcome::SourceFailed));
            let after = client.publish_wait(&message("after", QoS::AtLeastOnce)).await;
            assert_eq!(after, Ok(Outcome::Published));
            client.finish().await;
        };
        run(&world, main, vec![Box::pin(served)]);
        assert_eq!(broker.delivered(), ["after"]);
        assert_eq!(client.state(), ConnectionState::Stopped);
    }
}

#[test]
fn a_runner_without_payloads_says_so() {
    device!(options() => world, broker, runner, _client);
    let main = async {
        let clock = || -> Instant { world.instant() };
        let (dial, delay) = (DialSplit(broker.clone()), Delay(Rc::clone(&world)));
        let ended = runner.run(dial, delay, clock, async |_, _| ()).await;
        assert_eq!(ended, Err(RunError::NoPayloads));
    };
    run(&world, main, Vec::new());
}
