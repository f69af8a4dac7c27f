//! A run as text for people, from its status alone: the summary at the end of `orch run`, and `orch status`. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use orch_core::duration;
use orch_core::graph::critical_path;
use orch_core::id::Millis;
use orch_core::plan::RunPlan;
use orch_core::{are, counted};
use orch_crds::condition::{succeeded, types};
use orch_crds::status::{Counts, ObjectStatus, PipelineRunStatus, RunPhase, parse_timestamp};

use crate::printer::{Paint, Tone};
use crate::shown;
use crate::table::{Cell, render};

/// Ids that a line names before it counts the rest.
const NAMED: usize = 6;
/// Objects in the list of the slowest.
const SLOWEST: usize = 5;
/// Objects of the critical path that are listed.
const ON_PATH: usize = 12;

/// What a report is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// How it stands.
    pub status: &'a PipelineRunStatus,
    /// `spec.timeout`, where the run has one.
    pub timeout: Option<&'a str>,
    /// Its graph, for labels and the critical path.
    pub plan: Option<&'a RunPlan>,
    /// Colours.
    pub paint: Paint,
}

type Column = (&'static str, fn(&Counts) -> u32, Option<Tone>);

/// The counts, in the order of an object's life. The first ones are always shown, the others when they count anything.
const COLUMNS: [Column; 10] = [
    ("TOTAL", |c| c.total, None),
    ("LOADED", |c| c.loaded, Some(Tone::Good)),
    ("FAILED", |c| c.failed, Some(Tone::Bad)),
    ("BLOCKED", |c| c.blocked, Some(Tone::Caution)),
    ("PENDING", |c| c.pending, None),
    ("READY", |c| c.ready, None),
    ("QUEUED", |c| c.queued, None),
    ("RUNNING", |c| c.running, None),
    ("RETRYING", |c| c.retrying, Some(Tone::Caution)),
    ("CANCELLED", |c| c.cancelled, None),
];
const ALWAYS_SHOWN: usize = 4;

impl Report<'_> {
    /// How the run ended: phase, counts a stage, failures and what they block.
    pub(crate) fn summary(&self) -> String {
        let mut text = self.heading();
        text.push_str(&self.early_end());
        text.push_str(&self.conditions());
        text.push_str(&self.stages());
        text.push_str(&self.failures());
        text.push_str(&self.blocked());
        text
    }

    /// The summary, the slowest objects and the critical path.
    pub(crate) fn status(&self) -> String {
        let mut text = self.summary();
        text.push_str(&self.slowest());
        text.push_str(&self.critical_path());
        text
    }

    fn heading(&self) -> String {
        let status = self.status;
        let tone = match status.phase {
            RunPhase::Succeeded => Tone::Good,
            RunPhase::Failed => Tone::Bad,
            RunPhase::Cancelled => Tone::Caution,
            RunPhase::Pending | RunPhase::Running => Tone::Strong,
        };
        let phase = self.paint.paint(tone, &format!("{:?}", status.phase));
        let took = status.duration.as_ref().map_or_else(String::new, |duration| format!(" in {duration}"));
        let progress = match (&status.progress, status.phase.is_final()) {
            (Some(progress), false) => format!(", {progress} loaded"),
            _ => String::new(),
        };
        format!("{}: {phase}{}\n", shown::line(self.name), shown::line(&format!("{took}{progress}")))
    }

    /// Why the run ended before its objects did, where neither they nor a person ended it.
    fn early_end(&self) -> String {
        let succeeded = self.status.conditions.iter().find(|condition| condition.type_ == types::SUCCEEDED);
        let of = self.timeout.map_or_else(String::new, |timeout| format!(" of {}", shown::line(timeout)));
        match succeeded.map(|condition| condition.reason.as_str()) {
            Some(succeeded::DEADLINE_EXCEEDED) => {
                format!("  DeadlineExceeded: it took longer than its timeout{of}\n")
            }
            Some(succeeded::PLAN_CHANGED) => {
                "  PlanChanged: what it would run now is not what it began with\n".to_owned()
            }
            _ => String::new(),
        }
    }

    /// The conditions that say why the run does not go on, or why it was refused.
    fn conditions(&self) -> String {
        let mut text = String::new();
        for condition in &self.status.conditions {
            let bad_when_false =
                [types::ACCEPTED, types::GRAPH_VALID, types::TOPICS_READY, types::WORKERS_READY]
                    .contains(&condition.type_.as_str());
            let bad = if condition.type_ == types::STALLED { "True" } else { "False" };
            let live = condition.type_ == types::GRAPH_VALID || !self.status.phase.is_final();
            if (bad_when_false || condition.type_ == types::STALLED) && condition.status == bad && live {
                let said = format!(
                    "{}={}: {}: {}",
                    condition.type_, condition.status, condition.reason, condition.message
                );
                let _ = writeln!(text, "  {}", shown::line(&said));
            }
        }
        text
    }

    fn stages(&self) -> String {
        let status = self.status;
        if status.stages.is_empty() {
            return String::new();
        }
        let shown: Vec<&Column> = COLUMNS
            .iter()
            .enumerate()
            .filter(|(n, (_, count, _))| *n < ALWAYS_SHOWN || count(&status.counts) > 0)
            .map(|(_, column)| column)
            .collect();
        let heads = shown.iter().map(|(head, ..)| Cell::right(*head).tone(Tone::Faint));
        let mut rows =
            vec![std::iter::once(Cell::text("STAGE").tone(Tone::Faint)).chain(heads).collect::<Vec<_>>()];
        let row = |name: &str, counts: &Counts| {
            let numbers = shown.iter().map(|(_, count, tone)| {
                let cell = Cell::number(count(counts) as usize);
                tone.map_or_else(|| cell.clone(), |tone| cell.clone().tone_if(count(counts) > 0, tone))
            });
            std::iter::once(Cell::text(name)).chain(numbers).collect::<Vec<_>>()
        };
        rows.extend(status.stages.iter().map(|stage| row(&stage.name, &stage.counts)));
        if status.stages.len() > 1 {
            rows.push(row("all", &status.counts));
        }
        format!("\n{}", render(&rows, self.paint))
    }

    fn failures(&self) -> String {
        let failed = self.status.counts.failed;
        if failed == 0 {
            return String::new();
        }
        let listed = &self.status.failures;
        let mut text = format!("\n{} failed:\n", counted(failed as usize, "object"));
        for failure in listed {
            let blocks =
                if failure.blocks > 0 { format!(", blocks {}", failure.blocks) } else { String::new() };
            let attempts = counted(failure.attempts as usize, "attempt");
            let title = self.paint.paint(Tone::Bad, &self.title(&failure.id));
            let why = format!("{}: {}", failure.reason, failure.message);
            let _ = writeln!(text, "  {title}: {} ({attempts}{blocks})", shown::line(&why));
            for line in failure.log_tail.iter().flat_map(|tail| shown::log(tail)) {
                let _ = writeln!(text, "    | {line}");
            }
        }
        if failed as usize > listed.len() {
            let _ = writeln!(text, "  and {} more, which block less", failed as usize - listed.len());
        }
        text
    }

    fn blocked(&self) -> String {
        let blocked = self.status.counts.blocked;
        if blocked == 0 {
            return String::new();
        }
        let mut by_cause: HashMap<&str, Vec<&str>> = HashMap::new();
        for object in &self.status.objects {
            if let Some(cause) = &object.root_cause {
                by_cause.entry(cause).or_default().push(&object.id);
            }
        }
        let mut text =
            format!("\n{} {} blocked:\n", counted(blocked as usize, "object"), are(blocked as usize));
        for failure in self.status.failures.iter().filter(|failure| failure.blocks > 0) {
            let ids = by_cause.get(failure.id.as_str()).map_or(&[][..], Vec::as_slice);
            let which = if ids.is_empty() { counted(failure.blocks as usize, "object") } else { some(ids) };
            let _ = writeln!(text, "  {}", shown::line(&format!("by {}: {which}", failure.id)));
        }
        text
    }

    fn slowest(&self) -> String {
        let mut timed: Vec<(Millis, &ObjectStatus)> =
            self.status.objects.iter().filter_map(|object| Some((duration_of(object)?, object))).collect();
        if timed.is_empty() {
            return String::new();
        }
        timed.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
        let rows: Vec<Vec<Cell>> = timed
            .iter()
            .take(SLOWEST)
            .map(|(ms, object)| {
                let attempt =
                    if object.attempt > 1 { format!("attempt {}", object.attempt) } else { String::new() };
                let worker = object.worker.clone().unwrap_or_default();
                vec![
                    Cell::right(took(*ms)),
                    Cell::text(self.title(&object.id)),
                    Cell::text(&object.stage),
                    Cell::text(worker).tone(Tone::Faint),
                    Cell::text(attempt),
                ]
            })
            .collect();
        format!("\nslowest objects:\n{}", render(&rows, self.paint))
    }

    /// The chain of objects that decided how long the run took; known while every object is listed in the status.
    fn critical_path(&self) -> String {
        let Some(plan) = self.plan else { return String::new() };
        let durations: HashMap<&str, Millis> = self
            .status
            .objects
            .iter()
            .filter_map(|object| Some((object.id.as_str(), duration_of(object)?)))
            .collect();
        if durations.is_empty() || (self.status.objects.len() as u32) < self.status.counts.total {
            return String::new();
        }
        let of = |ix| durations.get(plan.object(ix).id.as_str()).copied().unwrap_or(0);
        let path = critical_path(&plan.graph, of);
        // What waited for nothing and took nothing decides nothing.
        let steps: Vec<_> = path.objects.iter().filter(|ix| plan.is_needed(**ix) && of(**ix) > 0).collect();
        if steps.is_empty() {
            return String::new();
        }
        let mut text = format!("\ncritical path, {}:\n", took(path.total_ms));
        let rows: Vec<Vec<Cell>> = steps
            .iter()
            .take(ON_PATH)
            .map(|ix| {
                let stage = plan.stage_of(**ix).name.as_str();
                let title = self.title(plan.object(**ix).id.as_str());
                vec![Cell::right(took(of(**ix))), Cell::text(title), Cell::text(stage)]
            })
            .collect();
        text.push_str(&render(&rows, self.paint));
        if steps.len() > ON_PATH {
            let _ = writeln!(text, "  and {} more", steps.len() - ON_PATH);
        }
        text
    }

    /// `2005 Projects_Std`: the id, and the label where the object has one of its own.
    fn title(&self, id: &str) -> String {
        let label = self.plan.and_then(|plan| plan.object(plan.find(id)?).name.as_deref());
        label.map_or_else(|| id.to_owned(), |label| format!("{id} {label}"))
    }
}

/// How long the last attempt of an object took.
pub(crate) fn duration_of(object: &ObjectStatus) -> Option<Millis> {
    let start = parse_timestamp(object.start_time.as_deref()?)?;
    let end = parse_timestamp(object.end_time.as_deref()?)?;
    Some((end - start).max(0))
}

/// A duration for people; below a second the tenths of [`duration::display`] say too little.
pub(crate) fn took(ms: Millis) -> String {
    if ms < 1_000 { format!("{ms}ms") } else { duration::display(ms) }
}

/// The first few ids, and how many more there are.
fn some(ids: &[&str]) -> String {
    let named = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
