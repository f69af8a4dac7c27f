//! `orch graph FILE|NAME`.

use crate::args::{GraphArgs, GraphFormat};
use crate::draw::Drawing;
use crate::error::{CliError, Exit};
use crate::printer::Printer;
use crate::subject;

/// More edges than Mermaid draws unless it is told to.
const MERMAID_EDGES: usize = 500;

pub(super) fn execute(args: &GraphArgs, printer: &Printer) -> Result<Exit, CliError> {
    let subject = subject::find(&args.subject)?;
    let letters = subject.letters();
    let plan = subject.plan?;
    printer.warnings(&subject.warnings);
    if args.output == GraphFormat::Mermaid && plan.graph.edge_count() > MERMAID_EDGES {
        printer.note(&format!(
            "note: Mermaid draws {MERMAID_EDGES} dependencies unless `maxEdges` is set; `-o dot` has no limit"
        ));
    }
    printer.data(&Drawing::new(&subject.name, &plan, letters.as_deref()).text(args.output))?;
    Ok(Exit::Succeeded)
}
