//! The one writer of a run's status: at most one write a second, of a large run fewer, until the run ends, which is
//! written at once, and none when nothing has changed. Each write waits for its turn in the budget of all runs, and says
//! what is so by then.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::core::{PartialObjectMeta, Request};
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use orch_core::counted;
use orch_core::id::RunUid;
use orch_crds::PipelineRun;
use orch_crds::condition::types;
use orch_crds::status::{PinnedPipeline, PipelineRunStatus, RunPhase};
use orch_runner::now_ms;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::budget::{INTERVAL, Urgency};
use super::compose::{Seen, compose};
use super::facts::Facts;
use super::patch::StatusPatch;
use super::source::{Change, Source};
use super::trouble::{condition, topics_news};
use super::turns::{Place, Turn};
use crate::context::Context;
use crate::error::{found, is_conflict, is_not_found};
use crate::guarded::{Guarded, Unreadable};
use crate::stages::{SetHandle, SetKey, stop_workers};

/// After a refusal the API server is asked again after this.
const RETRY: Duration = Duration::from_secs(2);
/// A run takes so small a part of an API server's time that is slow: of one that has too much to do each would take more
/// than its share otherwise.
const PART_OF_THE_TIME: u32 = 4;
/// But a status is never older than this for that.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the API server answers to a write: not the whole resource.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

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
    /// Whether it was kept just now and by this operator: nobody can have written a record of the run before.
    pub(crate) is_first: bool,
}

impl Beginning {
    fn of(status: &PipelineRunStatus, had_begun: bool) -> Self {
        let start_offset = status.start_offset;
        let is_first = !had_begun && start_offset.is_some();
        Self { start_offset: start_offset.unwrap_or(0), pipeline: status.pipeline.clone(), is_first }
    }
}

/// Why the status is to be looked at, the most urgent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Objects have moved on.
    Progress,
    /// A condition has changed, or somebody waits for the write.
    News,
    /// The run is over.
    End,
}

impl Need {
    fn urgency(self) -> Urgency {
        match self {
            Self::Progress => Urgency::Progress,
            Self::News | Self::End => Urgency::News,
        }
    }
}

