//! An axis: from values to pixels, and which values are written beside it.

/// A range of values on so many pixels. `to` may be below `from`: that of a vertical axis is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

/// Values that are further apart than this go on an axis of powers.
const SPREAD: f64 = 30.0;

impl Axis {
    /// From 0, or from the round number below all `values` when they are far apart, to the round number above them.
    /// `values` are above 0, and there is at least one.
    pub(super) fn around(values: &[f64], [from, to]: [f64; 2]) -> Self {
        let [least, most] = extremes(values);
        if most / least > SPREAD {
            return Self::of_powers(values, [from, to]);
        }
        let step = step(most);
        Self {
            least: 0.0,
            most: (most / step).ceil() * step,
            from,
            to,
            is_logarithmic: false,
        }
    }

    /// An axis of powers, whatever the values.
    pub(super) fn of_powers(values: &[f64], [from, to]: [f64; 2]) -> Self {
        let [least, most] = extremes(values);
        Self {
            least: round_below(least),
            most: round_above(most),
            from,
            to,
            is_logarithmic: true,
        }
    }

    pub(super) fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }

    pub(super) fn pixel(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            (value / self.least).ln() / (self.most / self.least).ln()
        } else {
            (value - self.least) / (self.most - self.least)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The values to be written: some four to nine round ones.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if !self.is_logarithmic {
            let step = step(self.most);
            let count = (self.most / step).round() as usize;
            return (0..=count).map(|number| number as f64 * step).collect();
        }
        let decades = (self.most / self.least).log10();
        let steps: &[f64] = if decades > 3.2 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let first = self.least.log10().floor() as i32;
        let last = self.most.log10().ceil() as i32;
        let ticks = (first..=last)
            .flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        let slack = 1.0 + 1e-9;
        ticks
            .filter(|tick| *tick * slack >= self.least && *tick <= self.most * slack)
            .collect()
    }
}

fn extremes(values: &[f64]) -> [f64; 2] {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    [least, most]
}

/// 1, 2 or 5 times a power of ten, four to nine of which reach `most`.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 4.0).log10().floor());
    let candidates = [5.0, 2.0, 1.0].map(|factor| factor * power);
    candidates
        .into_iter()
        .find(|step| most / step >= 4.0)
        .unwrap_or(power)
}

fn round_below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let candidates = [5.0, 2.0, 1.0].map(|factor| factor * power);
    // What is on the mark would have no length.
    candidates
        .into_iter()
        .find(|round| *round <= value * 0.95)
        .unwrap_or(power * 0.5)
}

fn round_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let candidates = [1.0, 2.0, 5.0].map(|factor| factor * power);
    candidates
        .into_iter()
        .find(|round| *round >= value * (1.0 - 1e-9))
        .unwrap_or(power * 10.0)
}

/// A value at an axis: as short as it can be said, with commas between thousands.
pub(super) fn label(value: f64) -> String {
    if value < 1000.0 {
        let text = format!("{value:.4}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_near_each_other_begin_at_zero() {
        let axis = Axis::around(&[3.0, 9.2], [0.0, 100.0]);
        assert!(!axis.is_logarithmic());
        assert_eq!(axis.ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(axis.pixel(5.0), 50.0);
    }

    #[test]
    fn values_far_apart_are_on_an_axis_of_powers() {
        let ticks = |values: &[f64]| {
            let axis = Axis::around(values, [0.0, 100.0]);
            assert!(axis.is_logarithmic());
            axis.ticks().into_iter().map(label).collect::<Vec<_>>()
        };
        assert_eq!(ticks(&[0.02, 11.0]), ["0.01", "0.1", "1", "10"]);
        assert_eq!(
            ticks(&[0.2, 11.0]),
            ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20"]
        );
    }

    #[test]
    fn every_value_is_between_the_ends_of_its_axis() {
        for exponent in -30..60 {
            let value = 1.37_f64.powi(exponent);
            for values in [&[value][..], &[value, value * 7.0], &[value, value * 900.0]] {
                let axis = Axis::around(values, [10.0, 90.0]);
                for value in values {
                    let pixel = axis.pixel(*value);
                    assert!(
                        pixel > 10.0 && pixel <= 90.0,
                        "{values:?}: {pixel} on {axis:?}"
                    );
                }
                let ticks = axis.ticks().len();
                assert!((3..=11).contains(&ticks), "{values:?}: {ticks} on {axis:?}");
            }
        }
    }

    #[test]
    fn numbers_at_an_axis_are_short() {
        let labels = [0.0, 0.05, 2.5, 500.0, 1000.0, 1_234_567.0].map(label);
        assert_eq!(labels, ["0", "0.05", "2.5", "500", "1,000", "1,234,567"]);
    }
}
