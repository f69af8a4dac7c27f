//! The one writer of a run's status: at most one write a second until the run ends, which is written at once, and none
//! when nothing has changed.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use orch_core::counted;
use orch_core::id::RunUid;
use orch_crds::PipelineRun;
use orch_crds::condition::types;
use orch_crds::status::{PinnedPipeline, PipelineRunStatus, RunPhase};
use orch_runner::now_ms;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Condition;
use super::compose::{Seen, compose};
use super::facts::Facts;
use super::trouble::{condition, topics_news};
use crate::context::Context;
use crate::error::{found, is_conflict, is_not_found};
use crate::guarded::Guarded;
use crate::stages::{SetHandle, SetKey, WorkersState, stop_workers};

/// Between two writes of one run.
const INTERVAL: Duration = Duration::from_secs(1);
/// Nothing to look at again.
const LONG: Duration = Duration::from_hours(1);
/// After a refusal the API server is asked again after this.
const RETRY: Duration = Duration::from_secs(2);

/// What the writer is told.
pub(crate) enum Order {
    /// The reconcile found this; the sender is used when it is written.
    Facts(Box<Facts>, Option<oneshot::Sender<Beginning>>),
    /// The run is with this set's actor now.
    Follow(Arc<SetHandle>),
}

/// How a run began, as its status keeps it.
pub(crate) struct Beginning {
    pub(crate) start_offset: i64,
    pub(crate) pipeline: Option<PinnedPipeline>,
}

impl Beginning {
    fn of(status: &PipelineRunStatus) -> Self {
        Self { start_offset: status.start_offset.unwrap_or(0), pipeline: status.pipeline.clone() }
    }
}

/// The actor that a run is with.
struct Source {
    set: Arc<SetHandle>,
    changed: watch::Receiver<u64>,
    ended: broadcast::Receiver<RunUid>,
    workers: watch::Receiver<WorkersState>,
    outage: watch::Receiver<Option<Condition>>,
    /// The actor has ended, and that was noticed. The reconcile brings the next one.
    is_over: bool,
    /// When what is known of the actor changes by itself.
    look_again: Option<Instant>,
}

impl Source {
    fn new(set: Arc<SetHandle>) -> Self {
        let (changed, ended) = (set.changed(), set.ended());
        let (workers, outage) = (set.workers(), set.outage());
        Self { set, changed, ended, workers, outage, is_over: false, look_again: None }
    }
}

/// The task of one run.
pub(crate) struct Writer {
    context: Arc<Context>,
    api: Api<PipelineRun>,
    run: PipelineRun,
    uid: RunUid,
    facts: Facts,
    source: Option<Source>,
    /// What stands in the resource, as far as this writer knows.
    written: PipelineRunStatus,
    /// Bytes of the resource without its status.
    rest: usize,
    waiting: Vec<oneshot::Sender<Beginning>>,
}

enum Outcome {
    /// What should stand there does.
    Written,
    /// It does, the run is over, and its workers know.
    Over,
    /// It was refused: again later.
    Refused,
    /// Somebody else has changed the resource: again with what stands there now.
    Changed,
    /// The resource is gone, or another leader writes it.
    NotOurs,
}

impl Writer {
    pub(crate) fn new(context: Arc<Context>, run: &PipelineRun) -> Self {
        Self {
            api: Api::namespaced(context.client.clone(), &run.namespace().unwrap_or_default()),
            uid: RunUid::new(&run.uid().unwrap_or_default()),
            written: run.status.clone().unwrap_or_default(),
            rest: bytes_without_status(run),
            run: run.clone(),
            context,
            facts: Facts::default(),
            source: None,
            waiting: Vec::new(),
        }
    }