/// The task of one run.
pub(crate) struct Writer {
    context: Arc<Context>,
    api: Api<PipelineRun>,
    uid: RunUid,
    /// The resource, as Events name it.
    about: ObjectReference,
    resource_version: Option<String>,
    facts: Facts,
    source: Option<Source>,
    /// What stands in the resource, as far as this writer knows.
    written: PipelineRunStatus,
    /// Bytes of that, of the spec, and of all that is not the status.
    bytes: usize,
    spec: usize,
    rest: usize,
    waiting: Vec<oneshot::Sender<Beginning>>,
    /// What has not been looked at yet.
    need: Option<Need>,
    written_at: Option<Instant>,
    /// How long that took.
    took: Duration,
    not_before: Instant,
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
            about: run.object_ref(&()),
            resource_version: run.resource_version(),
            written: run.status.clone().unwrap_or_default(),
            bytes: bytes(&run.status),
            spec: bytes(&run.spec),
            rest: bytes(&run.spec) + bytes(&run.metadata),
            context,
            facts: Facts::default(),
            source: None,
            waiting: Vec::new(),
            need: None,
            written_at: None,
            took: Duration::ZERO,
            not_before: Instant::now(),
        }
    }

    /// Ends when the run is over, gone, or written by another leader.
    pub(crate) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut place: Option<Place> = None;
        loop {
            let due = self.due();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                change = change(&mut self.source, &self.uid, self.need.is_none()) => self.see(change),
                () = tokio::time::sleep_until(due), if self.need.is_some() && place.is_none() => {
                    let urgency = self.need.map_or(Urgency::Progress, Need::urgency);
                    place = Some(self.context.turns.ask(urgency, self.rest + self.bytes));
                }
                turn = turn(&mut place) => {
                    place = None;
                    match self.write(turn).await {
                        Outcome::Written => self.need = None,
                        Outcome::Refused => self.not_before = Instant::now() + RETRY,
                        Outcome::Changed => {}
                        Outcome::Over => return self.release().await,
                        Outcome::NotOurs => return,
                    }
                }
            }
            if let (Some(place), Some(need)) = (&mut place, self.need) {
                place.hurry(need.urgency());
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Facts(facts, done) => {
                self.facts = *facts;
                self.waiting.extend(done);
            }
            Order::Follow(set) => {
                if self.source.as_ref().is_some_and(|source| Arc::ptr_eq(&source.set, &set)) {
                    return;
                }
                self.source = Some(Source::new(set));
                // They were looked at before it began, maybe for another run of the Pipeline.
                self.facts.topics_are_ready();
            }
        }
        self.needs(Need::News);
    }

    fn see(&mut self, change: Change) {
        self.needs(match change {
            // That it has begun is a condition too.
            Change::Records if self.written.phase == RunPhase::Pending => Need::News,
            Change::Records => Need::Progress,
            Change::Workers if !self.has_news_of_workers() => Need::Progress,
            Change::Workers | Change::Trouble => Need::News,
            Change::End => Need::End,
        });
    }

    fn needs(&mut self, need: Need) {
        self.need = self.need.max(Some(need));
    }

    fn has_news_of_workers(&self) -> bool {
        let Some(source) = &self.source else { return false };
        let now = source.workers.borrow().condition();
        condition(&self.written, types::WORKERS_READY)
            .is_none_or(|then| (&*then.status, &*then.reason) != (now.status, now.reason))
    }

    /// When what is needed may be written.
    fn due(&self) -> Instant {
        let patience = patience(self.took);
        let interval = match self.need {
            Some(Need::End) => Duration::ZERO,
            Some(Need::News) => INTERVAL.max(patience),
            Some(Need::Progress) | None => self.context.turns.interval(self.rest + self.bytes).max(patience),
        };
        self.written_at.map_or(self.not_before, |at| self.not_before.max(at + interval))
    }

    async fn write(&mut self, turn: Turn) -> Outcome {
        let had_begun = self.written.start_offset.is_some();
        let snapshot = match &mut self.source {
            Some(source) => {
                source.records_are_known();
                source.set.snapshot(&self.uid).await
            }
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
        if wanted != self.written {
            let began = Instant::now();
            if let Err(outcome) = self.patch(wanted, turn).await {
                return outcome;
            }
            (self.took, self.written_at) = (began.elapsed(), Some(Instant::now()));
        }
        if let Some((source, start)) = self.source.as_ref().zip(self.written.start_offset) {
            source.set.begins_at(&self.uid, start);
        }
        for done in self.waiting.drain(..) {
            // Whoever asked may have been cancelled.
            let _ = done.send(Beginning::of(&self.written, had_begun));
        }
        let settled = self.facts.refused || snapshot.is_some_and(|snapshot| snapshot.settled);
        if self.written.phase.is_final() && settled { Outcome::Over } else { Outcome::Written }
    }

    async fn patch(&mut self, wanted: PipelineRunStatus, mut turn: Turn) -> Result<(), Outcome> {
        let sent = match StatusPatch::between(&self.written, &wanted, self.resource_version.clone()) {
            Ok(patch) => {
                let sent = send::<PipelineRun>(&self.context, &self.about, &patch).await;
                // Who owns which field stands in the metadata too: some kilobytes from the first write on.
                let rest = sent.as_ref().map_or(self.rest, |metadata| self.spec + bytes(metadata));
                turn.wrote(rest + patch.bytes);
                self.rest = rest;
                sent.map(|metadata| (metadata, patch.bytes))
            }
            Err(error) => Err(kube::Error::SerdeError(error)),
        };
        drop(turn);
        match sent {
            Ok((metadata, status)) => {
                self.announce(&wanted).await;
                self.context.metrics.status_stored(self.rest + status);
                (self.bytes, self.written) = (status, wanted);
                self.resource_version = metadata.resource_version;
                Ok(())
            }
            Err(error) if is_conflict(&error) => match self.api.get(self.name()).await {
                Ok(current) => self.catch_up(current),
                Err(error) => self.refused(&error),
            },
            Err(error) if is_not_found(&error) => Err(Outcome::NotOurs),
            Err(error) => self.refused(&error),
        }
    }

    fn name(&self) -> &str {
        self.about.name.as_deref().unwrap_or_default()
    }

    fn refused(&self, error: &kube::Error) -> Result<(), Outcome> {
        self.context.metrics.status_refused();
        warn!(run = %self.name(), %error, "the status was not written");
        Err(Outcome::Refused)
    }

    /// The resource has moved on. Another leader of a higher term writes it now, or only its spec was touched.
    fn catch_up(&mut self, current: PipelineRun) -> Result<(), Outcome> {
        let epoch = self.source.as_ref().map(|source| source.set.epoch());
        let theirs = current.status.as_ref().and_then(|status| status.epoch);
        if current.uid() != self.about.uid || theirs.zip(epoch).is_some_and(|(theirs, ours)| theirs > ours) {
            info!(run = %self.name(), "another operator writes the status");
            return Err(Outcome::NotOurs);
        }
        debug!(run = %self.name(), "the resource has changed; the status is written again");
        self.bytes = bytes(&current.status);
        self.rest = self.spec + bytes(&current.metadata);
        self.resource_version = current.resource_version();
        self.written = current.status.unwrap_or_default();
        Err(Outcome::Changed)
    }

    /// Tells people of the changes that they wait for.
    async fn announce(&self, wanted: &PipelineRunStatus) {
        let about = &self.about;
        let message = |type_: &str| {
            condition(wanted, type_).map_or_else(String::new, |condition| condition.message.clone())
        };
        if let Some((type_, reason)) = topics_news(&self.written, wanted) {
            let message = message(types::TOPICS_READY);
            info!(run = %self.name(), reason, message, "news of the topics");
            self.context.tell(about, type_, &reason, &message).await;
        }
        if wanted.phase != self.written.phase {
            match wanted.phase {
                RunPhase::Pending => {}
                RunPhase::Running => {
                    self.context.tell(about, EventType::Normal, "Started", "the run has started").await;
                }
                RunPhase::Succeeded => {
                    self.context
                        .tell(about, EventType::Normal, "Succeeded", &message(types::SUCCEEDED))
                        .await;
                }
                RunPhase::Failed if self.facts.refused => {
                    self.context
                        .tell(about, EventType::Warning, "GraphInvalid", &message(types::GRAPH_VALID))
                        .await;
                }
                RunPhase::Failed => {
                    self.context.tell(about, EventType::Warning, "Failed", &message(types::SUCCEEDED)).await;
                }
                RunPhase::Cancelled => {
                    self.context
                        .tell(about, EventType::Normal, "Cancelled", &message(types::SUCCEEDED))
                        .await;
                }
            }
        }
        for failure in &wanted.failures {
            if !self.written.failures.iter().any(|known| known.id == failure.id) {
                let blocks = counted(failure.blocks as usize, "object");
                let note = format!("{} failed: {} (blocks {blocks})", failure.id, failure.message);
                self.context.tell(about, EventType::Warning, "ObjectFailed", &note).await;
            }
        }
    }

    /// The run is over and written: its actor may forget it, and an inline run's workers go.
    async fn release(self) {
        // Before the actor forgets it: whoever looks then must not begin it anew.
        self.context.writers.note_end_of(&self.uid);
        let Some(Source { set, .. }) = self.source else { return };
        let last = set.remove(&self.uid).await;
        if set.set.inline && last {
            self.context.registry.drop_set(&SetKey::of_set(&set.set)).await;
            if let Err(error) = stop_workers(&self.context.client, &set.set).await {
                warn!(run = self.about.name, %error, "the workers were not stopped");
            }
        }
    }
}

