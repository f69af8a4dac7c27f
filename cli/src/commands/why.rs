//! `orch why FILE|NAME ID`: from the resource alone.

use std::collections::HashMap;
use std::fmt::Write as _;

use orch_core::counted;
use orch_core::engine;
use orch_core::id::ObjectIx;
use orch_core::plan::RunPlan;
use orch_core::why::{Facts, why, word};
use orch_crds::status::{ObjectStatus, PipelineRunStatus, RunPhase};

use crate::args::WhyArgs;
use crate::error::{CliError, Exit};
use crate::phases::Phases;
use crate::printer::{Paint, Printer, Tone};
use crate::shown;
use crate::subject::{self, Subject};
use crate::wide;

/// Ids that a line names before it counts the rest.
const NAMED: usize = 8;

pub(super) fn execute(args: &WhyArgs, printer: &Printer) -> Result<Exit, CliError> {
    let subject = subject::find(&args.subject)?;
    let note = subject
        .status()
        .is_none()
        .then(|| format!("note: {}; only its graph is known", subject.without_status()));
    let Subject { name, run, plan, .. } = subject;
    let plan = plan?;
    let Some(object) = plan.find(&args.id) else {
        let problem = format!("`{name}` has no object `{}`", args.id);
        return Err(CliError::usage(
            problem,
            format!("`orch graph {} -o json` lists them", args.subject.subject),
        ));
    };
    let max_in_flight = run.as_ref().and_then(|run| run.spec.max_in_flight);
    let status = run.and_then(|run| run.status);
    let phases = Phases::new(&plan, status.as_ref());
    for note in note.into_iter().chain(phases.note()) {
        printer.note(&note);
    }
    let status = status.unwrap_or_default();
    let known = Known::new(&plan, &status, phases, max_in_flight);
    printer.data(&known.answer(object, printer.paint()))?;
    Ok(Exit::Succeeded)
}

/// What the status says about the objects of a plan.
struct Known<'a> {
    plan: &'a RunPlan,
    status: &'a PipelineRunStatus,
    phases: Phases,
    objects: HashMap<&'a str, &'a ObjectStatus>,
    max_in_flight: u32,
}

impl<'a> Known<'a> {
    fn new(
        plan: &'a RunPlan,
        status: &'a PipelineRunStatus,
        phases: Phases,
        max_in_flight: Option<u32>,
    ) -> Self {
        Self {
            phases,
            objects: status.objects.iter().map(|object| (object.id.as_str(), object)).collect(),
            max_in_flight: max_in_flight.unwrap_or(u32::MAX),
            plan,
            status,
        }
    }

    fn answer(&self, ix: ObjectIx, paint: Paint) -> String {
        let stage_replicas: Vec<Option<u32>> =
            self.plan.stages.iter().map(|stage| self.no_workers(stage.name.as_str())).collect();
        let facts = Facts {
            run_phase: run_phase(self.status.phase),
            phases: self.phases.all(),
            failures: &|ix| self.failure(ix),
            ended_at: &|ix| self.object(ix)?.end_time.clone(),
            max_in_flight: self.max_in_flight,
            in_flight: self.status.counts.queued + self.status.counts.running,
            stage_replicas: &stage_replicas,
        };
        let answer = why(self.plan, &facts, ix);
        let phase = self.phases.of(ix);
        let tone = phase.and_then(wide::tone).unwrap_or(Tone::Strong);
        let stage = self.plan.stage_of(ix).name.as_str();
        let mut text =
            format!("{} ({stage}): {}\n", shown::line(&self.title(ix)), paint.paint(tone, word(phase)));
        let _ = writeln!(text, "{}", shown::line(&answer.message));
        self.describe(ix, &mut text);
        text
    }

    /// What else is known of the object.
    fn describe(&self, ix: ObjectIx, text: &mut String) {
        let graph = &self.plan.graph;
        let mut rows: Vec<(&str, String)> = Vec::new();
        if let Some(object) = self.object(ix).filter(|object| object.attempt > 0) {
            let worker =
                object.worker.as_ref().map_or_else(String::new, |worker| format!(", worker {worker}"));
            rows.push(("attempt", format!("{}{worker}", object.attempt)));
        }
        rows.push(("needs", self.list(graph.dependencies(ix))));
        rows.push(("needed by", self.list(graph.dependants(ix))));
        if let Some(failure) = self.status.failures.iter().find(|failure| failure.id == self.id(ix)) {
            rows.push(("blocks", counted(failure.blocks as usize, "object")));
            for line in failure.log_tail.iter().flat_map(|tail| shown::log(tail)) {
                rows.push(("log", line));
            }
        }
        rows.retain(|(_, row)| !row.is_empty());
        if !rows.is_empty() {
            text.push('\n');
        }
        for (head, row) in &rows {
            let _ = writeln!(text, "  {head:9}  {}", shown::line(row));
        }
    }

    fn list(&self, objects: &[ObjectIx]) -> String {
        let show = |ix: &ObjectIx| format!("{} ({})", self.id(*ix), word(self.phases.of(*ix)));
        let named: Vec<String> = objects.iter().take(NAMED).map(show).collect();
        match objects.len() - named.len() {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }

    /// `Some(0)` where no worker is wanted for a stage of a live run; how many are ready the status does not say.
    fn no_workers(&self, stage: &str) -> Option<u32> {
        let status = self.status.stages.iter().find(|status| status.name == stage)?;
        (status.replicas == 0 && !self.status.phase.is_final()).then_some(0)
    }

    fn failure(&self, ix: ObjectIx) -> Option<(String, String)> {
        let of_object =
            self.object(ix).and_then(|object| Some((object.reason.clone()?, object.message.clone())));
        if let Some((reason, message)) = of_object {
            return Some((reason, message.unwrap_or_default()));
        }
        let failure = self.status.failures.iter().find(|failure| failure.id == self.id(ix))?;
        Some((failure.reason.clone(), failure.message.clone()))
    }

    fn object(&self, ix: ObjectIx) -> Option<&'a ObjectStatus> {
        self.objects.get(self.id(ix)).copied()
    }

    fn id(&self, ix: ObjectIx) -> &str {
        self.plan.object(ix).id.as_str()
    }

    fn title(&self, ix: ObjectIx) -> String {
        match self.plan.object(ix).name.as_deref() {
            Some(label) => format!("{} {label}", self.id(ix)),
            None => self.id(ix).to_owned(),
        }
    }
}

fn run_phase(phase: RunPhase) -> engine::RunPhase {
    match phase {
        RunPhase::Pending => engine::RunPhase::Pending,
        RunPhase::Running => engine::RunPhase::Running,
        RunPhase::Succeeded => engine::RunPhase::Succeeded,
        RunPhase::Failed => engine::RunPhase::Failed,
        RunPhase::Cancelled => engine::RunPhase::Cancelled,
    }
}
