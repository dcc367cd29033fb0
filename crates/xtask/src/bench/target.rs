//! What was set out to be reached, and whether it was.
//!
//! Each row looks at what one run of the bench has read, never at what another machine has. A row says what was measured and
//! whether that is enough; why it is not, if so, is for a profile to say.

use super::figure;
use super::report::{Figure, Key, PEERS, Report, Subject, Unit, significant};

/// Whether a target was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// The bench did not get as far, or was not asked to.
    Unmeasured,
}

/// One row of the table of targets.
pub(crate) struct Judged {
    pub(crate) what: &'static str,
    /// `≤ 1 ms`.
    pub(crate) wanted: String,
    /// The peer whose median is the least, with it.
    pub(crate) best_peer: Option<String>,
    pub(crate) measured: Option<String>,
    pub(crate) verdict: Verdict,
}

struct Target {
    what: &'static str,
    /// What is measured of slash32.
    figure: Figure,
    links: u32,
    subject: Subject,
    limit: Limit,
}

enum Limit {
    /// The median, in the figure's unit.
    AtMost(f64),
    /// So many times the figure of the kernel, within each run: the second is how that is said.
    TimesKernel(f64, Figure, &'static str),
    /// Less than every peer that was measured.
    LessThanPeers,
    /// So many times what it is with so many links, within each run.
    TimesFewer(f64, u32),
}

const TARGETS: &[Target] = &[
    Target {
        what: "responder start to first OFFER",
        figure: figure::START,
        links: 1,
        subject: Subject::Slash32,
        limit: Limit::AtMost(1.0),
    },
    Target {
        what: "link up to first OFFER, agent included",
        figure: figure::LINK_UP,
        links: 1,
        subject: Subject::Slash32,
        limit: Limit::AtMost(5.0),
    },
    Target {
        what: "repeated DORA, p50",
        figure: figure::DORA,
        links: 1,
        subject: Subject::Slash32,
        limit: Limit::AtMost(60.0),
    },
    Target {
        what: "repeated DORA, p99",
        figure: figure::DORA_P99,
        links: 1,
        subject: Subject::Slash32,
        limit: Limit::AtMost(150.0),
    },
    Target {
        what: "repeated DORA, against two raw echoes",
        figure: figure::DORA,
        links: 1,
        subject: Subject::Slash32,
        // Two round trips, and twice that.
        limit: Limit::TimesKernel(4.0, figure::ECHO, "at most 2 × two raw echoes"),
    },
    Target {
        what: "first DORA, host route installed in it",
        figure: figure::FIRST_DORA,
        links: 1,
        subject: Subject::Slash32,
        limit: Limit::AtMost(300.0),
    },
    Target {
        what: "1,000 links served as they come up",
        figure: figure::ALL_SERVED,
        links: 1000,
        subject: Subject::Slash32Running,
        limit: Limit::AtMost(1.0),
    },
    Target {
        what: "1,000 links served when a host boots",
        figure: figure::ALL_SERVED,
        links: 1000,
        subject: Subject::Slash32,
        limit: Limit::AtMost(1.0),
    },
    Target {
        what: "PSS of a responder, 1,000 links",
        figure: figure::PSS,
        links: 1000,
        subject: Subject::Slash32,
        limit: Limit::AtMost(24.0),
    },
    Target {
        what: "RSS of the agent, 1,000 links",
        figure: figure::AGENT_RSS,
        links: 1000,
        subject: Subject::Slash32,
        limit: Limit::AtMost(16.0 * 1024.0),
    },
    Target {
        what: "wake-ups of 1,000 idle responders in 60 s",
        figure: figure::WAKE_UPS,
        links: 1000,
        subject: Subject::Slash32,
        limit: Limit::AtMost(0.0),
    },
    Target {
        what: "wake-ups of the idle agent in 60 s, 1,000 links",
        figure: figure::AGENT_WAKE_UPS,
        links: 1000,
        subject: Subject::Slash32,
        limit: Limit::AtMost(2.0),
    },
    Target {
        what: "processor time to bring up 1,000 links",
        figure: figure::CPU,
        links: 1000,
        subject: Subject::Slash32,
        limit: Limit::LessThanPeers,
    },
    Target {
        what: "user time per link, 1,000 links over 100",
        figure: figure::USER_CPU_PER_LINK,
        links: 1000,
        subject: Subject::Slash32,
        limit: Limit::TimesFewer(1.1, 100),
    },
];

impl Verdict {
    /// As the tables say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unmeasured => "not measured",
        }
    }
}

