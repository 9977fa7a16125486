//! Times as medians of repeated runs. Compare them only as ratios within one run.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The times of one operation, sorted.
#[derive(Debug, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// The median.
    pub fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// The shortest.
    pub fn min(&self) -> Duration {
        self.0[0]
    }

    /// The ratio to `other`, by medians.
    pub fn over(&self, other: &Times) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }

    /// Each time divided by `count`.
    pub fn per(&self, count: usize) -> Times {
        Times(self.0.iter().map(|time| time.div_f64(count as f64)).collect())
    }
}

/// Runs `work` once to warm up, then `rounds` times.
pub fn time<T>(rounds: usize, mut work: impl FnMut() -> T) -> Times {
    black_box(work());
    cold(rounds, work)
}

/// Runs `work` `rounds` times.
pub fn cold<T>(rounds: usize, mut work: impl FnMut() -> T) -> Times {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            let value = black_box(work());
            let time = start.elapsed();
            drop(value);
            time
        })
        .collect();
    times.sort();
    Times(times)
}

/// Runs two operations alternately, so that other load on the machine affects both equally.
pub fn duel<A, B>(
    rounds: usize,
    mut ours: impl FnMut() -> A,
    mut theirs: impl FnMut() -> B,
) -> (Times, Times) {
    black_box((ours(), theirs()));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        a.extend(cold(1, &mut ours).0);
        b.extend(cold(1, &mut theirs).0);
    }
    a.sort();
    b.sort();
    (Times(a), Times(b))
}

/// A time in readable form.
pub fn show(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.1} µs", nanos / 1e3),
        ..1e9 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}
