//! The workers of a set of stages: one task applies their Deployments, scales them by demand and watches over them.

use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use orch_core::id::StageName;
use orch_core::spec::WorkerPolicy;
use orch_crds::stage::StageSpec;
use orch_runner::{Demand, Hands};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::StageSet;
use super::apply::{NotApplied, apply_config, apply_deployment, deployments, selector};
use super::build::Prepared;
use super::health::{StageHealth, WorkersState, failure, no_reason, pod_problem};
use super::idle::spare_the_busy;
use super::owner;
use super::scale::{Need, Scaler};
use crate::error::said;

/// After a refusal the API server is asked again after this.
const RETRY: Duration = Duration::from_secs(5);
/// Pods that are not ready after this are looked at for a reason.
const PATIENCE: Duration = Duration::from_secs(5);
/// When nobody gives a reason, that is said after this: an image takes its time.
const LONG: Duration = Duration::from_mins(1);
/// A request that is under way when the task shall end is waited for, but no longer than this.
const LAST_REQUEST: Duration = Duration::from_secs(10);

/// The task as others see it.
pub(crate) struct Workers {
    state: watch::Receiver<WorkersState>,
    stop: CancellationToken,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Workers {
    /// Starts the task.
    pub(crate) fn start(
        client: Client,
        set: StageSet,
        prepared: Prepared,
        demand: watch::Receiver<Demand>,
        hands: Hands,
    ) -> Self {
        let (report, state) = watch::channel(WorkersState::default());
        let stop = CancellationToken::new();
        let keeper = Keeper::new(client, set, prepared, hands, report);
        let task = tokio::spawn(keeper.run(demand, stop.clone()));
        Self { state, stop, task: tokio::sync::Mutex::new(Some(task)) }
    }

    /// What is known of the workers.
    pub(crate) fn state(&self) -> watch::Receiver<WorkersState> {
        self.state.clone()
    }

    /// Ends the task. When this returns nothing of it is on its way to the API server any more: what is deleted now is
    /// not made again.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let Some(mut task) = self.task.lock().await.take() else { return };
        if tokio::time::timeout(LAST_REQUEST, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// The workers of one stage.
struct StageWorkers {
    stage: StageName,
    deployment: Deployment,
    policy: WorkerPolicy,
    scaler: Scaler,
    /// The Deployment as we know it; `None`: it is not there.
    known: Option<Known>,
    /// It was in the list with which a watch begins.
    is_listed: bool,
    unready_since: Option<Instant>,
    /// Why its pods are not there, as its Deployment says.
    failure: Option<String>,
}

/// The task.
struct Keeper {
    client: Client,
    set: StageSet,
    prepared: Prepared,
    stages: Vec<StageWorkers>,
    hands: Hands,
    state: WorkersState,
    report: watch::Sender<WorkersState>,
}

impl Keeper {
    fn new(
        client: Client,
        set: StageSet,
        prepared: Prepared,
        hands: Hands,
        report: watch::Sender<WorkersState>,
    ) -> Self {
        let of_stage = |(stage, deployment): &(StageName, Deployment)| StageWorkers {
            policy: policy(&set, stage),
            stage: stage.clone(),
            deployment: deployment.clone(),
            scaler: Scaler::default(),
            known: None,
            is_listed: false,
            unready_since: None,
            failure: None,
        };
        let stages: Vec<_> = prepared.deployments.iter().map(of_stage).collect();
        let mut state = WorkersState::default();
        state.stages.extend(stages.iter().map(|of| (of.stage.clone(), StageHealth::default())));
        report.send_replace(state.clone());
        Self { client, set, prepared, stages, hands, state, report }
    }

    async fn run(mut self, mut demand: watch::Receiver<Demand>, stop: CancellationToken) {
        if self.stages.is_empty() {
            return;
        }
        while let Err(error) = self.begin().await {
            self.refuse(&error);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.set.namespace);
        let labels = selector(&self.set.name, None);
        let mut events = Box::pin(watcher(api, watcher::Config::default().labels(&labels)));
        let mut live = true;
        while !stop.is_cancelled() {
            let wanted = demand.borrow_and_update().clone();
            // An actor that has ended wants nothing any more; the next one, maybe that of another operator, scales.
            let wake = if live { self.scale(&wanted).await } else { Instant::now() + PATIENCE };
            self.report.send_if_modified(|old| {
                let differs = *old != self.state;
                old.clone_from(&self.state);
                differs
            });
            tokio::select! {
                () = stop.cancelled() => return,
                changed = demand.changed(), if live => live = changed.is_ok(),
                () = self.observe(&mut events) => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Takes the replicas of what is there over, and applies connection and settings.
    async fn begin(&mut self) -> Result<(), NotApplied> {
        for existing in deployments(&self.client, &self.set.namespace, &self.set.name).await? {
            if let Some(of) = self.by_name(&existing.name_any()) {
                of.scaler.resume(existing.spec.replicas.unwrap_or(0).max(0) as u32);
            }
        }
        apply_config(&self.client, &self.set, &self.prepared).await?;
        for of in &mut self.stages {
            let (replicas, _) = of.scaler.replicas(Need::Idle, &of.policy, Instant::now());
            let applied = apply_deployment(&self.client, &self.set, &of.deployment, replicas).await?;
            of.known = Some(Known::of(&applied));
            self.state.stages.entry(of.stage.clone()).or_default().wanted = replicas;
        }
        self.state.refused = None;
        Ok(())
    }

    fn by_name(&mut self, name: &str) -> Option<&mut StageWorkers> {
        self.stages.iter_mut().find(|of| of.deployment.metadata.name.as_deref() == Some(name))
    }

    /// Asks for the replicas that the demand wants; says when to look again.
    async fn scale(&mut self, demand: &Demand) -> Instant {
        let now = Instant::now();
        let mut wake = now + Duration::from_hours(1);
        for of in &mut self.stages {
            let need = match demand.stages.iter().find(|demand| demand.stage == of.stage) {
                Some(demand) => Need::Live { outstanding: demand.outstanding, soon: demand.soon },
                None => Need::Idle,
            };
            let (mut replicas, look) = of.scaler.replicas(need, &of.policy, now);
            wake = look.map_or(wake, |look| look.min(wake));
            let before = of.known.as_ref().map(|known| known.replicas);
            if let Some(before) = before.filter(|before| (1..*before).contains(&replicas)) {
                let busy = self.hands.of(&of.stage).await;
                replicas = of.scaler.hold(before.min(busy.len() as u32));
                wake = wake.min(now + RETRY);
                if replicas < before {
                    spare_the_busy(&self.client, &self.set, &of.stage, &busy).await;
                }
            }
            if before == Some(replicas) {
                continue;
            }
            match of.ask_for(replicas, &self.client, &self.set).await {
                Ok(true) => {
                    self.state.stages.entry(of.stage.clone()).or_default().wanted = replicas;
                    self.state.refused = None;
                }
                Ok(false) => wake = wake.min(now + RETRY),
                Err(error) => {
                    let error = said(&error);
                    if self.state.refused.as_ref() != Some(&error) {
                        warn!(set = %self.set.name, stage = %of.stage, %error, "the Deployment was refused");
                    }
                    self.state.refused = Some(error);
                    wake = wake.min(now + RETRY);
                }
            }
        }
        self.explain(now).await.map_or(wake, |look| look.min(wake))
    }

    fn refuse(&mut self, error: &NotApplied) {
        warn!(set = %self.set.name, %error, "the workers cannot be set up");
        self.state.refused = Some(error.to_string());
        self.report.send_replace(self.state.clone());
    }

    /// Takes one event of the Deployments in.
    async fn observe(
        &mut self,
        events: &mut (impl Stream<Item = watcher::Result<watcher::Event<Deployment>>> + Unpin),
    ) {
        match events.next().await {
            Some(Ok(watcher::Event::Apply(seen) | watcher::Event::InitApply(seen))) => {
                let Some(of) = self.by_name(&seen.name_any()) else { return };
                of.is_listed = true;
                // Also what somebody else made of it: then it is asked for again.
                of.known = of.known.take().map(|known| known.or_newer(Known::of(&seen)));
                of.failure = failure(&seen);
                let stage = of.stage.clone();
                let ready = seen.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
                self.state.stages.entry(stage).or_default().ready = ready.max(0) as u32;
            }
            Some(Ok(watcher::Event::Delete(gone))) => self.is_gone(&gone.name_any()),
            // The watch begins, or begins anew: what went while there was none is not in its list.
            Some(Ok(watcher::Event::Init)) => {
                for of in &mut self.stages {
                    of.is_listed = false;
                }
            }
            Some(Ok(watcher::Event::InitDone)) => {
                let unlisted = self.stages.iter().filter(|of| !of.is_listed);
                let names: Vec<String> = unlisted.map(|of| of.deployment.name_any()).collect();
                for name in &names {
                    self.is_gone(name);
                }
            }
            Some(Err(error)) => {
                debug!(%error, "watching Deployments");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            None => std::future::pending().await,
        }
    }

    fn is_gone(&mut self, name: &str) {
        let Some(of) = self.by_name(name) else { return };
        of.known = None;
        let stage = of.stage.clone();
        info!(set = %self.set.name, %stage, "a Deployment was deleted");
        self.state.stages.entry(stage).or_default().ready = 0;
    }

    /// Finds out why pods do not become ready; says when to look again.
    async fn explain(&mut self, now: Instant) -> Option<Instant> {
        let mut look = None;
        let mut is_stuck = false;
        for of in &mut self.stages {
            let health = self.state.stages.entry(of.stage.clone()).or_default();
            if health.ready >= health.wanted {
                of.unready_since = None;
                health.problem = None;
                continue;
            }
            let since = *of.unready_since.get_or_insert(now);
            if since + PATIENCE > now {
                look = Some(since + PATIENCE);
                continue;
            }
            look = Some(now + PATIENCE);
            is_stuck = true;
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.set.namespace);
            let labels = selector(&self.set.name, Some(&of.stage));
            if let Ok(pods) = pods.list(&ListParams::default().labels(&labels)).await {
                let no_reason =
                    || (since + LONG <= now).then(|| no_reason(&pods.items, &of.deployment.name_any()));
                let of_pods = pods.items.iter().find_map(pod_problem);
                health.problem = of_pods.or_else(|| of.failure.clone()).or_else(no_reason);
            }
        }
        // Somebody may have deleted what they mount.
        if is_stuck && let Err(error) = apply_config(&self.client, &self.set, &self.prepared).await {
            warn!(set = %self.set.name, %error, "connection and settings of the workers were not renewed");
        }
        look
    }
}

impl StageWorkers {
    /// Brings the Deployment to so many replicas. False: it has been deleted, and so is its owner about to be.
    async fn ask_for(&mut self, replicas: u32, client: &Client, set: &StageSet) -> Result<bool, kube::Error> {
        let Self { stage, known, .. } = self;
        if known.is_none() && !owner::stays(client, set).await? {
            return Ok(false);
        }
        let applied = apply_deployment(client, set, &self.deployment, replicas).await?;
        match known.replace(Known::of(&applied)) {
            None => info!(set = %set.name, %stage, replicas, "the Deployment is made again"),
            Some(before) => info!(set = %set.name, %stage, from = before.replicas, to = replicas, "scaled"),
        }
        Ok(true)
    }
}

/// A Deployment as we know it, by our own request or by the watch.
struct Known {
    replicas: u32,
    uid: Option<String>,
    generation: Option<i64>,
}

impl Known {
    fn of(deployment: &Deployment) -> Self {
        Self {
            replicas: deployment.spec.replicas.unwrap_or(0).max(0) as u32,
            uid: deployment.uid(),
            generation: deployment.metadata.generation,
        }
    }

    /// What the watch saw, unless that was before our last request: its events come late.
    fn or_newer(self, seen: Self) -> Self {
        if seen.uid == self.uid && seen.generation < self.generation { self } else { seen }
    }
}

/// How a stage is scaled. Stages that a Deployment is built for stand in the set.
fn policy(set: &StageSet, name: &StageName) -> WorkerPolicy {
    let stage = set.stages.iter().find(|stage| stage.name == name.as_str());
    stage.map(StageSpec::worker_policy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The watch brought the state of before, and the Deployment was scaled a second time, or back.
    #[test]
    fn an_event_from_before_our_last_request_undoes_nothing() {
        let known = |uid: &str, generation, replicas| Known {
            uid: Some(uid.to_owned()),
            generation: Some(generation),
            replicas,
        };
        let replicas = |seen| known("a", 3, 4).or_newer(seen).replicas;
        assert_eq!(replicas(known("a", 2, 1)), 4, "from before");
        assert_eq!(replicas(known("a", 3, 4)), 4, "our own");
        assert_eq!(replicas(known("a", 4, 7)), 7, "somebody scaled it");
        assert_eq!(replicas(known("b", 1, 1)), 1, "somebody made it anew");
    }
}
