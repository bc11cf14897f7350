//! What the client for threads does, the client for tasks does as well: the list of conversations with each broker that
//! is here.

use system_tests::conversations::{converse_with, tasks};
use system_tests::transports::Kind;

#[track_caller]
fn converse(name: &str, kind: Kind) {
    converse_with("a client for tasks", tasks, name, kind);
}

#[test]
fn mosquitto_talks_with_tasks_as_with_threads() {
    converse("Mosquitto", Kind::Tcp);
}

#[test]
fn mosquitto_talks_with_tasks_over_tls_as_with_threads_over_tcp() {
    converse("Mosquitto", Kind::Tls);
}

#[test]
fn mosquitto_talks_with_tasks_over_a_serial_line_as_with_threads_over_tcp() {
    converse("Mosquitto", Kind::Serial);
}

#[test]
fn nats_talks_with_tasks_as_with_threads() {
    converse("NATS", Kind::Tcp);
}

#[test]
fn rabbitmq_talks_with_tasks_as_with_threads() {
    converse("RabbitMQ", Kind::Tcp);
}

#[test]
fn aedes_talks_with_tasks_as_with_threads() {
    converse("aedes", Kind::Tcp);
}

#[test]
fn amqtt_talks_with_tasks_as_with_threads() {
    converse("amqtt", Kind::Tcp);
}

#[test]
fn rumqttd_talks_with_tasks_as_with_threads() {
    converse("rumqttd", Kind::Tcp);
}
