//! Runs through the operator: applied at an API server, done by a worker, watched from here.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::watcher::{self, Event};
use orch_core::id::RunUid;
use orch_crds::PipelineRun;
use orch_crds::status::RunPhase;
use orch_e2e::api::delete_run;
use orch_e2e::http::free_address;
use orch_e2e::process::Process;
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::json;

use crate::log::Topics;
use crate::subject::Subject;

/// A status as the watch brought it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: f64,
    /// Objects that were loaded, as it says.
    pub(crate) loaded: usize,
}

/// A run that is over.
pub(crate) struct Applied {
    pub(crate) uid: RunUid,
    /// Before the request, in milliseconds since 1970.
    pub(crate) begin_ms: f64,
    /// Until the API server had answered it.
    pub(crate) submit: Duration,
    /// From the request to the status `Succeeded`.
    pub(crate) whole: Duration,
    /// All statuses on the way.
    pub(crate) seen: Vec<Seen>,
}

/// A Pipeline with one worker that is never taken away.
#[derive(Debug, Clone)]
pub(crate) struct Warm {
    name: String,
    pub(crate) topics: Topics,
}

/// An operator, and what it needs.
pub(crate) struct Cluster {
    pub(crate) setup: Setup,
    pub(crate) operator: Process,
    /// Where the operator shows its metrics.
    pub(crate) metrics: String,
}

impl Cluster {
    /// Everything in the namespace of this setup.
    pub(crate) fn start(setup: Setup) -> Self {
        let metrics = free_address();
        // What the topics hold is read after each run.
        let variables = [("ORCH_LISTEN", metrics.as_str()), ("ORCH_TRUNCATE", "false")];
        let operator = setup.operator_with("operator", &variables);
        Self { setup, operator, metrics }
    }

    /// Makes a Pipeline.
    pub(crate) async fn pipeline(&self, name: &str, concurrency: usize) -> Warm {
        let stage = json!({
            "name": "work", "partitions": 1, "processor": {"simulate": {"duration": "0s"}},
            "worker": {"concurrency": concurrency, "minReplicas": 1, "maxReplicas": 1},
        });
        self.setup.pipeline(name, &json!([stage])).await;
        let base = format!("{0}.{0}.{name}", self.setup.namespace);
        let topics = Topics { ready: format!("{base}.work"), events: format!("{base}.events") };
        Warm { name: name.to_owned(), topics }
    }

    /// Its worker processes.
    pub(crate) fn workers(&self) -> Vec<u32> {
        self.setup.kubelet.ids()
    }

    /// Stores the objects of a graph; the answer is `objectsFrom`.
    pub(crate) async fn store(&self, number: usize, subject: &Subject) -> serde_json::Value {
        let mut sources = Vec::new();
        for (n, objects) in subject.chunks().enumerate() {
            let name = format!("graph-{number}-{n}");
            self.setup.config_map(&name, &objects).await;
            sources.push(json!({"configMap": {"name": name, "key": "objects.json"}}));
        }
        json!(sources)
    }

    /// Applies a run and watches until its status says that it succeeded.
    pub(crate) async fn apply(&self, name: &str, warm: &Warm, objects_from: &serde_json::Value) -> Applied {
        let run = json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name},
            "spec": {"pipelineRef": {"name": warm.name}, "objectsFrom": objects_from},
        });
        let run: PipelineRun = serde_json::from_value(run).unwrap();
        let api: Api<PipelineRun> = Api::namespaced(self.setup.client.clone(), &self.setup.namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = kube::runtime::watcher(api.clone(), config).boxed();
        // The watch is there before the run.
        while !matches!(events.next().await, Some(Ok(Event::InitDone))) {}
        let (begin, begin_ms) = (Instant::now(), now_ms());
        let created = api.create(&PostParams::default(), &run).await.unwrap();
        let submit = begin.elapsed();
        let mut seen = Vec::new();
        let end = tokio::time::timeout(LIMIT, async {
            loop {
                let event = events.next().await.expect("a watch does not end").unwrap();
                let (Event::Apply(run) | Event::InitApply(run)) = event else { continue };
                let Some(status) = run.status else { continue };
                seen.push(Seen { at_ms: now_ms(), loaded: status.counts.loaded as usize });
                if status.phase.is_final() {
                    return status.phase;
                }
            }
        });
        let phase = end.await.unwrap_or_else(|_| panic!("{name} is not over after {LIMIT:?}"));
        assert_eq!(phase, RunPhase::Succeeded, "{name}");
        let uid = RunUid::new(created.metadata.uid.as_deref().unwrap());
        Applied { uid, begin_ms, submit, whole: begin.elapsed(), seen }
    }

    /// Takes a run away.
    pub(crate) async fn delete(&self, name: &str) {
        delete_run(&self.setup.client, &self.setup.namespace, name, LIMIT).await;
    }
}

/// Milliseconds since 1970, with their fractions.
pub(crate) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1e3
}
