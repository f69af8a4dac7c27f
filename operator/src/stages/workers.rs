//! The workers of a set of stages: one task applies their Deployments, scales them by demand and watches over them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use orch_core::id::StageName;
use orch_core::spec::WorkerPolicy;
use orch_crds::condition::workers_ready as reasons;
use orch_runner::Demand;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::StageSet;
use super::apply::{apply_config, apply_deployment, deployments, selector};
use super::build::Prepared;
use super::scale::{Need, Scaler};

/// After a refusal the API server is asked again after this.
const RETRY: Duration = Duration::from_secs(5);
/// Pods that are not ready after this are looked at for a reason.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of the workers of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkersState {
    pub(crate) stages: BTreeMap<StageName, StageHealth>,
    /// The API server refuses something, in its words.
    pub(crate) refused: Option<String>,
}

/// What is known of the workers of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StageHealth {
    pub(crate) wanted: u32,
    pub(crate) ready: u32,
    /// Why pods do not become ready.
    pub(crate) problem: Option<String>,
}

impl WorkersState {
    /// The condition `WorkersReady`: status, reason and message.
    pub(crate) fn condition(&self) -> (&'static str, &'static str, String) {
        if let Some(refused) = &self.refused {
            return ("False", reasons::DEPLOYMENT_REFUSED, refused.clone());
        }
        if self.stages.is_empty() {
            return ("True", reasons::EXTERNAL, String::new());
        }
        let waiting: Vec<_> = self.stages.iter().filter(|(_, health)| health.ready < health.wanted).collect();
        if waiting.is_empty() {
            let any = self.stages.values().any(|health| health.wanted > 0);
            return ("True", if any { reasons::READY } else { reasons::SCALED_TO_ZERO }, String::new());
        }
        let problems: Vec<String> = waiting
            .iter()
            .filter_map(|(stage, health)| Some(format!("stage {stage}: {}", health.problem.as_ref()?)))
            .collect();
        if problems.is_empty() {
            // Which stage it is changes with every scaling: the counts stand in status.stages.
            ("False", reasons::STARTING, "workers are on their way".to_owned())
        } else {
            ("False", reasons::PODS_NOT_READY, problems.join("; "))
        }
    }
}

/// The task.
pub(crate) struct Workers {
    client: Client,
    set: StageSet,
    prepared: Prepared,
    policies: BTreeMap<StageName, WorkerPolicy>,
    scalers: BTreeMap<StageName, Scaler>,
    state: WorkersState,
    unready_since: BTreeMap<StageName, Instant>,
    report: watch::Sender<WorkersState>,
}

