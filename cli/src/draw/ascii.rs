//! The graph for a terminal: level by level, each object with what it waits for.

use std::fmt::Write as _;

use orch_core::counted;
use orch_core::engine::ObjectPhase;
use orch_core::why::word;

use super::Drawing;
use crate::shown;

/// More objects than anybody reads as text.
const READABLE: usize = 200;
/// Dependencies that are named before the rest is counted.
const NAMED: usize = 8;
/// Levels of a large graph that are listed.
const LEVELS: usize = 40;

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let levels = drawing.levels();
    let objects: usize = levels.iter().map(Vec::len).sum();
    let edges = drawing.edges().count();
    let size = [(objects, "object"), (edges, "dependency"), (levels.len(), "level")];
    let size = size.map(|(n, noun)| counted(n, noun)).join(", ");
    let mut text = format!("{}: {size}\n", shown::line(drawing.name));
    if objects > READABLE {
        let _ = writeln!(
            text,
            "Too large to read as text; `-o dot`, `-o mermaid` and `-o json` have every object.\n"
        );
        for (n, level) in levels.iter().enumerate().take(LEVELS) {
            let _ = writeln!(text, "level {}: {}", n + 1, counted(level.len(), "object"));
        }
        if levels.len() > LEVELS {
            let _ = writeln!(text, "and {}", counted(levels.len() - LEVELS, "more level"));
        }
        return text;
    }
    let title = |ix| match drawing.name(ix) {
        Some(name) => shown::line(&format!("{} {name}", drawing.id(ix))).into_owned(),
        None => shown::line(drawing.id(ix)).into_owned(),
    };
    let width = drawing.nodes().map(|ix| title(ix).chars().count()).max().unwrap_or(0);
    let stages = drawing.nodes().map(|ix| drawing.stage(ix).len()).max().unwrap_or(0);
    for (n, level) in levels.iter().enumerate() {
        let _ = writeln!(text, "\nlevel {}", n + 1);
        for ix in level {
            let gap = " ".repeat(width - title(*ix).chars().count());
            let phase = match drawing.phases {
                Some(phases) => format!("{:9}  ", word(phases.of(*ix))),
                None => String::new(),
            };
            let line = format!(
                "  {phase}{}{gap}  {:stages$}{}",
                title(*ix),
                drawing.stage(*ix),
                waits_for(drawing, *ix)
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    if let Some(failed) = drawing.nodes().find(|ix| drawing.phase(*ix) == Some(ObjectPhase::Failed)) {
        let failed = shown::line(drawing.id(failed));
        let _ = writeln!(text, "\n{failed} failed; `orch why` says what that means for an object.");
    }
    text
}

fn waits_for(drawing: &Drawing<'_>, ix: orch_core::id::ObjectIx) -> String {
    let dependencies = drawing.plan.graph.dependencies(ix);
    if dependencies.is_empty() {
        return String::new();
    }
    let named: Vec<&str> =
        dependencies.iter().take(NAMED).map(|dependency| drawing.id(*dependency)).collect();
    let more = match dependencies.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("  <- {}{more}", shown::line(&named.join(", ")))
}
