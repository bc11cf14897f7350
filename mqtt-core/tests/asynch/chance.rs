//! Lives of devices in which everything that can fail does so, by chance: links break at any byte, stall and are slow, the
//! future of `run` and those of requests are dropped, the journal fails, the device sleeps and disconnects.
//!
//! Nothing may be lost, doubled or stuck, and every request ends once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use mqtt_core::driver::asynch::{
    Client, Dial, Requests, RunError, Runner, State, Ticket, Waiter, split,
};
use mqtt_core::driver::journal::longest_record;
use mqtt_core::{
    ConnectionState, Event, Handle, QoS, Reconnect, RequestError, Slot, TransportFault,
};

use crate::broker::{Broker, DialBuffered, DialSplit, DialWhole, Manners};
use crate::executor::{Delay, Task, World, dropped_after, run};
use crate::journal::Slow;
use crate::{Shared, kept, message, payload};

/// When the faults end, in milliseconds.
const CALM: u64 = 20_000;

/// How long the client may take to come to rest then. A time-out of each kind fits in.
const REST: u64 = 400_000;

const TASKS: usize = 3;
const MESSAGES: usize = 6;

/// What is known of a message to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Accepted(QoS),
    /// The future that would have told was dropped.
    Unknown(QoS),
}

/// What the tasks of a life note down.
#[derive(Default)]
struct Notes {
    sent: RefCell<BTreeMap<String, Fate>>,
    /// Ends of requests.
    ends: RefCell<Vec<Handle>>,
    accepted: RefCell<Vec<Handle>>,
    received: RefCell<Vec<String>>,
    working: Cell<usize>,
    over: Cell<bool>,
}

impl Notes {
    fn event(&self, event: &Event<'_>) {
        self.received.borrow_mut().extend(payload(event));
        if let Event::Published(handle)
        | Event::Lost(handle)
        | Event::Dropped(handle)
        | Event::GivenUp(handle)
        | Event::SourceFailed(handle)
        | Event::Cancelled { handle, .. } = event
        {
            self.ends.borrow_mut().push(*handle);
        }
    }

    fn accepted(&self, payload: &str, qos: QoS, handle: Option<Handle>) {
        self.sent.borrow_mut().insert(payload.to_owned(), Fate::Accepted(qos));
        self.accepted.borrow_mut().extend(handle);
    }
}

/// `None` if it takes longer than this.
async fn within<T>(world: &World, millis: u64, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut end) = (pin!(future), pin!(world.after(millis)));
    std::future::poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        end.as_mut().poll(context).map(|()| None)
    })
    .await
}

fn some_qos(world: &World) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][world.draw(2)]
}

async fn pause(world: &World, most: usize) {
    world.after(world.draw(most) as u64).await;
}