    /// Ends when the run is over, gone, or written by another leader.
    pub(crate) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut next_write = Instant::now();
        let mut dirty = false;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => dirty |= self.obey(order),
                    None => return,
                },
                change = changed(&mut self.source, &self.uid) => {
                    dirty = true;
                    if change == Change::End {
                        next_write = next_write.min(Instant::now());
                    }
                }
                () = tokio::time::sleep_until(next_write), if dirty => {
                    match self.write().await {
                        Outcome::Written => {
                            dirty = false;
                            next_write = Instant::now() + INTERVAL;
                        }
                        Outcome::Refused => next_write = Instant::now() + RETRY,
                        Outcome::Changed => next_write = Instant::now(),
                        Outcome::Over => return self.release().await,
                        Outcome::NotOurs => return,
                    }
                }
            }
        }
    }

    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Facts(facts, done) => {
                self.facts = *facts;
                self.waiting.extend(done);
            }
            Order::Follow(set) => {
                if self.source.as_ref().is_some_and(|source| Arc::ptr_eq(&source.set, &set)) {
                    return false;
                }
                self.source = Some(Source::new(set));
                // They were looked at before it began, maybe for another run of the Pipeline.
                self.facts.topics_are_ready();
            }
        }
        true
    }

    async fn write(&mut self) -> Outcome {
        let snapshot = match &self.source {
            Some(source) => source.set.snapshot(&self.uid).await,
            None => None,
        };
        let seen = self.source.as_mut().map(|source| {
            let (trouble, look_again) = source.set.trouble();
            source.look_again = look_again;
            Seen {
                set: &source.set.set,
                plan: source.set.plan(&self.uid),
                view: snapshot
                    .as_ref()
                    .filter(|snapshot| snapshot.problem.is_none())
                    .map(|snapshot| &snapshot.view),
                start_offset: snapshot.as_ref().map(|snapshot| snapshot.start_offset),
                problem: snapshot.as_ref().and_then(|snapshot| snapshot.problem.as_deref()),
                workers: source.workers.borrow().clone(),
                outage: source.outage.borrow().clone(),
                trouble,
                rest: self.rest,
            }
        });
        let wanted = compose(&self.written, &self.facts, seen.as_ref(), now_ms());
        if wanted != self.written
            && let Err(outcome) = self.patch(&wanted).await
        {
            return outcome;
        }
        if let Some((source, start)) = self.source.as_ref().zip(self.written.start_offset) {
            source.set.begins_at(&self.uid, start);
        }
        for done in self.waiting.drain(..) {
            // Whoever asked may have been cancelled.
            let _ = done.send(Beginning::of(&self.written));
        }
        let settled = self.facts.refused || snapshot.is_some_and(|snapshot| snapshot.settled);
        if self.written.phase.is_final() && settled { Outcome::Over } else { Outcome::Written }
    }

    async fn patch(&mut self, wanted: &PipelineRunStatus) -> Result<(), Outcome> {
        let patch = json!({
            "metadata": {"resourceVersion": self.run.resource_version()},
            "status": with_nulls(&self.written, wanted),
        });
        let name = self.run.name_any();
        match send(&self.api, &name, &patch).await {
            Ok(patched) => {
                self.context.metrics.status_written(patch.to_string().len());
                self.announce(wanted).await;
                self.run.metadata = patched.metadata;
                self.written = wanted.clone();
                Ok(())
            }
            Err(error) if is_conflict(&error) => match self.api.get(&name).await {
                Ok(current) => self.catch_up(current),
                Err(error) => self.refused(&error),
            },
            Err(error) if is_not_found(&error) => Err(Outcome::NotOurs),
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&self, error: &kube::Error) -> Result<(), Outcome> {
        self.context.metrics.status_refused();
        warn!(run = %self.run.name_any(), %error, "the status was not written");
        Err(Outcome::Refused)
    }

    /// The resource has moved on. Another leader of a higher term writes it now, or only its spec was touched.
    fn catch_up(&mut self, current: PipelineRun) -> Result<(), Outcome> {
        let epoch = self.source.as_ref().map(|source| source.set.epoch());
        let theirs = current.status.as_ref().and_then(|status| status.epoch);
        if current.uid() != self.run.uid() || theirs.zip(epoch).is_some_and(|(theirs, ours)| theirs > ours) {
            info!(run = %self.run.name_any(), "another operator writes the status");
            return Err(Outcome::NotOurs);
        }
        debug!(run = %self.run.name_any(), "the resource has changed; the status is written again");
        self.written = current.status.clone().unwrap_or_default();
        self.rest = bytes_without_status(&current);
        self.run = current;
        Err(Outcome::Changed)
    }

    /// Tells people of the changes that they wait for.
    async fn announce(&self, wanted: &PipelineRunStatus) {
        let about = self.run.object_ref(&());
        let message = |type_: &str| {
            condition(wanted, type_).map_or_else(String::new, |condition| condition.message.clone())
        };
        if let Some((type_, reason)) = topics_news(&self.written, wanted) {
            let message = message(types::TOPICS_READY);
            info!(run = %self.run.name_any(), reason, message, "news of the topics");
            self.context.tell(&about, type_, &reason, &message).await;
        }
        if wanted.phase != self.written.phase {
            match wanted.phase {
                RunPhase::Pending => {}
                RunPhase::Running => {
                    self.context.tell(&about, EventType::Normal, "Started", "the run has started").await;
                }
                RunPhase::Succeeded => {
                    self.context
                        .tell(&about, EventType::Normal, "Succeeded", &message(types::SUCCEEDED))
                        .await;
                }
                RunPhase::Failed if self.facts.refused => {
                    self.context
                        .tell(&about, EventType::Warning, "GraphInvalid", &message(types::GRAPH_VALID))
                        .await;
                }
                RunPhase::Failed => {
                    self.context.tell(&about, EventType::Warning, "Failed", &message(types::SUCCEEDED)).await;
                }
                RunPhase::Cancelled => {
                    self.context
                        .tell(&about, EventType::Normal, "Cancelled", &message(types::SUCCEEDED))
                        .await;
                }
            }
        }
        for failure in &wanted.failures {
            if !self.written.failures.iter().any(|known| known.id == failure.id) {
                let blocks = counted(failure.blocks as usize, "object");
                let note = format!("{} failed: {} (blocks {blocks})", failure.id, failure.message);
                self.context.tell(&about, EventType::Warning, "ObjectFailed", &note).await;
            }
        }
    }

    /// The run is over and written: its actor may forget it, and an inline run's workers go.
    async fn release(self) {
        let Some(Source { set, .. }) = self.source else { return };
        let last = set.remove(&self.uid).await;
        if set.set.inline && last {
            self.context.registry.drop_set(&SetKey::of_set(&set.set)).await;
            if let Err(error) = stop_workers(&self.context.client, &set.set).await {
                warn!(run = %self.run.name_any(), %error, "the workers were not stopped");
            }
        }
    }
}

