//! Snapshot and restore of large sessions, up to the largest window. There is no peer: `rumqttc` keeps no journal.
//!
//! The time for each element should not depend on their number.

#[path = "large.rs"]
mod large;

use std::hint::black_box;
use std::time::Duration;

use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use large::{Content, Records, Session};

/// The largest window, and the most entries that a session holds.
const MOST: usize = 65_533;

const SIZES: [usize; 3] = [1_024, 8_192, MOST];

const CONTENTS: [(Content, &str); 4] = [
    (Content::Received, "received ids"),
    (Content::Owed, "received ids, half of them owed"),
    (Content::Publishes, "publishes"),
    (Content::Released, "PUBRELs"),
];

criterion_group! {
    name = benches;
    // The times are long, and a session takes long to fill.
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(300))
        .nresamples(5_000)
        .without_plots();
    targets = snapshot, restore, replay, release, lose
}
criterion_main!(benches);

/// Measures `one` for each content and size.
fn each(
    c: &mut Criterion,
    name: &str,
    one: fn(&mut BenchmarkGroup<'_, WallTime>, BenchmarkId, Content, usize),
) {
    let mut group = c.benchmark_group(name);
    for (content, label) in CONTENTS {
        for count in SIZES {
            group.throughput(Throughput::Elements(count as u64));
            one(&mut group, BenchmarkId::new(label, count), content, count);
        }
    }
    group.finish();
}

fn snapshot(c: &mut Criterion) {
    each(c, "snapshot", |group, id, content, count| {
        group.bench_function(id, |b| {
            let mut session = Session::filled(content, count, count, Records::One);
            b.iter(|| black_box(session.snapshot()));
        });
    });
}

fn restore(c: &mut Criterion) {
    each(c, "restore a snapshot", |group, id, content, count| {
        group.bench_function(id, |b| {
            let mut session = Session::filled(content, count, count, Records::One);
            let snapshot = [session.snapshot()];
            b.iter_batched_ref(
                || Session::new(count, content),
                |session| session.restore(&snapshot),
                BatchSize::PerIteration,
            );
        });
    });
}

fn replay(c: &mut Criterion) {
    each(c, "restore record by record", |group, id, content, count| {
        group.bench_function(id, |b| {
            let records = Session::filled(content, count, count, Records::Many).into_records();
            b.iter_batched_ref(
                || Session::new(count, content),
                |session| session.restore(&records),
                BatchSize::PerIteration,
            );
        });
    });
}

fn release(c: &mut Criterion) {
    let mut group = c.benchmark_group("release received ids");
    for count in SIZES {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_batched_ref(
                || Session::filled(Content::Received, count, count, Records::One),
                |session| session.release(count),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn lose(c: &mut Criterion) {
    each(c, "lose the session", |group, id, content, count| {
        group.bench_function(id, |b| {
            b.iter_batched_ref(
                || Session::filled(content, count, count, Records::One),
                |session| black_box(session.lose()),
                BatchSize::PerIteration,
            );
        });
    });
}
