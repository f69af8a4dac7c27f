//! The graph as a Mermaid flow chart, which GitHub and many wikis draw. Objects are `n0`, `n1` and so on, because an id
//! may hold characters that Mermaid reads as syntax.

use std::fmt::Write as _;

use super::{Drawing, colour};
use crate::shown;

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for ix in drawing.nodes() {
        let (id, label) = (drawing.id(ix), drawing.label(ix));
        let title = escaped(&format!("{id} {label}"));
        let _ = writeln!(text, "  n{}[\"{title}\"]", ix.usize());
    }
    for (from, to) in drawing.edges() {
        let _ = writeln!(text, "  n{} --> n{}", from.usize(), to.usize());
    }
    for ix in drawing.nodes() {
        if let Some(colour) = drawing.phase(ix).and_then(colour) {
            let _ = writeln!(text, "  style n{} fill:{colour}", ix.usize());
        }
    }
    text
}

/// Text between quotes: Mermaid knows no backslash, only entities.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown::line(text).chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mermaid_reads_as_syntax_becomes_an_entity() {
        assert_eq!(escaped("a\"b#<c>"), "a#quot;b#35;#lt;c#gt;");
    }
}
