//! The graph for Graphviz. `class` carries the stage, so that a style sheet and a test can find it.

use std::fmt::Write as _;

use super::{Drawing, colour};
use crate::shown;

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let mut text = format!(
        "digraph {} {{\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white];\n",
        quoted(drawing.name)
    );
    for ix in drawing.nodes() {
        let fill =
            drawing.phase(ix).and_then(colour).map_or_else(String::new, |c| format!(", fillcolor=\"{c}\""));
        let (id, label, stage) =
            (quoted(drawing.id(ix)), quoted(&drawing.label(ix)), quoted(drawing.stage(ix)));
        let _ = writeln!(text, "  {id} [label={label}, class={stage}{fill}];");
    }
    for (from, to) in drawing.edges() {
        let _ = writeln!(text, "  {} -> {};", quoted(drawing.id(from)), quoted(drawing.id(to)));
    }
    text.push_str("}\n");
    text
}

/// A quoted id of the DOT language: only the quote ends it. A backslash is doubled, because labels read it as an escape.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in shown::line(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_do_not_end_an_id() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted("é\nx"), r#""é\\nx""#);
    }
}
