//! `orch validate FILE`.

use std::fmt::Write as _;

use orch_core::counted;
use orch_core::finding::Finding;
use orch_core::graph::Order;
use orch_core::plan::RunPlan;
use orch_crds::StatusField;
use orch_crds::conversion::check_inline_size;

use crate::args::InputArgs;
use crate::error::{CliError, Exit};
use crate::input;
use crate::printer::{Paint, Printer, Tone};
use crate::shown;
use crate::table::{Cell, render};

pub(super) fn execute(args: &InputArgs, printer: &Printer) -> Result<Exit, CliError> {
    let input = input::load(args, StatusField::Ignored)?;
    let (file, name) = (input.file.clone(), input.name.clone());
    let too_large = input.manifest.as_ref().and_then(|manifest| check_inline_size(&manifest.run.spec));
    let (plan, mut warnings) = input.into_plan()?;
    warnings.extend(too_large.map(|finding| for_a_cluster(&finding)));
    printer.warnings(&warnings);
    printer.data(&describe(&file, &name, &plan, printer.paint()))?;
    Ok(Exit::Succeeded)
}

/// A local run takes what an API server would not.
fn for_a_cluster(finding: &Finding) -> Finding {
    Finding { problem: format!("in a cluster this is refused: {}", finding.problem), ..finding.clone() }
}

/// What is in the file: the graph that would run.
fn describe(file: &str, name: &str, plan: &RunPlan, paint: Paint) -> String {
    let order = Order::of(&plan.graph);
    let needed = |level: &[orch_core::id::ObjectIx]| level.iter().filter(|ix| plan.is_needed(**ix)).count();
    let widths: Vec<usize> = order.levels().map(needed).filter(|width| *width > 0).collect();
    let edges: usize =
        plan.indices().filter(|ix| plan.is_needed(*ix)).map(|ix| plan.graph.dependencies(ix).len()).sum();
    let total = plan.needed_count();
    let mut text = format!(
        "{}: {}\n\n  run {name}: {}, {}, depth {}, width {}\n",
        shown::line(file),
        paint.paint(Tone::Good, "valid"),
        counted(total, "object"),
        counted(edges, "dependency"),
        widths.len(),
        widths.iter().max().copied().unwrap_or(0),
    );
    let pruned = plan.objects.len() - total;
    if pruned > 0 {
        let _ = writeln!(text, "  pruned: {} that no target needs", counted(pruned, "object"));
    }
    let assumed = plan.objects.iter().filter(|object| object.assumed).count();
    if assumed > 0 {
        let _ = writeln!(text, "  assumed to be loaded: {} that nobody defines", counted(assumed, "object"));
    }
    let mut rows = vec![vec![
        Cell::text("STAGE"),
        Cell::right("OBJECTS"),
        Cell::right("PRUNED"),
        Cell::text("PROCESSOR"),
    ]];
    for (n, stage) in plan.stages.iter().enumerate() {
        let of_stage = || plan.indices().filter(|ix| plan.object(*ix).stage.usize() == n);
        let needed = of_stage().filter(|ix| plan.is_needed(*ix)).count();
        rows.push(vec![
            Cell::text(stage.name.as_str()),
            Cell::number(needed),
            Cell::number(of_stage().count() - needed),
            Cell::text(&stage.processor),
        ]);
    }
    let _ = write!(text, "\n{}", render(&rows, paint));
    text
}
