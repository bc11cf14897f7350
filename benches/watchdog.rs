//! The two frequent calls of the watchdog: a feed by a task or an interrupt, and a poll at each heartbeat, over few and
//! over many tasks. `cargo xtask bench --only instructions` counts those of the crate `task-watchdog` beside them.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mqtt_benches::{supervise, watch, watched};
use watchdog_core::{Countdown, Instant, Rules};

criterion_group! {
    name = benches;
    // Short, because only the machine itself adds noise.
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .nresamples(5_000)
        .without_plots();
    targets = feed, poll
}
criterion_main!(benches);

fn feed(c: &mut Criterion) {
    let mut group = c.benchmark_group("watchdog feed");
    for (name, rules) in
        [("plain", Rules::deadline(1_000)), ("window", Rules::deadline(1_000).not_before(1))]
    {
        let (task, mut now) = (watched(rules), 0);
        group.bench_function(name, |b| {
            b.iter(|| {
                now += 1;
                let fed = black_box(&task).handle().feed(Instant::from_millis(now));
                assert!(fed.is_ok(), "the feed was in time");
            });
        });
    }
    let countdown = Countdown::new(3);
    group.bench_function("countdown", |b| b.iter(|| black_box(&countdown).feed()));
    group.finish();
}

fn poll(c: &mut Criterion) {
    let mut group = c.benchmark_group("watchdog poll");
    for count in [8, 64, 1_024] {
        group.bench_function(BenchmarkId::from_parameter(format!("{count} tasks")), |b| {
            let tasks = watch(count);
            let mut supervisor = supervise(&tasks);
            b.iter(|| black_box(supervisor.poll(black_box(Instant::from_millis(500)))));
            assert!(supervisor.failure().is_none(), "all tasks were healthy");
        });
    }
    group.finish();
}
