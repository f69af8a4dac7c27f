//! The results as text, at most 140 columns wide. Pure.

use std::fmt::Write as _;

use crate::results::Results;

/// Everything.
pub(crate) fn all(results: &Results) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\n{:<36} {:>7} {:>6}  {:<8} {:>10} {:>19} {:>6} {:>15} {:>6}",
        "graph", "objects", "levels", "row", "objects/s", "least-most", "ratio", "whole objects/s", "ratio"
    );
    for graph in &results.graphs {
        for row in &graph.rows {
            let rate = &row.objects_per_s;
            let _ = writeln!(
                text,
                "{:<36} {:>7} {:>6}  {:<8} {:>10.0} {:>19} {:>6.2} {:>15.0} {:>6.2}",
                graph.name,
                graph.objects,
                graph.levels,
                row.row.name(),
                rate.median,
                format!("{:.0}-{:.0}", rate.least, rate.most),
                row.ratio.median,
                row.whole_objects_per_s.median,
                row.whole_ratio.median,
            );
        }
    }
    text
}
