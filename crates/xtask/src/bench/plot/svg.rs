//! The elements of a picture, written one below the other as they come.

use crate::bench::report::Subject;
use std::fmt::Write;

/// The width of every picture, in pixels; so is everything below.
pub(super) const WIDTH: f64 = 760.0;
/// Between the panels, and around them.
pub(super) const GAP: f64 = 28.0;
/// Of titles, axes and their numbers: as far from white as from black.
pub(super) const INK: &str = "#768390";
/// Lines that only guide the eye: the same, hardly seen.
const GUIDE_OPACITY: f64 = 0.28;

/// The colour of everything that is drawn of a subject.
pub(super) fn colour(subject: Subject) -> &'static str {
    match subject {
        Subject::Slash32 => "#2f81f7",
        Subject::Slash32Running => "#12a5b8",
        Subject::Slash32Std => "#8a63d2",
        Subject::Dnsmasq => "#e8752c",
        Subject::Udhcpd => "#3fa04f",
        Subject::Dhcpd => "#d6498f",
        Subject::Kea => "#b08800",
        Subject::Kernel => "#8c959f",
    }
}

/// Where a text is held.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A picture. What is drawn next begins at [`y`](Self::y).
pub(super) struct Svg {
    title: String,
    body: String,
    pub(super) y: f64,
}

impl Svg {
    /// With a title, and nothing below it.
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            body: String::new(),
            y: 64.0,
        }
    }

    pub(super) fn line(
        &mut self,
        [x1, y1]: [f64; 2],
        [x2, y2]: [f64; 2],
        colour: &str,
        width: f64,
    ) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        );
    }

    pub(super) fn guide(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{INK}" stroke-opacity="{GUIDE_OPACITY}"/>"#
        );
    }

    pub(super) fn bar(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" fill="{colour}" fill-opacity="0.85"/>"#
        );
    }

    pub(super) fn dot(&mut self, [x, y]: [f64; 2], colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#
        );
    }

    pub(super) fn curve(&mut self, points: &[[f64; 2]], colour: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|[x, y]| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>"#,
            points.join(" ")
        );
    }

    /// `y` is the middle of the letters.
    pub(super) fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, colour: &str, text: &str) {
        self.styled([x, y], anchor, colour, "", text);
    }

    /// The heading of a panel.
    pub(super) fn heading(&mut self, at: [f64; 2], text: &str) {
        self.styled(at, Anchor::Start, INK, r#" font-weight="600""#, text);
    }

    fn styled(&mut self, [x, y]: [f64; 2], anchor: Anchor, colour: &str, style: &str, text: &str) {
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{:.1}" text-anchor="{}" fill="{colour}"{style}>{}</text>"#,
            y + 4.5,
            anchor.name(),
            escaped(text)
        );
    }

    /// The whole file; `None` when nothing was drawn.
    pub(super) fn finish(self) -> Option<String> {
        if self.body.is_empty() {
            return None;
        }
        let height = self.y;
        let title = escaped(&self.title);
        let body = self.body;
        Some(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0}" viewBox="0 0 {WIDTH} {height:.0}" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="13">
<text x="{GAP}" y="36" font-size="18" font-weight="600" fill="{INK}">{title}</text>
{body}</svg>
"#
        ))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
