//! Why an object has not started, or what happened to it. Works on plain facts, so that a reader who has nothing but
//! the resource gets the same answer as the operator.

use crate::engine::{ObjectPhase, RunPhase};
use crate::id::ObjectIx;
use crate::plan::RunPlan;
use crate::root_cause::root_causes;
use crate::spec::FailurePolicy;
use crate::{are, counted};

/// What is known of a run.
pub struct Facts<'a> {
    /// Phase of the run.
    pub run_phase: RunPhase,
    /// Phases of the objects, in plan order; `None` where nothing says it.
    pub phases: &'a [Option<ObjectPhase>],
    /// Reason and message of an object's last failed attempt, where they are known.
    pub failures: &'a dyn Fn(ObjectIx) -> Option<(String, String)>,
    /// When an object ended, as the status writes it, where it is known.
    pub ended_at: &'a dyn Fn(ObjectIx) -> Option<String>,
    /// Published and not ended at most, over all stages.
    pub max_in_flight: u32,
    /// Published and not ended.
    pub in_flight: u32,
    /// Workers that are ready, by stage; `None` where nobody counts them.
    pub stage_replicas: &'a [Option<u32>],
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// A word for machines: one of a bounded set.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

struct Question<'a> {
    plan: &'a RunPlan,
    facts: &'a Facts<'a>,
    object: ObjectIx,
    phase: Option<ObjectPhase>,
}

type Check = fn(&Question<'_>) -> Option<String>;

/// The first check that has something to say is the answer.
const CHECKS: [(&str, Check); 15] = [
    ("Pruned", object_is_pruned),                           // no target needs it
    ("RunNotStarted", run_has_not_started),                 // nothing is published before
    ("PhaseUnknown", nothing_says_its_phase),               // the resource is from elsewhere, or damaged
    ("FailFast", run_stopped_at_a_failure),                 // failurePolicy, and something failed
    ("RunEnded", run_ended_before_the_object),              // cancelled, deadline, another plan
    ("Loaded", object_is_loaded),                           // says when
    ("Failed", object_has_failed),                          // says why
    ("DependencyFailed", dependency_failed), // names the root cause, not the nearest dependency
    ("DependenciesNotLoaded", dependencies_are_not_loaded), // names three, then "and 38 more"
    ("MaxInFlight", run_is_at_max_in_flight), // spec.maxInFlight
    ("WindowFull", object_waits_for_the_window), // of its stage, which other runs may share
    ("NoWorker", stage_has_no_worker),       // no ready replica
    ("Queued", object_is_queued),            // workers are there, and busy
    ("Running", object_is_running),
    ("Retrying", object_waits_for_its_next_attempt),
];

/// How many objects a message names.
const NAMED: usize = 3;

/// Why `object` has not started, or what happened to it.
pub fn why(plan: &RunPlan, facts: &Facts<'_>, object: ObjectIx) -> Why {
    let question = Question { plan, facts, object, phase: phase_of(facts, object) };
    CHECKS
        .iter()
        .find_map(|(reason, check)| check(&question).map(|message| Why { reason, message }))
        .unwrap_or_else(|| Why { reason: "Unknown", message: format!("It is {}.", word(question.phase)) })
}

fn phase_of(facts: &Facts<'_>, ix: ObjectIx) -> Option<ObjectPhase> {
    facts.phases.get(ix.usize()).copied().flatten()
}

/// The word for a phase that may not be known.
pub fn word(phase: Option<ObjectPhase>) -> &'static str {
    phase.map_or("Unknown", ObjectPhase::as_str)
}

impl Question<'_> {
    fn id(&self, ix: ObjectIx) -> &str {
        self.plan.object(ix).id.as_str()
    }

    fn stage(&self) -> &str {
        self.plan.stage(self.plan.object(self.object).stage).name.as_str()
    }

    fn when(&self, phase: ObjectPhase, text: impl FnOnce() -> String) -> Option<String> {
        (self.phase == Some(phase)).then(text)
    }

    /// `: WorkerError: disk full`, or nothing where that is not known.
    fn failure_of(&self, ix: ObjectIx) -> String {
        match (self.facts.failures)(ix) {
            Some((reason, message)) if message.is_empty() => format!(": {reason}"),
            Some((reason, message)) => format!(": {reason}: {message}"),
            None => String::new(),
        }
    }

    fn time_of_end(&self) -> String {
        (self.facts.ended_at)(self.object).map_or_else(String::new, |time| format!(" at {time}"))
    }
}

fn object_is_pruned(question: &Question<'_>) -> Option<String> {
    question.when(ObjectPhase::Pruned, || "No target needs it, so it is not run.".to_owned())
}

fn run_has_not_started(question: &Question<'_>) -> Option<String> {
    (question.facts.run_phase == RunPhase::Pending)
        .then(|| "The run has not started; its conditions say what it waits for.".to_owned())
}

fn nothing_says_its_phase(question: &Question<'_>) -> Option<String> {
    let text = "Its phase is unknown: the status of the run does not say it in a way that can be read here.";
    question.phase.is_none().then(|| text.to_owned())
}

fn run_stopped_at_a_failure(question: &Question<'_>) -> Option<String> {
    let failed = || question.facts.phases.iter().position(|phase| *phase == Some(ObjectPhase::Failed));
    let stops = question.plan.failure_policy == FailurePolicy::FailFast
        && question.facts.run_phase != RunPhase::Cancelled
        && question.phase == Some(ObjectPhase::Cancelled);
    let failed = ObjectIx(failed().filter(|_| stops)? as u32);
    Some(format!(
        "`{}` failed, and the run's failurePolicy is FailFast: nothing more is started.",
        question.id(failed)
    ))
}