/// Every target against what was read.
pub(crate) fn judge(report: &Report) -> Vec<Judged> {
    TARGETS.iter().map(|target| target.judge(report)).collect()
}

impl Target {
    fn judge(&self, report: &Report) -> Judged {
        let unit = self.figure.unit;
        let ours = self.key(self.subject);
        let best = self.best_peer(report);
        // What is compared, how that is shown, and with what.
        let (measured, shown, limit) = match self.limit {
            Limit::AtMost(limit) => {
                let median = report.quote(ours).map(|quote| quote.median);
                (median, unit, Some(limit))
            }
            Limit::LessThanPeers => {
                let median = report.quote(ours).map(|quote| quote.median);
                (median, unit, best.map(|(_, best)| best.next_down()))
            }
            Limit::TimesKernel(times, figure, _) => {
                let kernel = Key {
                    figure,
                    links: self.links,
                    subject: Subject::Kernel,
                };
                let ratio = report.ratio(ours, kernel).map(|quote| quote.median);
                (ratio, Unit::Ratio, Some(times))
            }
            Limit::TimesFewer(times, links) => {
                let fewer = Key { links, ..ours };
                let ratio = report.ratio(ours, fewer).map(|quote| quote.median);
                (ratio, Unit::Ratio, Some(times))
            }
        };
        let verdict = match (measured, limit) {
            (Some(measured), Some(limit)) if measured <= limit => Verdict::Met,
            (Some(_), Some(_)) => Verdict::Missed,
            _ => Verdict::Unmeasured,
        };
        let measured = measured.map(|value| match self.limit {
            // As the limit is said: 1.0 is two echoes.
            Limit::TimesKernel(..) => format!("{} ×", significant(value / 2.0)),
            _ => shown.text(value),
        });
        Judged {
            what: self.what,
            wanted: self.wanted(),
            best_peer: best.map(|(peer, best)| format!("{} ({})", unit.text(best), peer.name())),
            measured,
            verdict,
        }
    }

    fn key(&self, subject: Subject) -> Key {
        Key {
            figure: self.figure,
            links: self.links,
            subject,
        }
    }

