//! The options of a client, from the setup of its device.

use mqtt_core::{Options, Reconnect};

use crate::setup::DeviceSetup;

/// The options for the client `id`, without a will.
pub(super) fn options<'a>(id: &'a str, setup: &DeviceSetup) -> Options<'a> {
    let options = Options::new(id)
        .version(setup.version)
        .clean_session(setup.clean)
        .keep_alive(setup.keep_alive)
        .manual_acknowledge(setup.manual)
        .renew_subscriptions(setup.renew)
        .ping_on_silence(setup.ping_on_silence)
        .ping_timeout(setup.patience.ping_timeout)
        .receive_capacity(setup.receive_capacity)
        .exactly_once_window(setup.exactly_once_window)
        .queue(setup.queue)
        .queue_messages(setup.queue_messages)
        .journal(setup.journal)
        .record_delay(setup.record_delay)
        .reconnect(setup.reconnect.unwrap_or(Reconnect::never()).endpoints(setup.endpoints))
        .cluster(setup.cluster)
        .renew_on_each_connection(setup.renews_always)
        .resend_lost(setup.resends_lost)
        .sources(setup.sources);
    let options = match setup.max_packet {
        Some(bytes) => options.max_packet(bytes),
        None => options,
    };
    against_stuck_peers(options, setup)
}

/// The settings for brokers and applications that do not go on, and for messages that cannot be taken.
const fn against_stuck_peers<'a>(options: Options<'a>, setup: &DeviceSetup) -> Options<'a> {
    options
        .answer_timeout(setup.patience.answer_timeout)
        .unread_timeout(setup.patience.unread_timeout)
        .stuck_after(setup.patience.stuck_after)
        .give_up_stuck(setup.patience.give_up_stuck)
        .skip_unreadable(setup.skips_unreadable)
        .filters_per_subscribe(setup.filters_per_subscribe)
}
