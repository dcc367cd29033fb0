//! Figures: durations of equal runs, and what is quoted of them.

use std::time::Duration;

/// The durations of equal runs, in the order of their size.
pub(crate) struct Figures {
    /// What was measured.
    pub(crate) name: &'static str,
    sorted: Vec<Duration>,
}

impl Figures {
    /// Figures of `runs`, in any order.
    pub(crate) fn new(name: &'static str, mut runs: Vec<Duration>) -> Self {
        runs.sort_unstable();
        Self { name, sorted: runs }
    }

    /// The smallest run that is not shorter than `percent` of all runs (nearest rank), 1 to 100; zero without runs.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100);
        self.sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// A row of the table under [`header`].
    pub(crate) fn row(&self) -> String {
        let column = |percent| format!("{:>10.1}", microseconds(self.percentile(percent)));
        let columns: String = [1, 50, 99, 100].map(column).concat();
        format!("{:<44}{:>6}{columns}", self.name, self.sorted.len())
    }
}

/// The heads of the columns of [`Figures::row`].
pub(crate) fn header() -> String {
    format!(
        "{:<44}{:>6}{:>10}{:>10}{:>10}{:>10}",
        "microseconds", "runs", "min", "p50", "p99", "max"
    )
}

fn microseconds(duration: Duration) -> f64 {
    // Tenths are as fine as a veth pair deserves.
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(runs: impl Iterator<Item = u64>) -> Figures {
        Figures::new("a figure", runs.map(Duration::from_micros).collect())
    }

    #[test]
    fn percentiles_are_runs_that_happened() {
        let hundred = figures((1..=100).rev());
        let percentiles = [1, 50, 99, 100].map(|percent| hundred.percentile(percent).as_micros());
        assert_eq!(percentiles, [1, 50, 99, 100]);
        assert_eq!(figures([7].into_iter()).percentile(50).as_micros(), 7);
    }

    #[test]
    fn figures_without_runs_are_zero() {
        assert_eq!(figures(std::iter::empty()).percentile(50), Duration::ZERO);
    }
}