    /// Who takes the least, and how much that is. Where a ratio is judged nobody does.
    fn best_peer(&self, report: &Report) -> Option<(Subject, f64)> {
        if matches!(self.limit, Limit::TimesKernel(..) | Limit::TimesFewer(..)) {
            return None;
        }
        let median = |peer| Some((peer, report.quote(self.key(peer))?.median));
        let peers = PEERS.into_iter().filter_map(median);
        peers.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn wanted(&self) -> String {
        match self.limit {
            Limit::AtMost(0.0) => "none".to_owned(),
            Limit::AtMost(limit) => format!("≤ {}", self.figure.unit.limit(limit)),
            Limit::TimesKernel(_, _, said) => said.to_owned(),
            Limit::LessThanPeers => "less than every peer".to_owned(),
            Limit::TimesFewer(times, _) => format!("≤ {times} ×"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(report: &mut Report, figure: Figure, links: u32, subject: Subject, values: &[f64]) {
        for (run, value) in values.iter().enumerate() {
            let key = Key {
                figure,
                links,
                subject,
            };
            report.take(run, key, *value);
        }
    }

    fn row(report: &Report, what: &str) -> Judged {
        let mut rows = judge(report).into_iter();
        rows.find(|row| row.what == what).unwrap()
    }

    #[test]
    fn a_median_within_the_limit_is_met_and_stands_beside_the_best_peer() {
        let mut report = Report::default();
        take(
            &mut report,
            figure::START,
            1,
            Subject::Slash32,
            &[0.8, 1.0, 2.0],
        );
        take(
            &mut report,
            figure::START,
            1,
            Subject::Dnsmasq,
            &[5.0, 5.1, 4.0],
        );
        take(&mut report, figure::START, 1, Subject::Kea, &[40.0]);
        let row = row(&report, "responder start to first OFFER");
        assert_eq!(row.verdict, Verdict::Met);
        assert_eq!(row.wanted, "≤ 1 ms");
        assert_eq!(row.measured.as_deref(), Some("1.00 ms"));
        assert_eq!(row.best_peer.as_deref(), Some("5.00 ms (dnsmasq)"));
    }

    #[test]
    fn a_median_above_the_limit_is_missed_and_nothing_read_is_not_measured() {
        let mut report = Report::default();
        take(&mut report, figure::DORA_P99, 1, Subject::Slash32, &[150.1]);
        assert_eq!(row(&report, "repeated DORA, p99").verdict, Verdict::Missed);
        let unmeasured = row(&report, "repeated DORA, p50");
        assert_eq!(unmeasured.verdict, Verdict::Unmeasured);
        assert_eq!((unmeasured.measured, unmeasured.best_peer), (None, None));
    }

    #[test]
    fn a_handshake_is_two_echoes_and_may_take_twice_that_of_the_same_run() {
        let what = "repeated DORA, against two raw echoes";
        let mut report = Report::default();
        take(
            &mut report,
            figure::DORA,
            1,
            Subject::Slash32,
            &[60.0, 600.0],
        );
        take(
            &mut report,
            figure::ECHO,
            1,
            Subject::Kernel,
            &[15.0, 150.0],
        );
        let met = row(&report, what);
        assert_eq!(met.verdict, Verdict::Met);
        assert_eq!(met.measured.as_deref(), Some("2.00 ×"));
        take(
            &mut report,
            figure::DORA,
            1,
            Subject::Slash32,
            &[61.0, 610.0],
        );
        assert_eq!(row(&report, what).verdict, Verdict::Missed);
    }

    #[test]
    fn less_than_every_peer_needs_a_peer_and_equal_is_not_less() {
        let what = "processor time to bring up 1,000 links";
        let mut report = Report::default();
        take(&mut report, figure::CPU, 1000, Subject::Slash32, &[2.0]);
        assert_eq!(row(&report, what).verdict, Verdict::Unmeasured);
        take(&mut report, figure::CPU, 1000, Subject::Udhcpd, &[2.0]);
        take(&mut report, figure::CPU, 1000, Subject::Dnsmasq, &[9.0]);
        assert_eq!(row(&report, what).verdict, Verdict::Missed);
        take(&mut report, figure::CPU, 1000, Subject::Slash32, &[1.9]);
        assert_eq!(row(&report, what).verdict, Verdict::Met);
    }

    #[test]
    fn a_cost_per_link_is_compared_with_fewer_links_of_the_same_run() {
        let what = "user time per link, 1,000 links over 100";
        let mut report = Report::default();
        let figure = figure::USER_CPU_PER_LINK;
        take(&mut report, figure, 100, Subject::Slash32, &[100.0, 200.0]);
        take(&mut report, figure, 1000, Subject::Slash32, &[109.0, 218.0]);
        assert_eq!(row(&report, what).verdict, Verdict::Met);
        take(&mut report, figure, 1000, Subject::Slash32, &[120.0, 240.0]);
        let missed = row(&report, what);
        assert_eq!(missed.verdict, Verdict::Missed);
        assert_eq!(missed.measured.as_deref(), Some("1.20 ×"));
    }

    #[test]
    fn memory_is_said_in_mebibytes_and_no_wake_up_is_none() {
        let rows = judge(&Report::default());
        let wanted = |what: &str| {
            rows.iter()
                .find(|row| row.what == what)
                .unwrap()
                .wanted
                .clone()
        };
        assert_eq!(wanted("RSS of the agent, 1,000 links"), "≤ 16 MiB");
        assert_eq!(wanted("PSS of a responder, 1,000 links"), "≤ 24 KiB");
        assert_eq!(wanted("wake-ups of 1,000 idle responders in 60 s"), "none");
    }
}
