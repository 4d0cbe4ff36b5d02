//! Plots as inline SVG, drawn by hand: lines on axes, bars of reliability, heat maps.

use std::fmt::Write as _;

use super::escape;

const LEFT: f64 = 52.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;
const RIGHT: f64 = 16.0;

/// A range of values.
pub(super) type AxisRange = (f64, f64);

/// A pair of axes with what is drawn between them.
pub(super) struct Plot {
    svg: String,
    size: (f64, f64),
    x: AxisRange,
    y: AxisRange,
}

/// The look of a line: colour, width, dashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineStroke {
    pub(super) colour: &'static str,
    pub(super) width: f64,
    pub(super) dashes: &'static str,
}

impl Plot {
    /// Draws axes of `size` with a grid at `ticks` (x, then y), each written with `digits` decimals.
    pub(super) fn new(size: (f64, f64), [x, y]: [AxisRange; 2], [x_name, y_name]: [&str; 2]) -> Self {
        let (width, height) = size;
        let svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{y_name} over {x_name}\">");
        let mut plot = Self { svg, size, x, y };
        plot.grid();
        let _ = write!(
            plot.svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{x_name}</text><text transform=\"translate(14 {}) rotate(-90)\" \
             text-anchor=\"middle\">{y_name}</text>",
            f64::midpoint(LEFT, width - RIGHT),
            height - 8.0,
            f64::midpoint(TOP, height - BOTTOM)
        );
        plot
    }

    /// Draws a line through `points`.
    pub(super) fn line(&mut self, points: &[(f64, f64)], LineStroke { colour, width, dashes }: LineStroke) {
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", self.across(*x), self.down(*y))).collect();
        let _ = write!(
            self.svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"var({colour})\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\" stroke-dasharray=\"{dashes}\"/>",
            path.join(" ")
        );
    }

    /// Draws a dot of `radius` at each of `points`.
    pub(super) fn dots(&mut self, points: &[(f64, f64)], colour: &str, radius: f64) {
        for (x, y) in points {
            let (x, y) = (self.across(*x), self.down(*y));
            let _ = write!(
                self.svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"var({colour})\" stroke=\"#fff\" stroke-width=\"1.2\"/>"
            );
        }
    }

    /// Writes `text` beside a point.
    pub(super) fn label(&mut self, (x, y): (f64, f64), text: &str) {
        let (x, y) = (self.across(x) + 8.0, self.down(y) + 4.0);
        let _ = write!(self.svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(text));
    }

    /// Draws a bar from the x axis up to `y`, from `from` to `to`.
    pub(super) fn bar(&mut self, (from, to): AxisRange, y: f64, colour: &str) {
        let (left, right, top, bottom) = (self.across(from), self.across(to), self.down(y), self.down(self.y.0));
        let _ = write!(
            self.svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var({colour})\" opacity=\".18\"/>",
            (right - left - 1.0).max(1.0),
            (bottom - top).max(0.0)
        );
    }

    /// Explains the lines, in the lower right corner.
    pub(super) fn legend(&mut self, entries: &[(&str, LineStroke)]) {
        let (width, height) = self.size;
        for (index, (name, stroke)) in entries.iter().enumerate() {
            let y = height - BOTTOM - 14.0 - 19.0 * (entries.len() - 1 - index) as f64;
            let x = width - RIGHT - 168.0;
            let _ = write!(
                self.svg,
                "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"var({})\" stroke-width=\"{}\" \
                 stroke-dasharray=\"{}\"/><text x=\"{}\" y=\"{}\">{name}</text>",
                x + 26.0,
                stroke.colour,
                stroke.width,
                stroke.dashes,
                x + 34.0,
                y + 4.0
            );
        }
    }

    /// Returns the finished picture.
    pub(super) fn finish(self) -> String {
        self.svg + "</svg>"
    }

    fn grid(&mut self) {
        let (width, height) = self.size;
        for step in 0..=5 {
            let share = f64::from(step) / 5.0;
            let (x, y) = (self.x.0 + share * (self.x.1 - self.x.0), self.y.0 + share * (self.y.1 - self.y.0));
            let (across, down) = (self.across(x), self.down(y));
            let _ = write!(
                self.svg,
                "<path d=\"M{across:.1} {TOP}V{:.1}M{LEFT} {down:.1}H{:.1}\" stroke=\"var(--line)\"/>\
                 <text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                height - BOTTOM,
                width - RIGHT,
                height - BOTTOM + 17.0,
                tick(x, self.x),
                LEFT - 7.0,
                down + 4.0,
                tick(y, self.y)
            );
        }
    }

    fn across(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (self.size.0 - LEFT - RIGHT)
    }

    fn down(&self, y: f64) -> f64 {
        self.size.1 - BOTTOM - (y - self.y.0) / (self.y.1 - self.y.0) * (self.size.1 - TOP - BOTTOM)
    }
}

fn tick(value: f64, (from, to): AxisRange) -> String {
    match to - from {
        span if span >= 20.0 => format!("{value:.0}"),
        span if span >= 0.5 => format!("{value:.1}"),
        span if span >= 0.05 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

/// Draws a confusion matrix: rows are the truth, each shaded by its shares.
pub(super) fn heat_map(labels: &[&str], rows: &[Vec<u64>]) -> String {
    let (left, top, cell) = (110.0, 30.0, 400.0 / labels.len().max(1) as f64);
    let (width, height) = (left + 400.0 + 6.0, top + 400.0 + 30.0);
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"confusion matrix\">");
    let small = labels.len() > 8;
    for (down, (label, row)) in labels.iter().zip(rows).enumerate() {
        let total = row.iter().sum::<u64>().max(1) as f64;
        let y = top + cell * down as f64;
        let name = escape(label);
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            left - 8.0,
            y + cell / 2.0 + 4.0
        );
        if !small {
            let x = left + cell * (down as f64 + 0.5);
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", top - 10.0);
        }
        for (across, count) in row.iter().enumerate() {
            let (x, share) = (left + cell * across as f64, *count as f64 / total);
            let colour = if across == down { "--accent" } else { "--warm" };
            let ink = if share > 0.55 { "#fff" } else { "var(--ink)" };
            let _ = write!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{0:.1}\" rx=\"4\" fill=\"var({colour})\" opacity=\"{1:.3}\"/>",
                cell - 3.0,
                0.06 + 0.94 * share
            );
            if !small {
                let (x, y) = (x + cell / 2.0, y + cell / 2.0);
                let _ = write!(
                    svg,
                    "<text class=\"cell\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" style=\"fill:{ink}\">{count}</text>\
                     <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"fill:{ink}\">{:.0} %</text>",
                    y + 17.0,
                    100.0 * share
                );
            }
        }
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">judged as</text></svg>",
        left + 200.0,
        height - 8.0
    );
    svg
}
