//! A panel of lines: a figure over the number of links, both on axes of powers; a straight line is a power, and one that rises
//! as fast as it goes to the right is proportional.

use super::axis::{Axis, label};
use super::svg::{Anchor, GAP, INK, Svg, WIDTH, colour};
use crate::bench::report::{Figure, Key, Quote, Subject};
use std::collections::BTreeMap;

/// Where the lines begin and end; before them are the axis's numbers, behind them the subjects.
const LEFT: f64 = GAP + 48.0;
const RIGHT: f64 = WIDTH - GAP - 220.0;
const HEIGHT: f64 = 250.0;
/// Between the names of two subjects, at least.
const LINE: f64 = 17.0;

/// Draws `values`, which are of one figure and not empty, and moves on below them.
pub(super) fn draw(svg: &mut Svg, figure: Figure, values: &[(Key, Quote)]) {
    let (top, bottom) = (svg.y + 18.0, svg.y + 18.0 + HEIGHT);
    let links: Vec<f64> = values.iter().map(|(key, _)| f64::from(key.links)).collect();
    let across = Axis::of_powers(&links, [LEFT, RIGHT]);
    let greatest = values
        .iter()
        .map(|(_, quote)| quote.most)
        .fold(0.0, f64::max);
    let (scale, unit) = figure.unit.scale(greatest);
    let ends: Vec<f64> = values
        .iter()
        .flat_map(|(_, quote)| [quote.least / scale, quote.most / scale])
        .collect();
    let up = Axis::of_powers(&ends, [bottom, top]);

    let comma = if unit.is_empty() { "" } else { ", " };
    svg.heading([GAP, svg.y], &format!("{}{comma}{unit}", figure.name));
    for tick in up.ticks() {
        let y = up.pixel(tick);
        svg.guide([LEFT, y], [RIGHT, y]);
        svg.text([LEFT - 8.0, y], Anchor::End, INK, &label(tick));
    }
    let mut places = links;
    places.sort_by(f64::total_cmp);
    places.dedup();
    let most = places.last().copied();
    for links in places {
        let x = across.pixel(links);
        svg.guide([x, top], [x, bottom + 4.0]);
        svg.text([x, bottom + 14.0], Anchor::Middle, INK, &label(links));
    }
    svg.text([RIGHT + 32.0, bottom + 14.0], Anchor::Start, INK, "links");

    let mut subjects: BTreeMap<Subject, Vec<(u32, Quote)>> = BTreeMap::new();
    for (key, quote) in values {
        subjects
            .entry(key.subject)
            .or_default()
            .push((key.links, *quote));
    }
    let mut names = Vec::new();
    // The first subject is ours, and is drawn over the others.
    for (subject, mut quotes) in subjects.into_iter().rev() {
        quotes.sort_by_key(|(links, _)| *links);
        let colour = colour(subject);
        let point =
            |links: u32, value: f64| [across.pixel(f64::from(links)), up.pixel(value / scale)];
        let medians: Vec<[f64; 2]> = quotes
            .iter()
            .map(|(links, quote)| point(*links, quote.median))
            .collect();
        svg.curve(&medians, colour);
        for (links, quote) in &quotes {
            svg.line(
                point(*links, quote.least),
                point(*links, quote.most),
                colour,
                1.5,
            );
            svg.dot(point(*links, quote.median), colour);
        }
        if let (Some((links, last)), Some([_, y])) = (quotes.last(), medians.last()) {
            let links = f64::from(*links);
            let at = if most > Some(links) {
                format!(" at {}", label(links))
            } else {
                String::new()
            };
            let text = format!("{} {}{at}", subject.name(), figure.unit.text(last.median));
            names.push((*y, colour, text));
        }
    }
    for (y, colour, text) in apart(names) {
        svg.text([RIGHT + 12.0, y], Anchor::Start, colour, &text);
    }
    svg.y = bottom + 24.0 + GAP;
}

/// Moves names that would stand on each other apart, as little as needed, and keeps their order.
fn apart<T>(mut names: Vec<(f64, &'static str, T)>) -> Vec<(f64, &'static str, T)> {
    names.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
    // Each pass moves two that are too near by half of what lacks; a handful of names needs a handful of passes.
    for _ in 0..64 {
        for at in 1..names.len() {
            let lack = LINE - (names[at].0 - names[at - 1].0);
            if lack > 0.0 {
                names[at - 1].0 -= lack / 2.0;
                names[at].0 += lack / 2.0;
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_stand_on_each_other_and_keep_their_order() {
        let names = apart(vec![
            (50.0, "", 'b'),
            (49.0, "", 'a'),
            (51.0, "", 'c'),
            (200.0, "", 'd'),
        ]);
        let order: String = names.iter().map(|(_, _, name)| name).collect();
        assert_eq!(order, "abcd");
        for pair in names.windows(2) {
            assert!(pair[1].0 - pair[0].0 > LINE - 0.1, "{names:?}");
        }
        assert_eq!(names[3].0, 200.0);
    }
}
