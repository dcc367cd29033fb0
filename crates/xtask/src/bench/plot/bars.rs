//! A panel of bars: the subjects of one figure, the least first.

use super::axis::{Axis, label};
use super::svg::{Anchor, GAP, INK, Svg, WIDTH, colour};
use crate::bench::report::{Figure, Key, Quote};

/// Where the bars begin and end; before them is the subject, behind them the value.
const LEFT: f64 = GAP + 150.0;
const RIGHT: f64 = WIDTH - GAP - 90.0;
/// Of a bar, and from one to the next.
const THICK: f64 = 14.0;
const ROW: f64 = 24.0;

/// Draws `values`, which are of one figure and not empty, and moves on below them.
pub(super) fn draw(svg: &mut Svg, figure: Figure, values: &[(Key, Quote)]) {
    let mut values = values.to_vec();
    values.sort_by(|(_, one), (_, other)| one.median.total_cmp(&other.median));
    let greatest = values
        .iter()
        .map(|(_, quote)| quote.most)
        .fold(0.0, f64::max);
    let (scale, unit) = figure.unit.scale(greatest);
    let ends: Vec<f64> = values
        .iter()
        .flat_map(|(_, quote)| [quote.least / scale, quote.most / scale])
        .collect();
    let axis = Axis::around(&ends, [LEFT, RIGHT]);

    svg.heading([GAP, svg.y], figure.name);
    let top = svg.y + 18.0;
    let bottom = top + ROW * values.len() as f64;
    for tick in axis.ticks() {
        let x = axis.pixel(tick);
        svg.guide([x, top], [x, bottom + 4.0]);
        svg.text([x, bottom + 14.0], Anchor::Middle, INK, &label(tick));
    }
    let kind = if axis.is_logarithmic() {
        ", log scale"
    } else {
        ""
    };
    let unit = format!("{unit}{kind}");
    svg.text([RIGHT + 24.0, bottom + 14.0], Anchor::Start, INK, &unit);
    for (row, (key, quote)) in values.iter().enumerate() {
        let y = top + ROW * (row as f64 + 0.5);
        let colour = colour(key.subject);
        let [least, median, most] =
            [quote.least, quote.median, quote.most].map(|value| axis.pixel(value / scale));
        svg.text([LEFT - 10.0, y], Anchor::End, INK, key.subject.name());
        svg.bar([LEFT, y - THICK / 2.0], [median - LEFT, THICK], colour);
        if quote.least < quote.most {
            svg.line([least, y], [most, y], INK, 1.5);
            for end in [least, most] {
                svg.line([end, y - 4.0], [end, y + 4.0], INK, 1.5);
            }
        }
        svg.text(
            [median.max(most) + 8.0, y],
            Anchor::Start,
            colour,
            &figure.unit.text(quote.median),
        );
    }
    svg.y = bottom + 24.0 + GAP;
}
