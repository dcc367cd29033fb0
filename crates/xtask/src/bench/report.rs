//! What a bench has measured: readings, and what is quoted of them.
//!
//! A reading is one number of one run: of which figure, of whom, with how many links. Runs are interleaved (everybody once,
//! then everybody again), so that what else the machine does falls on all alike. Quoted are the median over the runs, their
//! range, and the ratio between two subjects: the median of the ratios *within* each run.

use std::collections::BTreeMap;

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Subject {
    /// slash32 as it is released.
    Slash32,
    /// slash32 whose agent runs already when all links come up at once. Else the links are there when it starts, as with the
    /// others, and as when a host boots.
    Slash32Running,
    /// slash32 with the responder that uses the standard library.
    Slash32Std,
    /// dnsmasq, without its ping.
    Dnsmasq,
    /// busybox udhcpd, with the shortest ARP check that it can do.
    Udhcpd,
    /// ISC dhcpd, with a `host` for the VM.
    Dhcpd,
    /// Kea, one process for all links.
    Kea,
    /// What the kernel takes for the same without anybody who thinks about it.
    Kernel,
}

/// Who slash32 is compared with.
pub(crate) const PEERS: [Subject; 4] = [
    Subject::Dnsmasq,
    Subject::Udhcpd,
    Subject::Dhcpd,
    Subject::Kea,
];

impl Subject {
    /// Its name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Slash32 => "slash32",
            Self::Slash32Running => "slash32, running before",
            Self::Slash32Std => "slash32, std responder",
            Self::Dnsmasq => "dnsmasq",
            Self::Udhcpd => "udhcpd",
            Self::Dhcpd => "ISC dhcpd",
            Self::Kea => "Kea",
            Self::Kernel => "kernel",
        }
    }
}

/// In what a figure is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Unit {
    /// µs
    Microseconds,
    /// ms
    Milliseconds,
    /// s
    Seconds,
    /// KiB
    Kibibytes,
    /// How many.
    Count,
    /// How often as much, or the power with which something grows.
    Ratio,
}

impl Unit {
    /// As it stands behind a number; empty for numbers that have none.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Kibibytes => "KiB",
            Self::Count => "",
            Self::Ratio => "×",
        }
    }

    /// A value as the tables say it: three digits and the symbol, from 1,024 KiB on in MiB.
    pub(crate) fn text(self, value: f64) -> String {
        let (scale, symbol) = self.scale(value);
        let number = self.number(value / scale);
        format!("{number} {symbol}").trim_end().to_owned()
    }

    /// A limit: the same without digits that say nothing.
    pub(crate) fn limit(self, value: f64) -> String {
        let (scale, symbol) = self.scale(value);
        format!("{} {symbol}", value / scale).trim_end().to_owned()
    }

    /// Two values, without the symbol, scaled as `median` is.
    pub(crate) fn range(self, quote: Quote) -> String {
        let (scale, _) = self.scale(quote.median);
        let [least, most] = [quote.least, quote.most].map(|value| self.number(value / scale));
        format!("{least}–{most}")
    }

    /// What is counted is whole, but for medians between two.
    fn number(self, value: f64) -> String {
        match self {
            Self::Count if value.fract() == 0.0 => format!("{value:.0}"),
            _ => significant(value),
        }
    }

    /// By what values of the size of `value` are divided to be said, and the symbol that they have then.
    pub(crate) fn scale(self, value: f64) -> (f64, &'static str) {
        match self {
            Self::Kibibytes if value >= 1024.0 => (1024.0, "MiB"),
            other => (1.0, other.symbol()),
        }
    }
}

/// Three significant digits, at most three behind the point, without an exponent.
pub(crate) fn significant(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// What is measured. `case` is its group in the tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Figure {
    /// `a` to `i`.
    pub(crate) case: char,
    /// Without its unit.
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
}

/// Of what a value is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) figure: Figure,
    /// How many links were there.
    pub(crate) links: u32,
    pub(crate) subject: Subject,
}

/// All readings: by what they are of, the value of each run (`None` where a run has none).
#[derive(Default, Debug)]
pub(crate) struct Report {
    readings: BTreeMap<Key, Vec<Option<f64>>>,
}