/// How long to wait after a write that took so long.
fn patience(took: Duration) -> Duration {
    took.saturating_mul(PART_OF_THE_TIME).min(PATIENCE)
}

/// A change of what the run is with; none while it is with nobody.
async fn change(source: &mut Option<Source>, run: &RunUid, records: bool) -> Change {
    match source {
        Some(source) => source.change(run, records).await,
        None => std::future::pending().await,
    }
}

/// The turn of who has asked for one.
async fn turn(place: &mut Option<Place>) -> Turn {
    match place {
        Some(place) => place.turn().await,
        None => std::future::pending().await,
    }
}

/// Writes the status of a run that is refused because nobody can read it. It has no writer of its own.
pub(crate) async fn refuse(
    context: &Context,
    run: &Guarded<PipelineRun>,
    unreadable: &Unreadable,
    facts: &Facts,
) -> Result<(), kube::Error> {
    let status = compose(&PipelineRunStatus::default(), facts, None, now_ms());
    let mut turn = context.turns.ask(Urgency::News, unreadable.bytes).turn().await;
    turn.wrote(unreadable.bytes);
    let patch = json!({"status": status});
    found(send::<PipelineRun>(context, &run.object_ref(&()), &patch).await).map(|_| ())
}

/// Writes a status. The answer is the metadata of the resource.
async fn send<K>(
    context: &Context,
    about: &ObjectReference,
    patch: &impl Serialize,
) -> Result<ObjectMeta, kube::Error>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let (name, namespace) = (about.name.as_deref().unwrap_or_default(), about.namespace.as_deref());
    let mut request = Request::new(K::url_path(&(), namespace))
        .patch_subresource("status", name, &PatchParams::default(), &Patch::Merge(patch))
        .map_err(kube::Error::BuildRequest)?;
    if let Ok(metadata) = METADATA.parse() {
        request.headers_mut().insert("accept", metadata);
    }
    let sent = request.body().len();
    let answer: PartialObjectMeta<K> = context.client.request(request).await?;
    context.metrics.status_written(sent);
    Ok(answer.metadata)
}

/// Texts, numbers and lists: they always serialise.
fn bytes(part: &impl Serialize) -> usize {
    serde_json::to_vec(part).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_server_that_takes_its_time_is_asked_less_often() {
        let ms = Duration::from_millis;
        for (took, wait) in [(0, 0), (10, 40), (1_500, 6_000), (2_500, 10_000), (30_000, 10_000)] {
            assert_eq!(patience(ms(took)), ms(wait), "{took}");
        }
    }
}