/// A task of the application.
async fn publishes(
    task: usize,
    client: Client<'_, Shared<'_>>,
    world: &World,
    notes: &Notes,
    waiters: usize,
) {
    for number in 0..MESSAGES {
        pause(world, 2_000).await;
        let qos = some_qos(world);
        let payload = format!("{task}.{number}");
        let message = message(&payload, qos);
        match world.draw(if waiters == 0 { 2 } else { 5 }) {
            0 => {
                let handle = client.publish(&message).await.unwrap();
                notes.accepted(&payload, qos, Some(handle));
            }
            1 => {
                let long = world.draw(500) as u64;
                if let Some(handle) = within(world, long, client.publish(&message)).await {
                    notes.accepted(&payload, qos, Some(handle.unwrap()));
                }
            }
            2 => match client.try_publish(&message) {
                Ok(handle) => notes.accepted(&payload, qos, Some(handle)),
                Err(RequestError::WindowFull { .. } | RequestError::OutboxFull { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            3 => {
                let _outcome = client.publish_wait(&message).await;
                notes.accepted(&payload, qos, None);
            }
            4 => {
                let long = world.draw(500) as u64;
                notes.sent.borrow_mut().insert(payload.clone(), Fate::Unknown(qos));
                let _outcome = within(world, long, client.publish_wait(&message)).await;
            }
            _ => {
                if let Ok(ticket) = client.publish_ticket(&message) {
                    notes.accepted(&payload, qos, Some(ticket.handle()));
                    pause(world, 1_000).await;
                    if world.draw(1) == 0 {
                        let _outcome = Ticket::outcome(ticket).await;
                    }
                }
            }
        }
    }
    notes.working.set(notes.working.get() - 1);
}

/// Does harm until `CALM`.
async fn harms(client: Client<'_, Shared<'_>>, broker: &Broker, notes: &Notes, journal: &Slow) {
    let world = &broker.world;
    let most = broker.state.borrow().manners.most;
    while world.now() < CALM {
        pause(world, 800).await;
        match world.draw(12) {
            0 => broker.close(),
            1 | 2 => broker.manners(|manners| manners.breaks_after = Some(world.draw(200))),
            3 => {
                broker.manners(|manners| manners.takes_nothing = true);
                pause(world, 12_000).await;
            }
            4 => broker.manners(|manners| manners.dial = world.draw(4_000) as u64),
            5 => broker.manners(|manners| manners.fault = Some(TransportFault::Refused)),
            6 => broker.manners(|manners| manners.closes_at_once = true),
            7 => world.sleep(world.draw(100_000) as u64 / 10),
            8 => {
                client.disconnect();
                pause(world, 500).await;
                client.connect();
            }
            9 => client.disconnect(),
            10 => client.connect(),
            11 => broker.manners(|manners| manners.slow = world.draw(50) as u64),
            _ => journal.left.set(world.draw(3)),
        }
        pause(world, 800).await;
        journal.left.set(usize::MAX);
        if world.draw(1) == 0 {
            broker.manners(|manners| *manners = Manners { most, ..Manners::default() });
        }
    }
    broker.manners(|manners| *manners = Manners { most, ..Manners::default() });
    notes.working.set(notes.working.get() - 1);
}

/// The broker's messages.
async fn sends(broker: &Broker, notes: &Notes, sent: &RefCell<BTreeMap<String, QoS>>) {
    let world = &broker.world;
    let most = 1 + world.draw(5);
    for number in 0..12 {
        pause(world, 2_000).await;
        while broker.unanswered() >= most {
            world.after(20).await;
        }
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][world.draw(1)];
        let payload = format!("b{number}");
        sent.borrow_mut().insert(payload.clone(), qos);
        broker.send_at(&payload, qos);
    }
    notes.working.set(notes.working.get() - 1);
}

/// Serves the client until the life is over.
async fn serves<'s>(
    runner: &mut Runner<'_, Shared<'s>>,
    client: Client<'_, Shared<'s>>,
    mut dial: impl Dial,
    world: &Rc<World>,
    notes: &Notes,
    journal: &mut Option<Slow>,
) {
    let mut record = [0; longest_record(512, 4)];
    while !(notes.over.get() && client.state() == ConnectionState::Stopped) {
        let clock = || world.instant();
        let delay = Delay(Rc::clone(world));
        let handle = async |requests: Requests<'_, Shared<'s>>, event: Event<'_>| {
            notes.event(&event);
            match world.draw(30) {
                0 => pause(world, 15_000).await,
                1..5 => pause(world, 100).await,
                5 if world.now() < CALM => requests.disconnect(),
                6 if !notes.over.get() => requests.connect(),
                _ => {}
            }
        };
        let drops = world.now() < CALM && world.draw(1) == 0;
        let polls = if drops { world.draw(200) } else { usize::MAX };
        match journal {
            Some(journal) => {
                let run = runner.run_with(journal, &mut record, &mut dial, delay, clock, handle);
                match dropped_after(polls, run).await {
                    None | Some(Ok(()) | Err(RunError::Journal(_))) => {}
                    Some(Err(error)) => panic!("{error}"),
                }
            }
            None => {
                let run = runner.run(&mut dial, delay, clock, handle);
                if let Some(ended) = dropped_after(polls, run).await {
                    ended.unwrap();
                }
            }
        }
        pause(world, 30).await;
        if !notes.over.get() {
            client.connect();
        }
    }
}