fn run_ended_before_the_object(question: &Question<'_>) -> Option<String> {
    let has_ended =
        matches!(question.phase, Some(ObjectPhase::Loaded | ObjectPhase::Failed | ObjectPhase::Blocked));
    if question.phase == Some(ObjectPhase::Cancelled)
        || (question.facts.run_phase.is_terminal() && !has_ended)
    {
        return Some(match question.facts.run_phase {
            RunPhase::Cancelled => "The run was cancelled before this object ended.".to_owned(),
            phase => format!("The run is {} and ended before this object did.", phase.as_str()),
        });
    }
    None
}

fn object_is_loaded(question: &Question<'_>) -> Option<String> {
    question.when(ObjectPhase::Loaded, || {
        if question.plan.object(question.object).assumed {
            return "Nobody defined it, and undefinedDependencies is AssumeLoaded.".to_owned();
        }
        format!("It was loaded{}.", question.time_of_end())
    })
}

fn object_has_failed(question: &Question<'_>) -> Option<String> {
    question.when(ObjectPhase::Failed, || {
        sentence(&format!("It failed{}{}", question.time_of_end(), question.failure_of(question.object)))
    })
}

fn dependency_failed(question: &Question<'_>) -> Option<String> {
    question.when(ObjectPhase::Blocked, || match root_cause(question) {
        Some(cause) => sentence(&format!(
            "It needs `{}`, which failed{}",
            question.id(cause),
            question.failure_of(cause)
        )),
        None => "Something that it needs failed.".to_owned(),
    })
}

fn dependencies_are_not_loaded(question: &Question<'_>) -> Option<String> {
    if question.phase != Some(ObjectPhase::Pending) {
        return None;
    }
    let missing: Vec<(ObjectIx, Option<ObjectPhase>)> = question
        .plan
        .graph
        .dependencies(question.object)
        .iter()
        .map(|dependency| (*dependency, phase_of(question.facts, *dependency)))
        .filter(|(_, phase)| *phase != Some(ObjectPhase::Loaded))
        .collect();
    let named: Vec<String> = missing
        .iter()
        .take(NAMED)
        .map(|(dependency, phase)| format!("`{}` ({})", question.id(*dependency), word(*phase)))
        .collect();
    match missing.len() {
        0 => None,
        count if count > NAMED => {
            Some(format!("It waits for {} and {} more.", named.join(", "), count - NAMED))
        }
        _ => Some(format!("It waits for {}.", and_list(&named))),
    }
}

/// Whether it may start and is not published: a pending object that has everything it needs is about to be ready.
fn is_unpublished(question: &Question<'_>) -> bool {
    matches!(question.phase, Some(ObjectPhase::Ready | ObjectPhase::Pending))
}

fn run_is_at_max_in_flight(question: &Question<'_>) -> Option<String> {
    let Facts { max_in_flight, in_flight, .. } = question.facts;
    (is_unpublished(question) && in_flight >= max_in_flight).then(|| {
        let (objects, are) = (counted(*in_flight as usize, "object"), are(*in_flight as usize));
        format!("It may start, but {objects} of the run {are} in flight and maxInFlight is {max_in_flight}.")
    })
}

fn object_waits_for_the_window(question: &Question<'_>) -> Option<String> {
    is_unpublished(question)
        .then(|| format!("It may start and waits for a place in the window of stage `{}`.", question.stage()))
}

fn stage_has_no_worker(question: &Question<'_>) -> Option<String> {
    let stage = question.plan.object(question.object).stage;
    let replicas = question.facts.stage_replicas.get(stage.usize()).copied().flatten();
    (question.phase == Some(ObjectPhase::Queued) && replicas == Some(0)).then(|| {
        format!("It is in the queue of stage `{}`, which has no worker that is ready.", question.stage())
    })
}

fn object_is_queued(question: &Question<'_>) -> Option<String> {
    question.when(ObjectPhase::Queued, || {
        format!("It is in the queue of stage `{}` and no worker has started it yet.", question.stage())
    })
}

fn object_is_running(question: &Question<'_>) -> Option<String> {
    question.when(ObjectPhase::Running, || match (question.facts.failures)(question.object) {
        Some(_) => {
            let failure = question.failure_of(question.object);
            sentence(&format!("A worker runs it again after its last attempt failed{failure}"))
        }
        None => "A worker runs it.".to_owned(),
    })
}

fn object_waits_for_its_next_attempt(question: &Question<'_>) -> Option<String> {
    question.when(ObjectPhase::Retrying, || {
        let failure = question.failure_of(question.object);
        sentence(&format!("It waits for its next attempt, because the last one failed{failure}"))
    })
}

/// The failure that the status names as well.
fn root_cause(question: &Question<'_>) -> Option<ObjectIx> {
    root_causes(question.plan, |ix| phase_of(question.facts, ix)).get(&question.object).copied()
}

/// `a`, `a and b`, `a, b and c`.
fn and_list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Ends a text that may end with a worker's own words.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_checks_is_from_the_run_to_the_object_and_from_its_end_to_its_start() {
        assert_eq!(
            CHECKS.map(|(reason, _)| reason),
            [
                "Pruned",
                "RunNotStarted",
                "PhaseUnknown",
                "FailFast",
                "RunEnded",
                "Loaded",
                "Failed",
                "DependencyFailed",
                "DependenciesNotLoaded",
                "MaxInFlight",
                "WindowFull",
                "NoWorker",
                "Queued",
                "Running",
                "Retrying",
            ]
        );
    }

    #[test]
    fn lists_read_as_a_person_would_say_them() {
        let list =
            |words: &[&str]| and_list(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            [list(&[]), list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])],
            ["", "a", "a and b", "a, b and c"]
        );
    }
}
