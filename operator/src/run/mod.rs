//! The reconcile of a PipelineRun, in steps: observe, validate, ensure the stages, hand the run to its actor.

mod observe;
mod plans;
mod unreadable;
mod validate;

pub(crate) use self::plans::Plans;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use orch_core::engine::Orders;
use orch_core::id::RunUid;
use orch_core::plan::RunPlan;
use orch_crds::condition::accepted;
use orch_crds::status::PinnedPipeline;
use orch_crds::{Pipeline, PipelineRun};
use orch_runner::RunSettings;
use tracing::{debug, info};

use self::plans::Unplanned;
use crate::connection;
use crate::context::Context;
use crate::ensure::{self, Ensured, NotEnsured};
use crate::error::{Error, is_conflict};
use crate::guarded::Guarded;
use crate::missing::Missing;
use crate::stages::{SetHandle, SetKey, StageSet, stop_workers};
use crate::status::{Condition, Facts};
use crate::{finalizer, findings, removal};

/// What is not there is looked for again after this.
const WAIT: Duration = Duration::from_secs(3);
/// A live run is looked at again after this: an actor that has ended is started anew.
const RESYNC: Duration = Duration::from_secs(10);

/// Brings one run to what its spec says.
pub(crate) async fn reconcile(run: &Guarded<PipelineRun>, context: Arc<Context>) -> Result<Action, Error> {
    let run = match &run.0 {
        Ok(run) => run.clone(),
        Err(unreadable) => return unreadable::refuse(&context, run, unreadable).await,
    };
    let Some(uid) = run.uid().map(|uid| RunUid::new(&uid)) else { return Ok(Action::await_change()) };
    let own_stages = StageSet::of_run(&run, &context.config.topic_prefix);
    if run.metadata.deletion_timestamp.is_some() {
        return leave(&context, &run, &uid, own_stages).await;
    }
    if run.status.as_ref().is_some_and(|status| status.completion_time.is_some()) {
        return finished(&context, &run, &uid, own_stages).await;
    }
    if let Some(handle) = driven(&context, &run, &uid).await
        && !has_new_connection(&context, &handle).await?
    {
        handle.order(&uid, orders(&run));
        // Also when somebody took it away: what was made would stay behind. A conflict says that this is not the newest of
        // the run: that comes by itself.
        match finalizer::hold(&context.client, run.clone()).await {
            Err(error) if is_conflict(&error) => {}
            held => _ = held?,
        }
        // The actor may have been started anew for another of its runs.
        let is_away = handle.outage().borrow().is_some();
        context.writers.follow(&context, &run, handle);
        return Ok(Action::requeue(if is_away { WAIT } else { RESYNC }));
    }
    if context.writers.has_written_the_end_of(&uid) {
        debug!(run = %run.name_any(), "it is over, and not seen as such yet");
        return Ok(Action::await_change());
    }
    start(&context, run, own_stages).await
}

/// A run is going: its actor forgets it, and what was made for its own stages goes with it.
async fn leave(
    context: &Arc<Context>,
    run: &PipelineRun,
    uid: &RunUid,
    own: Option<StageSet>,
) -> Result<Action, Error> {
    context.writers.drop_run(uid);
    if let Some(set) = own {
        return removal::finalize(context, run, set).await;
    }
    if let Some(key) = SetKey::of_run(run)
        && let Some(handle) = context.registry.get(&key).await
    {
        handle.remove(uid).await;
    }
    finalizer::let_go(&context.client, run).await?;
    Ok(Action::await_change())
}

/// A run that is over needs nobody: an operator that died before it said so left workers behind, and an actor that was
/// replaced at that moment has the run still.
async fn finished(
    context: &Arc<Context>,
    run: &PipelineRun,
    uid: &RunUid,
    own: Option<StageSet>,
) -> Result<Action, Error> {
    if let Some(handle) = driven(context, run, uid).await {
        // Its writer lets it go.
        context.writers.follow(context, run, handle);
        return Ok(Action::requeue(RESYNC));
    }
    if let Some(set) = own {
        let is_driven = context.registry.get(&SetKey::of_set(&set)).await.is_some();
        if !is_driven && context.writers.first_look(uid) {
            stop_workers(&context.client, &set).await?;
        }
    } else {
        // Of a run of a Pipeline nothing is left to remove.
        finalizer::let_go(&context.client, run).await?;
    }
    Ok(Action::await_change())
}