impl Workers {
    /// Starts the task; it ends with `stop`.
    pub(crate) fn start(
        client: Client,
        set: StageSet,
        prepared: Prepared,
        demand: watch::Receiver<Demand>,
        stop: CancellationToken,
    ) -> watch::Receiver<WorkersState> {
        let policies: BTreeMap<_, _> = set
            .stages
            .iter()
            .filter_map(|stage| {
                let worker = stage.worker.clone().unwrap_or_default();
                let policy = WorkerPolicy {
                    concurrency: worker.concurrency,
                    min_replicas: worker.min_replicas,
                    max_replicas: worker.max_replicas,
                    idle_seconds: worker.idle_seconds,
                };
                Some((StageName::parse(&stage.name).ok()?, policy))
            })
            .collect();
        let mut state = WorkersState::default();
        state
            .stages
            .extend(prepared.deployments.iter().map(|(stage, _)| (stage.clone(), StageHealth::default())));
        let (report, receiver) = watch::channel(state.clone());
        let workers = Self {
            scalers: policies.keys().map(|stage| (stage.clone(), Scaler::default())).collect(),
            unready_since: BTreeMap::new(),
            client,
            set,
            prepared,
            policies,
            state,
            report,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = workers.run(demand) => {}
            }
        });
        receiver
    }

    async fn run(mut self, mut demand: watch::Receiver<Demand>) {
        if self.prepared.deployments.is_empty() {
            return;
        }
        while let Err(error) = self.begin().await {
            self.refuse(&error);
            tokio::time::sleep(RETRY).await;
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.set.namespace);
        let mut events = Box::pin(watcher(api, watcher::Config::default().labels(&selector(&self.set.name))));
        let mut live = true;
        loop {
            let wanted = demand.borrow_and_update().clone();
            let wake = self.scale(&wanted, live).await;
            self.report.send_if_modified(|old| {
                let differs = *old != self.state;
                old.clone_from(&self.state);
                differs
            });
            tokio::select! {
                changed = demand.changed(), if live => live = changed.is_ok(),
                () = self.observe(&mut events) => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Takes the replicas of what is there over, and applies connection and settings.
    async fn begin(&mut self) -> Result<(), kube::Error> {
        for existing in deployments(&self.client, &self.set.namespace, &self.set.name).await? {
            let of_stage = |(_, ours): &&(StageName, Deployment)| ours.name_any() == existing.name_any();
            if let Some((stage, _)) = self.prepared.deployments.iter().find(of_stage)
                && let Some(scaler) = self.scalers.get_mut(stage)
            {
                scaler.resume(existing.spec.replicas.unwrap_or(0).max(0) as u32);
            }
        }
        apply_config(&self.client, &self.set, &self.prepared).await?;
        for (stage, deployment) in &self.prepared.deployments {
            let policy = self.policies.get(stage).copied().unwrap_or_default();
            let scaler = self.scalers.entry(stage.clone()).or_default();
            let (replicas, _) = scaler.replicas(Need::Idle, &policy, Instant::now());
            apply_deployment(&self.client, &self.set, deployment, replicas).await?;
            self.state.stages.entry(stage.clone()).or_default().wanted = replicas;
        }
        self.state.refused = None;
        Ok(())
    }

    /// Asks for the replicas that the demand wants; says when to look again.
    async fn scale(&mut self, demand: &Demand, live: bool) -> Instant {
        let now = Instant::now();
        let mut wake = now + Duration::from_hours(1);
        for (stage, deployment) in &self.prepared.deployments {
            let policy = self.policies.get(stage).copied().unwrap_or_default();
            let need = match demand.stages.iter().find(|of| of.stage == *stage) {
                Some(of) => Need::Live { outstanding: of.outstanding, soon: of.soon },
                None if self.set.inline && !live => Need::Over,
                None => Need::Idle,
            };
            let (replicas, look) =
                self.scalers.entry(stage.clone()).or_default().replicas(need, &policy, now);
            wake = look.map_or(wake, |look| look.min(wake));
            let health = self.state.stages.entry(stage.clone()).or_default();
            if replicas == health.wanted {
                continue;
            }
            match apply_deployment(&self.client, &self.set, deployment, replicas).await {
                Ok(_) => {
                    info!(set = %self.set.name, %stage, from = health.wanted, to = replicas, "scaled");
                    health.wanted = replicas;
                    self.state.refused = None;
                }
                Err(error) => {
                    warn!(set = %self.set.name, %stage, %error, "the Deployment was refused");
                    self.state.refused = Some(error.to_string());
                    wake = wake.min(now + RETRY);
                }
            }
        }
        self.explain(now).await.map_or(wake, |look| look.min(wake))
    }

    fn refuse(&mut self, error: &kube::Error) {
        warn!(set = %self.set.name, %error, "the workers cannot be set up");
        self.state.refused = Some(error.to_string());
        self.report.send_replace(self.state.clone());
    }

    /// Takes one event of the Deployments in.
    async fn observe(
        &mut self,
        events: &mut (impl Stream<Item = watcher::Result<watcher::Event<Deployment>>> + Unpin),
    ) {
        let stage_of = |prepared: &Prepared, name: &str| {
            prepared
                .deployments
                .iter()
                .find(|(_, ours)| ours.name_any() == name)
                .map(|(stage, _)| stage.clone())
        };
        match events.next().await {
            Some(Ok(watcher::Event::Apply(seen) | watcher::Event::InitApply(seen))) => {
                let Some(stage) = stage_of(&self.prepared, &seen.name_any()) else { return };
                let health = self.state.stages.entry(stage).or_default();
                let status = seen.status.as_ref();
                health.ready = status.and_then(|status| status.ready_replicas).unwrap_or(0).max(0) as u32;
            }
            Some(Ok(watcher::Event::Delete(gone))) => {
                let Some(stage) = stage_of(&self.prepared, &gone.name_any()) else { return };
                info!(set = %self.set.name, %stage, "a Deployment was deleted; it is made again");
                // What is wanted differs from nothing: the next turn applies it.
                let health = self.state.stages.entry(stage).or_default();
                *health = StageHealth { wanted: u32::MAX, ..StageHealth::default() };
            }
            Some(Ok(watcher::Event::Init | watcher::Event::InitDone)) => {}
            Some(Err(error)) => {
                debug!(%error, "watching Deployments");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Finds out why pods do not become ready; says when to look again.
    async fn explain(&mut self, now: Instant) -> Option<Instant> {
        let mut look = None;
        for (stage, health) in &mut self.state.stages {
            if health.ready >= health.wanted {
                self.unready_since.remove(stage);
                health.problem = None;
                continue;
            }
            let since = *self.unready_since.entry(stage.clone()).or_insert(now);
            if since + PATIENCE > now {
                look = Some(since + PATIENCE);
                continue;
            }
            look = Some(now + PATIENCE);
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.set.namespace);
            let labels = format!("{},kafka-orchestrator.dev/stage={stage}", selector(&self.set.name));
            if let Ok(pods) = pods.list(&ListParams::default().labels(&labels)).await {
                health.problem = pods.items.iter().find_map(pod_problem);
            }
        }
        look
    }
}

/// Why a pod is not ready, in the kubelet's or the scheduler's words.
fn pod_problem(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers =
        status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    let waiting = containers.filter_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "ContainerCreating")?;
        let message = waiting.message.as_deref().unwrap_or_default();
        Some(format!("container {} of pod {}: {reason} {message}", container.name, pod.name_any()))
    });
    let unscheduled = status.conditions.iter().flatten().filter_map(|condition| {
        let refused = condition.type_ == "PodScheduled" && condition.status == "False";
        let message = condition.message.as_deref().unwrap_or("not scheduled");
        refused.then(|| format!("pod {}: {message}", pod.name_any()))
    });
    waiting.chain(unscheduled).next().map(|text| text.trim_end().to_owned())
}