/// What is quoted of the values of equal runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Quote {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) runs: usize,
}

impl Quote {
    /// Of these values, in any order; `None` when there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
        Some(Self {
            median: f64::midpoint(values[low], values[high]),
            least,
            most,
            runs: values.len(),
        })
    }
}

impl Report {
    /// Takes in the value of run number `run`, from 0. A second value of the same run replaces the first.
    pub(crate) fn take(&mut self, run: usize, key: Key, value: f64) {
        let values = self.readings.entry(key).or_default();
        if values.len() <= run {
            values.resize(run + 1, None);
        }
        values[run] = Some(value);
    }

    /// What was measured, in the order of the tables.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.readings.keys().copied()
    }

    /// The values of each run.
    pub(crate) fn values(&self, key: Key) -> &[Option<f64>] {
        self.readings.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Median and range over the runs.
    pub(crate) fn quote(&self, key: Key) -> Option<Quote> {
        Quote::of(self.values(key).iter().copied().flatten())
    }

    /// How often as much `key` is as the same of slash32, within each run. `None` when it is slash32's own.
    pub(crate) fn to_slash32(&self, key: Key) -> Option<Quote> {
        let subject = Subject::Slash32;
        (key.subject != subject).then(|| self.ratio(key, Key { subject, ..key }))?
    }

    /// How often as much `key` is as `other`, within each run.
    pub(crate) fn ratio(&self, key: Key, other: Key) -> Option<Quote> {
        let pairs = self.values(key).iter().zip(self.values(other));
        Quote::of(pairs.filter_map(|(a, b)| Some((*a)? / (*b)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: Figure = Figure {
        case: 'c',
        name: "all served",
        unit: Unit::Seconds,
    };

    fn key(subject: Subject) -> Key {
        Key {
            figure: SECONDS,
            links: 10,
            subject,
        }
    }

    #[test]
    fn a_quote_is_the_median_and_the_range() {
        let quote = Quote::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((quote.median, quote.least, quote.most), (2.0, 1.0, 3.0));
        assert_eq!(Quote::of([1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Quote::of([]), None);
    }

    #[test]
    fn values_have_three_digits_and_large_memory_is_in_mebibytes() {
        assert_eq!(Unit::Milliseconds.text(5.051), "5.05 ms");
        assert_eq!(Unit::Microseconds.text(48_008.4), "48008 µs");
        assert_eq!(Unit::Count.text(2.0), "2");
        assert_eq!(Unit::Kibibytes.text(529.4), "529 KiB");
        assert_eq!(Unit::Kibibytes.text(16_077.0), "15.7 MiB");
        assert_eq!(Unit::Kibibytes.limit(16_384.0), "16 MiB");
        let quote = Quote::of([1000.0, 1024.0, 2048.0]).unwrap();
        assert_eq!(Unit::Kibibytes.range(quote), "0.977–2.00");
    }

    #[test]
    fn a_ratio_compares_within_each_run() {
        let mut report = Report::default();
        // The machine was slow in the second run, for both.
        for (run, ours, theirs) in [(0, 1.0, 4.0), (1, 10.0, 40.0), (2, 2.0, 4.0)] {
            report.take(run, key(Subject::Slash32), ours);
            report.take(run, key(Subject::Dnsmasq), theirs);
        }
        let ratio = report
            .ratio(key(Subject::Dnsmasq), key(Subject::Slash32))
            .unwrap();
        assert_eq!((ratio.median, ratio.least, ratio.most), (4.0, 2.0, 4.0));
    }

    #[test]
    fn a_run_without_a_value_is_in_no_ratio() {
        let mut report = Report::default();
        report.take(1, key(Subject::Slash32), 2.0);
        report.take(0, key(Subject::Kea), 1.0);
        report.take(1, key(Subject::Kea), 6.0);
        let ratio = report
            .ratio(key(Subject::Kea), key(Subject::Slash32))
            .unwrap();
        assert_eq!((ratio.median, ratio.runs), (3.0, 1));
    }
}