/// The set whose actor has this run already.
async fn driven(context: &Context, run: &PipelineRun, uid: &RunUid) -> Option<Arc<SetHandle>> {
    context.registry.get(&SetKey::of_run(run)?).await.filter(|handle| handle.drives(uid))
}

/// Whether Kafka is away for the actor, and its Secret says by now how else to reach it.
async fn has_new_connection(context: &Context, handle: &SetHandle) -> Result<bool, Error> {
    if handle.outage().borrow().is_none() {
        return Ok(false);
    }
    let files = connection::of_set(&context.client, &context.connections, &handle.set).await?;
    Ok(files.is_ok_and(|files| !handle.uses(&files)))
}

/// A run that no actor has yet: a new one, or one of a leader before us.
async fn start(
    context: &Arc<Context>,
    run: Arc<PipelineRun>,
    own: Option<StageSet>,
) -> Result<Action, Error> {
    let (since, generation) = (Instant::now(), run.metadata.generation);
    let observed = match observe::observe(&context.client, &run).await? {
        Ok(observed) => observed,
        Err(missing) => return Ok(wait_for(context, &run, &missing)),
    };
    let maps = Api::namespaced(context.client.clone(), &run.namespace().unwrap_or_default());
    let plan = match context.plans.of(&maps, &run, observed.stages.as_deref()).await? {
        Ok(plan) => plan,
        Err(Unplanned::Missing(missing)) => return Ok(wait_for(context, &run, &missing)),
        Err(Unplanned::Refused(findings)) => {
            let (reason, message) = findings::describe(&findings);
            info!(run = %run.name_any(), findings = findings.len(), "the graph is refused");
            context.writers.note(context, &run, Facts::refused(generation, reason, message));
            return Ok(Action::await_change());
        }
    };
    debug!(run = %run.name_any(), elapsed = ?since.elapsed(), "planned");
    let facts = Facts::valid(generation, findings::list(&plan.warnings));
    let Some(set) = own.or_else(|| of_pipeline(context, observed.pipeline.as_deref())) else {
        return Ok(Action::await_change());
    };
    // What the topics of a run that has begun held is gone with them: nobody makes them anew behind its back.
    let begun = run.status.as_ref().is_some_and(|status| status.start_time.is_some());
    let set = StageSet { create_topics: set.create_topics && !(set.inline && begun), ..set };
    if let Some(difference) = observed.stages.iter().flatten().find_map(|stage| set.lacks(stage)) {
        let message = format!(
            "the Pipeline `{}` was made anew, and {difference}: make it as it was, or delete this run and apply it anew",
            set.name
        );
        return Ok(wait_for(context, &run, &Missing { reason: accepted::PIPELINE_CHANGED, message }));
    }
    // Before anything is made: checking a large graph takes a while, and it may have been deleted meanwhile.
    let Some(run) = finalizer::hold(&context.client, run).await? else {
        info!(set = %set.name, "nothing is made: the run is gone");
        return Ok(Action::await_change());
    };
    let of_pipeline = observed.pipeline.as_ref().and_then(|pipeline| pipeline.status.as_ref()?.epoch);
    debug!(run = %run.name_any(), elapsed = ?since.elapsed(), "held by the finalizer");
    let ensured = match ensure::driven(context, &set).await? {
        Some(ensured) => Ok(ensured),
        None => ensure::ensure(context, set, known_epoch(&run).max(of_pipeline.unwrap_or(0))).await?,
    };
    match ensured {
        Ok(ensured) => {
            let kept = run.status.as_ref().and_then(|status| status.pipeline.clone());
            let pipeline = kept.or_else(|| observed.pipeline.as_deref().map(PinnedPipeline::of));
            let facts = Facts { pipeline, ..facts.with(Condition::topics_are_ready()) };
            debug!(run = %run.name_any(), elapsed = ?since.elapsed(), "its stages are driven");
            let handed_over = hand_over(context, &run, ensured, plan, facts).await;
            debug!(run = %run.name_any(), elapsed = ?since.elapsed(), "handed over");
            handed_over
        }
        Err(NotEnsured::Missing(missing)) => Ok(wait_for(context, &run, &missing)),
        Err(NotEnsured::Topics(condition)) => {
            // Its writer says so once.
            debug!(run = %run.name_any(), reason = %condition.reason, "the topics are not ready");
            context.writers.note(context, &run, facts.with(condition));
            Ok(Action::requeue(WAIT))
        }
        Err(NotEnsured::Yielded(epoch)) => {
            // Its writer says so.
            debug!(run = %run.name_any(), epoch, "another operator leads");
            Ok(Action::requeue(WAIT))
        }
        Err(NotEnsured::Leaving) => Ok(Action::requeue(WAIT)),
    }
}