/// One life.
fn life<D: Dial>(seed: u64, dial: impl FnOnce(Broker) -> D) {
    let world = World::new(seed);
    let broker = Broker::new(&world);
    broker.manners(|manners| manners.most = [1, 7, 64][world.draw(2)]);
    let window = [1, 2, 4][world.draw(2)];
    let waiters = [0, 1, 4][world.draw(2)];
    let journaled = world.draw(1) == 0;
    let (mut outbox, mut slots) = ([0; 512], vec![Slot::EMPTY; window]);
    let mut table = vec![Waiter::FREE; waiters];
    let clean = world.draw(3) == 0;
    let options = kept("d")
        .clean_session(clean)
        .keep_alive([0, 5, 60][world.draw(2)])
        .ping_timeout(5_000)
        .connect_timeout(3_000)
        .reconnect(Reconnect::after(50).at_most(2_000))
        .journal(journaled);
    let state = State::new(&options, &mut outbox, &mut slots, &mut table).unwrap();
    let share = RefCell::new(state);
    let mut read = vec![0; [16, 17, 64][world.draw(2)]];
    let mut write = vec![0; [1, 3, 48][world.draw(2)]];
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let notes = Notes::default();
    notes.working.set(TASKS + 2);
    let sent = RefCell::default();
    let mut journal = journaled.then(|| Slow::new(&world));
    let harmed = journal.clone().unwrap_or_else(|| Slow::new(&world));
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for task in 0..TASKS {
        tasks.push(Box::pin(publishes(task, client, &world, &notes, waiters)));
    }
    tasks.push(Box::pin(harms(client, &broker, &notes, &harmed)));
    tasks.push(Box::pin(sends(&broker, &notes, &sent)));
    let dial = dial(broker.clone());
    tasks.insert(
        world.draw(tasks.len()),
        Box::pin(serves(&mut runner, client, dial, &world, &notes, &mut journal)),
    );
    let main = async {
        world.until(CALM).await;
        let rests = async {
            while notes.working.get() != 0 {
                world.after(20).await;
            }
            client.idle().await;
            while broker.unanswered() != 0 {
                world.after(20).await;
            }
            client.recorded().await;
        };
        let rested = within(&world, REST, rests).await;
        let left = (notes.working.get(), client.in_flight(), broker.unanswered());
        assert!(rested.is_some(), "{seed}: {left:?} left, {:?}", client.state());
        notes.over.set(true);
        let finished = within(&world, REST, client.finish()).await;
        assert!(finished.is_some(), "{seed}: {:?}", client.state());
    };
    run(&world, main, tasks);
    let ends = notes.ends.borrow();
    for handle in notes.accepted.borrow().iter() {
        let count = ends.iter().filter(|other| *other == handle).count();
        assert_eq!(count, 1, "{seed}: ends of {handle:?}");
    }
    if clean {
        // Its connections lose what is under way.
        return;
    }
    let delivered = broker.delivered();
    let count = |payload: &str| delivered.iter().filter(|other| *other == payload).count();
    for (payload, fate) in notes.sent.borrow().iter() {
        match (count(payload), fate) {
            (1, Fate::Accepted(QoS::ExactlyOnce))
            | (1.., Fate::Accepted(QoS::AtLeastOnce))
            | (0 | 1, Fate::Accepted(QoS::AtMostOnce) | Fate::Unknown(QoS::ExactlyOnce))
            | (_, Fate::Unknown(QoS::AtLeastOnce))
            | (0 | 1, Fate::Unknown(QoS::AtMostOnce)) => {}
            (count, fate) => panic!("{seed}: {payload}, {fate:?}, arrived {count} times"),
        }
    }
    for payload in &delivered {
        assert!(notes.sent.borrow().contains_key(payload), "{seed}: {payload} was not accepted");
    }
    let received = notes.received.borrow();
    for (payload, qos) in sent.borrow().iter() {
        let count = received.iter().filter(|other| *other == payload).count();
        let exact = *qos == QoS::ExactlyOnce;
        assert!(count == 1 || count > 1 && !exact, "{seed}: {payload}, {qos:?}, {count} times");
    }
}

/// `LIVES` and `FROM` of the environment: how many lives, and the first seed.
fn lives<D: Dial>(dial: impl Fn(Broker) -> D) {
    let from: u64 = std::env::var("FROM").map_or(0, |from| from.parse().unwrap());
    let count: u64 = std::env::var("LIVES").map_or(30, |lives| lives.parse().unwrap());
    for seed in from..from + count {
        life(seed, &dial);
    }
}

#[test]
fn nothing_is_lost_or_stuck_over_a_split_transport_by_chance() {
    lives(DialSplit);
}

#[test]
fn nothing_is_lost_or_stuck_over_a_whole_transport_by_chance() {
    lives(DialWhole);
}

#[test]
fn nothing_is_lost_or_stuck_over_a_transport_that_buffers_by_chance() {
    lives(DialBuffered);
}
