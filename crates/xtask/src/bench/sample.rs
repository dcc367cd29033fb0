//! Many durations of one run, and what is taken of them into the report.

use super::report::{Figure, Key, Report, Subject, Unit};
use std::time::Duration;

/// The durations of equal measurements, in the order of their size.
pub(super) struct Sample(Vec<Duration>);

impl Sample {
    /// Of these durations, in any order.
    pub(super) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The smallest that is not shorter than `percent` of all (nearest rank), 1 to 100; `None` when there are none.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied()
    }

    /// Takes its median, and its 99th percentile where there is a figure for that, as run number `run` of `subject` on one link.
    pub(super) fn take(
        &self,
        report: &mut Report,
        run: usize,
        subject: Subject,
        [p50, p99]: [Option<Figure>; 2],
    ) {
        for (figure, percent) in [(p50, 50), (p99, 99)] {
            if let (Some(figure), Some(duration)) = (figure, self.percentile(percent)) {
                let key = Key {
                    figure,
                    links: 1,
                    subject,
                };
                report.take(run, key, in_unit(figure.unit, duration));
            }
        }
    }
}

/// A duration in a unit of time.
pub(super) fn in_unit(unit: Unit, duration: Duration) -> f64 {
    let seconds = duration.as_secs_f64();
    match unit {
        Unit::Microseconds => seconds * 1e6,
        Unit::Milliseconds => seconds * 1e3,
        _ => seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: impl Iterator<Item = u64>) -> Sample {
        Sample::new(values.map(Duration::from_micros).collect())
    }

    #[test]
    fn percentiles_are_measurements_that_happened() {
        let hundred = sample((1..=100).rev());
        let percentiles = [1, 50, 99, 100].map(|percent| hundred.percentile(percent));
        assert_eq!(
            percentiles,
            [1, 50, 99, 100].map(|value| Some(Duration::from_micros(value)))
        );
        assert_eq!(sample(std::iter::empty()).percentile(50), None);
    }

    #[test]
    fn a_sample_is_taken_in_the_units_of_its_figures() {
        const P50: Figure = Figure {
            case: 'b',
            name: "p50",
            unit: Unit::Milliseconds,
        };
        let mut report = Report::default();
        sample(1..=100).take(&mut report, 0, Subject::Slash32, [Some(P50), None]);
        let key = report.keys().next().unwrap();
        assert_eq!(report.values(key), [Some(0.05)]);
        assert_eq!(report.keys().count(), 1);
    }
}
