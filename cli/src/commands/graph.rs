//! `orch graph FILE|NAME`.

use crate::args::{GraphArgs, GraphFormat};
use crate::draw::Drawing;
use crate::error::{CliError, Exit};
use crate::phases::Phases;
use crate::printer::Printer;
use crate::subject::{self, Subject};

/// More edges than Mermaid draws unless it is told to.
const MERMAID_EDGES: usize = 500;

pub(super) fn execute(args: &GraphArgs, printer: &Printer) -> Result<Exit, CliError> {
    let subject = subject::find(&args.subject)?;
    let Subject { name, run, plan, warnings, .. } = subject;
    let plan = plan?;
    printer.warnings(&warnings);
    let status = run.as_ref().and_then(|run| run.status.as_ref());
    let phases = status.map(|status| Phases::new(&plan, Some(status)));
    if let Some(note) = phases.as_ref().and_then(Phases::note) {
        printer.note(&note);
    }
    if args.output == GraphFormat::Mermaid && plan.graph.edge_count() > MERMAID_EDGES {
        printer.note(&format!(
            "note: Mermaid draws {MERMAID_EDGES} dependencies unless `maxEdges` is set; `-o dot` has no limit"
        ));
    }
    printer.data(&Drawing::new(&name, &plan, phases.as_ref()).text(args.output))?;
    Ok(Exit::Succeeded)
}