fn wait_for(context: &Arc<Context>, run: &PipelineRun, missing: &Missing) -> Action {
    let facts = Facts::waiting(run.metadata.generation, missing.reason, &missing.message);
    context.writers.note(context, run, facts);
    Action::requeue(WAIT)
}

fn of_pipeline(context: &Context, pipeline: Option<&Pipeline>) -> Option<StageSet> {
    StageSet::of_pipeline(pipeline?, &context.config.topic_prefix)
}

/// Keeps the run's start offset in its status, and the stages of its Pipeline, and only then lets the actor have it:
/// recovery folds from there, by a plan that is still the same.
async fn hand_over(
    context: &Arc<Context>,
    run: &Arc<PipelineRun>,
    Ensured { handle, bus }: Ensured,
    plan: Arc<RunPlan>,
    facts: Facts,
) -> Result<Action, Error> {
    let _begins = handle.begins().await;
    let kept = run.status.as_ref().and_then(|status| status.start_offset);
    let log = bus.bounds(&handle.set.names.events()).await?.first().copied();
    let start_offset = match kept {
        Some(offset) => offset,
        None if handle.set.inline => log.map_or(0, |log| log.low),
        None => log.map_or(0, |log| log.high),
    };
    debug!(run = %run.name_any(), start_offset, "its start is known");
    let planned_by = facts.pipeline.clone();
    let facts = Facts { start_offset: Some(start_offset), ..facts };
    let Some(kept) = context.writers.write(context, run, facts.clone()).await else {
        return Ok(Action::requeue(WAIT));
    };
    if let Some(log) = log.filter(|log| kept.start_offset < log.low) {
        return is_behind(context, run, (kept.start_offset, log.low), facts).await;
    }
    let is_planned_by = |kept: &PinnedPipeline| planned_by.is_some_and(|own| own.says_the_same_as(kept));
    if !kept.pipeline.is_none_or(|kept| is_planned_by(&kept)) {
        info!(run = %run.name_any(), "another operator was quicker: the run is planned by what that one kept");
        return Ok(Action::requeue(WAIT));
    }
    let (Some(uid), Some(namespace)) = (run.uid(), run.namespace()) else {
        return Ok(Action::await_change());
    };
    let settings = RunSettings {
        uid: RunUid::new(&uid),
        run: format!("{namespace}/{}", run.name_any()),
        plan,
        orders: orders(run),
        start_offset: kept.start_offset,
        names_processors: run.spec.pipeline_ref.is_some(),
    };
    handle.add(settings, kept.is_first);
    context.writers.follow(context, run, handle);
    Ok(Action::requeue(RESYNC))
}

/// The log begins behind the run: what is known of it here may be old, or somebody deleted what it needs.
async fn is_behind(
    context: &Arc<Context>,
    run: &Arc<PipelineRun>,
    (start, low): (i64, i64),
    mut facts: Facts,
) -> Result<Action, Error> {
    let api: Api<PipelineRun> = Api::namespaced(context.client.clone(), &run.namespace().unwrap_or_default());
    let now = api.get_opt(&run.name_any()).await?.and_then(|run| run.status?.start_offset);
    if now.is_none_or(|now| now <= start) {
        let problem = format!("the log begins at offset {low}, and the records of the run at {start}");
        facts.topics_are(Condition::of_damaged_log(&problem));
        context.writers.note(context, run, facts);
    }
    Ok(Action::requeue(WAIT))
}

/// What a person may change while the run goes on.
fn orders(run: &PipelineRun) -> Orders {
    Orders {
        cancel: run.spec.cancel,
        timeout_ms: run.spec.timeout_ms(),
        max_in_flight: run.spec.max_in_flight.unwrap_or(u32::MAX),
    }
}

fn known_epoch(run: &PipelineRun) -> u64 {
    run.status.as_ref().and_then(|status| status.epoch).unwrap_or(0)
}
