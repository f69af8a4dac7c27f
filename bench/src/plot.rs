//! The ratios to the level replay as a picture: grouped bars, one group a graph, on a logarithmic scale. Pure.

use std::fmt::Write as _;

use crate::results::{Results, Row};

const BAR: f64 = 22.0;
const GAP: f64 = 36.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 56.0;
const HEIGHT: f64 = 320.0;
/// What title and legend need.
const WIDTH: f64 = 640.0;
/// For the names of graphs, which stand askew.
const BOTTOM: f64 = 130.0;

/// What a bar stands for: name, colour, and its value.
const BARS: [(&str, &str); 4] = [
    ("engine", "#4e79a7"),
    ("operator", "#e15759"),
    ("operator, from apply to Succeeded", "#f28e2b"),
    ("local, in memory", "#76b7b2"),
];

/// The picture as SVG.
pub(crate) fn svg(results: &Results) -> String {
    let groups: Vec<(&str, [Option<f64>; 4])> =
        results.graphs.iter().map(|graph| (graph.name.as_str(), ratios(&graph.rows))).collect();
    let values = groups.iter().flat_map(|(_, values)| values.iter().flatten().copied());
    let scale = Scale::of(values);
    let group = BAR * BARS.len() as f64 + GAP;
    let (width, height) = ((LEFT + group * groups.len() as f64 + GAP).max(WIDTH), TOP + HEIGHT + BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    text(
        &mut out,
        (LEFT, 18.0),
        "",
        "Objects/s as a ratio to a level replay of the same records (1 = what Kafka allows)",
    );
    let mut at = LEFT;
    for (name, colour) in BARS {
        let _ = writeln!(out, "<rect x=\"{at:.0}\" y=\"28\" width=\"10\" height=\"10\" fill=\"{colour}\"/>");
        text(&mut out, (at + 14.0, 37.0), "", name);
        at += 34.0 + 6.0 * name.len() as f64;
    }
    axis(&mut out, scale, width);
    for (n, (name, values)) in groups.iter().enumerate() {
        let x = LEFT + GAP / 2.0 + group * n as f64;
        bars(&mut out, scale, x, values);
        let middle = (x + BAR * 2.0, TOP + HEIGHT + 14.0);
        let turned = format!("text-anchor=\"end\" transform=\"rotate(-30 {:.0} {:.0})\"", middle.0, middle.1);
        text(&mut out, middle, &turned, name);
    }
    out + "</svg>\n"
}

/// One group: a bar each, with its value above it.
fn bars(out: &mut String, scale: Scale, x: f64, values: &[Option<f64>; 4]) {
    for (n, ((_, colour), value)) in BARS.iter().zip(values).enumerate() {
        let Some(value) = value else { continue };
        let (left, top) = (x + BAR * n as f64, scale.y(*value));
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            BAR - 2.0,
            TOP + HEIGHT - top
        );
        let label = if *value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        text(out, (left + BAR / 2.0 - 1.0, top - 3.0), "text-anchor=\"middle\" font-size=\"9\"", &label);
    }
}

/// A line for each power of ten; that of the replay is dark.
fn axis(out: &mut String, scale: Scale, width: f64) {
    for power in scale.low..=scale.high {
        let y = scale.y(10_f64.powi(power));
        let colour = if power == 0 { "#333" } else { "#ddd" };
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT:.0}\" y1=\"{y:.1}\" x2=\"{:.0}\" y2=\"{y:.1}\" stroke=\"{colour}\"/>",
            width - GAP / 2.0
        );
        text(out, (LEFT - 6.0, y + 4.0), "text-anchor=\"end\"", &format!("{}", 10_f64.powi(power)));
    }
}

fn text(out: &mut String, (x, y): (f64, f64), attributes: &str, said: &str) {
    let said = said.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{said}</text>");
}

fn ratios(rows: &[crate::results::RowResults]) -> [Option<f64>; 4] {
    let of = |row| rows.iter().find(|own| own.row == row);
    [
        of(Row::Engine).map(|row| row.ratio.median),
        of(Row::Operator).map(|row| row.ratio.median),
        of(Row::Operator).map(|row| row.whole_ratio.median),
        of(Row::Local).map(|row| row.ratio.median),
    ]
}

/// Powers of ten from the bottom to the top.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    /// All values, and the replay itself.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let whole = Self { low: -1, high: 1 };
        values.filter(|value| *value > 0.0).fold(whole, |scale, value| Self {
            low: scale.low.min(value.log10().floor() as i32),
            high: scale.high.max(value.log10().ceil() as i32),
        })
    }

    fn y(self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        TOP + HEIGHT * (1.0 - part.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_holds_all_values_and_the_replay() {
        assert_eq!(Scale::of([0.5].into_iter()), Scale { low: -1, high: 1 });
        let scale = Scale::of([0.02, 250.0].into_iter());
        assert_eq!(scale, Scale { low: -2, high: 3 });
        let ends = [0.01, 1_000.0].map(|value| (scale.y(value) - TOP).round() as i32);
        assert_eq!(ends, [HEIGHT as i32, 0]);
    }

    #[test]
    fn a_bar_is_higher_the_larger_its_value() {
        let mut out = String::new();
        bars(&mut out, Scale { low: -1, high: 1 }, 0.0, &[Some(0.1), Some(10.0), None, Some(1.0)]);
        let heights: Vec<&str> =
            out.split("height=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(heights, ["0.0", "320.0", "160.0"]);
    }
}