/// Writes the status of a run that is refused because nobody can read it. It has no writer of its own.
pub(crate) async fn refuse(
    context: &Context,
    run: &Guarded<PipelineRun>,
    facts: &Facts,
) -> Result<(), kube::Error> {
    let status = compose(&PipelineRunStatus::default(), facts, None, now_ms());
    let api: Api<Guarded<PipelineRun>> =
        Api::namespaced(context.client.clone(), &run.namespace().unwrap_or_default());
    found(send(&api, &run.name_any(), &json!({"status": status})).await).map(|_| ())
}

async fn send<K: DeserializeOwned>(api: &Api<K>, name: &str, patch: &Value) -> Result<K, kube::Error> {
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

fn bytes_without_status(run: &PipelineRun) -> usize {
    // Texts, numbers and lists: they always serialise.
    let bytes = |json: serde_json::Result<Vec<u8>>| json.map_or(0, |json| json.len());
    bytes(serde_json::to_vec(&run.spec)) + bytes(serde_json::to_vec(&run.metadata))
}

/// What a writer wakes up for.
#[derive(PartialEq, Eq)]
enum Change {
    /// The run is over: people wait for that.
    End,
    /// Anything else.
    Other,
}

/// Waits for a change of what the run is with; for ever when it is with nobody.
async fn changed(source: &mut Option<Source>, run: &RunUid) -> Change {
    let Some(Source { set, changed, ended, workers, outage, is_over, look_again }) = source else {
        return std::future::pending().await;
    };
    let at = look_again.unwrap_or_else(|| Instant::now() + LONG);
    loop {
        let goes_on = tokio::select! {
            // In this order, so that the end is not taken for one change among others.
            biased;
            end = ended.recv(), if !*is_over => match end {
                Ok(uid) if uid == *run => return Change::End,
                // Of others; ours may be among those that were missed, and is written with the next change then.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => false,
            },
            result = changed.changed(), if !*is_over => result.is_ok(),
            // Workers outlive an actor that breaks.
            Ok(()) = workers.changed() => true,
            Ok(()) = outage.changed() => true,
            () = tokio::time::sleep_until(at) => {
                // The next write says whether there is another time.
                *look_again = None;
                true
            }
        };
        if !goes_on {
            // What it says of its end is there when it has ended altogether.
            set.wait().await;
            *is_over = true;
        }
        return Change::Other;
    }
}

/// The status for a merge patch: what stood there and no longer does is null.
fn with_nulls(old: &PipelineRunStatus, new: &PipelineRunStatus) -> Value {
    // A status always serialises: texts, numbers and lists.
    let (old, mut new) = (json!(old), json!(new));
    if let (Value::Object(old), Value::Object(new)) = (old, &mut new) {
        for (key, _) in old {
            new.entry(key).or_insert(Value::Null);
        }
    }
    new
}
