//! The start of a run: options and storage, from tiny to large.

use mqtt_core::{Login, Options, QoS, Reconnect, Topic, Version, Will};

use super::input::Input;

/// In milliseconds.
pub(super) const PING_TIMEOUT: u64 = 2_000;
/// In milliseconds.
pub(super) const ANSWER_TIMEOUT: u64 = 30_000;
/// In milliseconds.
pub(super) const UNREAD_TIMEOUT: u64 = 50_000;

/// Bits of the first byte of settings. The version is one of the first three.
pub mod flags {
    #![expect(missing_docs, reason = "the names say it, and only the seeds use them")]

    pub const V31: u8 = 0;
    pub const AUTO: u8 = 1;
    pub const V311: u8 = 2;
    pub const CLEAN: u8 = 1 << 2;
    pub const MANUAL: u8 = 1 << 3;
    pub const RENEW: u8 = 1 << 4;
    /// Keep alive.
    pub const ALIVE: u8 = 1 << 5;
    /// The client connects again by itself.
    pub const AGAIN: u8 = 1 << 6;
    pub const WILL: u8 = 1 << 7;
}

/// The last byte of settings is the number of slots, and this many times the sum of the flags.
pub mod more {
    #![expect(missing_docs, reason = "the names say it, and only the seeds use them")]

    pub const WINDOWS: u8 = 9;
    pub const LENIENT: u8 = 1;
    /// Three connections tell that a request is stuck.
    pub const STUCK: u8 = 2;
    /// Such a request is given up; without `STUCK` after two connections.
    pub const GIVE_UP: u8 = 4;
    /// A renewal asks for one filter at a time.
    pub const ONE_FILTER: u8 = 8;
}

pub(super) struct Settings {
    pub(super) options: Options<'static>,
    /// Slots.
    pub(super) window: usize,
    /// Publishes of QoS 2 that may be in flight at once.
    pub(super) exactly_once_window: usize,
    /// Bytes.
    pub(super) outbox: usize,
    pub(super) endpoints: u8,
    pub(super) clean: bool,
    pub(super) manual: bool,
    pub(super) renews: bool,
    /// In milliseconds; 0: off.
    pub(super) keep_alive: u64,
    /// Whether the driver asks for events after each step, as the documentation says.
    pub(super) tidy: bool,
    /// `Options::strict`, `stuck_after`, `give_up_stuck` and `filters_per_subscribe`.
    pub(super) strict: bool,
    pub(super) stuck_after: u8,
    pub(super) gives_up: bool,
    pub(super) filters_per_subscribe: usize,
}

impl Settings {
    /// Takes five bytes.
    pub(super) fn read(input: &mut Input<'_>) -> Self {
        let (first, second, capacity) = (input.byte(), input.byte(), input.byte());
        let has = |flag: u8| first & flag != 0;
        let version = match first & 3 {
            flags::V31 => Version::V31,
            flags::AUTO => Version::Auto,
            _ => Version::V311,
        };
        let (clean, manual, renews) = (has(flags::CLEAN), has(flags::MANUAL), has(flags::RENEW));
        let keep_alive = if has(flags::ALIVE) { u16::from(second >> 4) * 20 } else { 0 };
        let reconnect = if has(flags::AGAIN) {
            Reconnect::after(100)
                .at_most(5_000)
                .seed(u32::from(second))
                .stable_after(1_000)
                .shuffle_endpoints(second & 8 != 0)
                .prefer_first(second & 8 != 0)
        } else {
            Reconnect::never()
        };
        let endpoints = second & 3;
        let exactly_once_window = match capacity & 3 {
            1 => 2,
            2 => 0,
            _ => 100,
        };
        let (outbox, last) = (40 + usize::from(input.byte()) * 3, input.byte());
        let has_more = |flag: u8| (last / more::WINDOWS) & flag != 0;
        let strict = !has_more(more::LENIENT);
        let stuck_after = match (has_more(more::STUCK), has_more(more::GIVE_UP)) {
            (true, _) => 3,
            (false, true) => 2,
            (false, false) => 0,
        };
        let gives_up = has_more(more::GIVE_UP);
        let filters_per_subscribe = if has_more(more::ONE_FILTER) { 1 } else { 2 };
        let mut options = Options::new("fuzz")
            .version(version)
            .clean_session(clean)
            .keep_alive(keep_alive)
            .manual_acknowledge(manual)
            .renew_subscriptions(renews)
            .ping_on_silence(second & 4 != 0)
            .connect_timeout(9_000)
            .ping_timeout(PING_TIMEOUT as u32)
            .answer_timeout(ANSWER_TIMEOUT as u32)
            .unread_timeout(UNREAD_TIMEOUT as u32)
            .strict(strict)
            .stuck_after(stuck_after)
            .give_up_stuck(gives_up)
            .filters_per_subscribe(filters_per_subscribe as u16)
            .exactly_once_window(exactly_once_window)
            .max_packet(1_000)
            .receive_capacity(16 + usize::from(capacity >> 2))
            .cluster(true)
            .reconnect(reconnect.endpoints(endpoints));
        if has(flags::WILL) {
            let topic = Topic::new("will").expect("a name");
            options = options
                .will(Will::new(topic, b"gone").qos(QoS::AtLeastOnce).retain(true))
                .login(Login::new("user", Some(b"secret")));
        }
        Self {
            options,
            outbox,
            window: usize::from(last % more::WINDOWS),
            exactly_once_window: exactly_once_window.into(),
            endpoints,
            clean,
            manual,
            renews,
            keep_alive: u64::from(keep_alive) * 1_000,
            tidy: second & 8 != 0,
            strict,
            stuck_after,
            gives_up,
            filters_per_subscribe,
        }
    }
}
