//! A report as pictures: SVG, one file a case, one panel a figure.
//!
//! A figure that was taken at one number of links is a panel of bars, one a subject; at several, of lines over the links. Both
//! show the median, and the range over the runs as a thin line. Each subject has one colour in all of them, and nothing is
//! drawn in black or white and there is no background, so that they are read on a light page and on a dark one.
//!
//! Written here and not by a crate: what there is to draw is rectangles, lines and text, the crates for it bring fonts,
//! bitmaps and dozens of dependencies, and equal reports have to be equal files.

mod axis;
mod bars;
mod lines;
mod svg;

use super::case::title;
use super::figure;
use super::report::{Figure, Key, Report};
use std::collections::BTreeSet;
use svg::Svg;

/// The figures that are drawn, in the order of the panels.
const DRAWN: &[Figure] = &[
    figure::START,
    figure::LINK_UP,
    figure::TAP_UP,
    figure::FIRST_DORA,
    figure::DORA,
    figure::DORA_P99,
    figure::RENEWAL,
    figure::RENEWAL_P99,
    figure::ALL_SERVED,
    figure::CPU,
    figure::USER_CPU_PER_LINK,
    figure::PSS,
    figure::PSS_OF_ALL,
    figure::AGENT_RSS,
];

/// Of each case that has figures to draw, the file's name and its text.
pub(crate) fn of(report: &Report) -> Vec<(String, String)> {
    drawn(report, DRAWN)
}

fn drawn(report: &Report, figures: &[Figure]) -> Vec<(String, String)> {
    let cases: BTreeSet<char> = figures.iter().map(|figure| figure.case).collect();
    let files = cases.into_iter().filter_map(|case| {
        let figures = figures.iter().filter(|figure| figure.case == case);
        let mut svg = Svg::new(title(case));
        for figure in figures {
            panel(&mut svg, report, *figure);
        }
        let text = svg.finish()?;
        Some((format!("case-{case}.svg"), text))
    });
    files.collect()
}

/// Draws a figure below what was drawn before; nothing when it was not measured.
fn panel(svg: &mut Svg, report: &Report, figure: Figure) {
    let keys: Vec<Key> = report.keys().filter(|key| key.figure == figure).collect();
    let values: Vec<_> = keys
        .into_iter()
        .filter_map(|key| Some((key, report.quote(key)?)))
        // What is not above 0 has no place on an axis of powers, and no time or memory is.
        .filter(|(_, quote)| quote.least > 0.0)
        .collect();
    let links: BTreeSet<u32> = values.iter().map(|(key, _)| key.links).collect();
    match links.len() {
        0 => {}
        1 => bars::draw(svg, figure, &values),
        _ => lines::draw(svg, figure, &values),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Subject, Unit};
    use super::*;

    const OFFER: Figure = Figure {
        case: 'a',
        name: "start to first OFFER",
        unit: Unit::Milliseconds,
    };
    const SERVED: Figure = Figure {
        case: 'c',
        name: "every VM served",
        unit: Unit::Seconds,
    };

    fn report(readings: &[(Figure, u32, Subject, f64)]) -> Report {
        let mut report = Report::default();
        for (run, factor) in [1.0, 0.9, 1.2].into_iter().enumerate() {
            for &(figure, links, subject, value) in readings {
                let key = Key {
                    figure,
                    links,
                    subject,
                };
                report.take(run, key, value * factor);
            }
        }
        report
    }

    fn sample() -> Report {
        use Subject::{Dhcpd, Dnsmasq, Kea, Slash32, Slash32Running, Slash32Std, Udhcpd};
        report(&[
            (OFFER, 1, Slash32, 0.92),
            (OFFER, 1, Slash32Std, 1.9),
            (OFFER, 1, Dnsmasq, 5.05),
            (OFFER, 1, Udhcpd, 33.5),
            (OFFER, 1, Dhcpd, 15.8),
            (OFFER, 1, Kea, 38.9),
            (SERVED, 10, Slash32, 0.02),
            (SERVED, 100, Slash32, 0.11),
            (SERVED, 1000, Slash32, 0.97),
            (SERVED, 10, Slash32Running, 0.03),
            (SERVED, 100, Slash32Running, 0.13),
            (SERVED, 1000, Slash32Running, 1.05),
            (SERVED, 10, Dnsmasq, 0.119),
            (SERVED, 100, Dnsmasq, 1.137),
            (SERVED, 1000, Dnsmasq, 11.956),
            (SERVED, 10, Udhcpd, 0.142),
            (SERVED, 100, Udhcpd, 0.327),
            (SERVED, 1000, Udhcpd, 3.19),
            (SERVED, 100, Kea, 2.33),
            (SERVED, 500, Kea, 9.107),
        ])
    }

    /// Texts between `>` and `</text>`.
    fn texts(svg: &str) -> Vec<&str> {
        let parts = svg
            .split("</text>")
            .filter_map(|part| part.rsplit_once('>'));
        parts
            .map(|(_, text)| text)
            .filter(|text| !text.trim().is_empty())
            .collect()
    }

    #[test]
    fn a_case_without_a_reading_has_no_file() {
        let files = drawn(&report(&[(OFFER, 1, Subject::Kea, 1.0)]), &[OFFER, SERVED]);
        let names: Vec<&str> = files.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["case-a.svg"]);
    }

    #[test]
    fn bars_name_their_subject_and_its_median() {
        let files = drawn(&sample(), &[OFFER]);
        let texts = texts(&files[0].1);
        for text in [
            "Start to first OFFER",
            "start to first OFFER",
            "slash32",
            "0.920 ms",
            "ISC dhcpd",
            "15.8 ms",
        ] {
            assert!(texts.contains(&text), "{text}: {texts:?}");
        }
    }

    #[test]
    fn lines_name_their_subject_and_its_last_median_and_the_axes_what_they_count() {
        let files = drawn(&sample(), &[SERVED]);
        let texts = texts(&files[0].1);
        for text in [
            "every VM served, s",
            "links",
            "10",
            "1,000",
            "slash32 0.970 s",
            "Kea 9.11 s at 500",
        ] {
            assert!(texts.contains(&text), "{text}: {texts:?}");
        }
    }

    #[test]
    fn a_subject_has_the_same_colour_in_each_picture_and_no_other_has_it() {
        use Subject::{Dhcpd, Dnsmasq, Kea, Kernel, Slash32, Slash32Running, Slash32Std, Udhcpd};
        let all = [
            Slash32,
            Slash32Running,
            Slash32Std,
            Dnsmasq,
            Udhcpd,
            Dhcpd,
            Kea,
            Kernel,
        ];
        let colours: BTreeSet<&str> = all.into_iter().map(svg::colour).collect();
        assert_eq!(colours.len(), all.len());
        for (_, text) in drawn(&sample(), &[OFFER, SERVED]) {
            assert!(text.contains(svg::colour(Slash32)));
        }
    }

    #[test]
    fn a_picture_stands_alone_and_every_element_ends() {
        for (name, text) in drawn(&sample(), &[OFFER, SERVED]) {
            let document = roxmltree::Document::parse(&text);
            let document = document.unwrap_or_else(|error| panic!("{name}: {error}"));
            let root = document.root_element();
            assert_eq!(root.tag_name().name(), "svg");
            let links = root.descendants().filter(|node| node.has_attribute("href"));
            assert_eq!(links.count(), 0, "{name}");
        }
    }
}
