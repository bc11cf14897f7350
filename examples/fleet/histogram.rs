//! Durations in buckets that grow with them: any number of samples in four kilobytes, each at most 7 % too large.

use std::{fmt, time::Duration};

/// Buckets for each power of two.
const STEPS: usize = 16;

pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    worst: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; STEPS * 32], count: 0, worst: 0 }
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let last = self.buckets.len().saturating_sub(1);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(micros).min(last)) {
            *bucket += 1;
        }
        self.count += 1;
        self.worst = self.worst.max(micros);
    }

    /// The duration that so many of a thousand samples did not exceed.
    fn quantile(&self, per_mille: u64) -> Duration {
        let rank = (self.count * per_mille).div_ceil(1_000);
        let mut below = 0;
        let bucket = self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        });
        let micros = bucket.map_or(self.worst, end_of).min(self.worst);
        Duration::from_micros(micros)
    }
}

/// Durations below 16 µs have a bucket each. Above, the highest bit and the four bits after it decide.
fn bucket_of(micros: u64) -> usize {
    let Some(shift) = micros.checked_ilog2().and_then(|highest| highest.checked_sub(4)) else {
        return usize::try_from(micros).unwrap_or(usize::MAX);
    };
    let step = usize::try_from(micros >> shift).unwrap_or(usize::MAX) - STEPS;
    (shift as usize + 1) * STEPS + step
}

/// The longest duration in this bucket.
fn end_of(bucket: usize) -> u64 {
    let (power, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    match power.checked_sub(1) {
        None => step,
        Some(shift) => ((step + STEPS as u64 + 1) << shift) - 1,
    }
}

/// Median, 99th percentile and worst.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none");
        }
        let [median, most] = [500, 990].map(|per_mille| Shown(self.quantile(per_mille)));
        let worst = Shown(Duration::from_micros(self.worst));
        write!(f, "p50 {median}, p99 {most}, worst {worst}")
    }
}

struct Shown(Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_secs_f64() * 1_000.0;
        match millis {
            ..10.0 => write!(f, "{millis:.1} ms"),
            10.0..1_000.0 => write!(f, "{millis:.0} ms"),
            _ => write!(f, "{:.1} s", millis / 1_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_at_most_7_percent_wide() {
        for micros in (0..2_000).chain([9_999, 1_000_000, 600_000_000, 60_000_000_000]) {
            let end = end_of(bucket_of(micros));
            assert!(end >= micros && end - micros <= micros / 14, "{micros} to {end}");
        }
    }

    #[test]
    fn the_quantiles_and_the_worst_are_told() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.to_string(), "none");
        for millis in 1..=1_000 {
            histogram.add(Duration::from_millis(millis));
        }
        assert_eq!(histogram.to_string(), "p50 508 ms, p99 1.0 s, worst 1.0 s");
    }

    #[test]
    fn a_duration_without_a_bucket_counts_in_the_last_one() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::MAX);
        let hours = histogram.quantile(500).as_secs() / 3_600;
        assert_eq!((histogram.count, hours), (1, 9));
    }
}
