//! The operator without Kubernetes: the runner drives the same kind of topics and the same worker program. What it is
//! faster than a run through the operator is what resource, watch and status cost.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch_bus::Bus;
use orch_core::engine::Orders;
use orch_core::id::{RunUid, StageName};
use orch_e2e::process::{Process, program};
use orch_runner::{
    Clock, Outlets, PipelineHandle, PipelineSettings, RunSettings, SnapshotRule, Stats, topics,
};
use orch_wire::{TopicNames, TopicPrefix};

use crate::log::{Times, Topics};
use crate::subject::Subject;

/// As the operator's default.
const WINDOW: u32 = 4_096;
const LIMIT: Duration = Duration::from_mins(2);

/// See the module.
pub(crate) struct Engine {
    bus: Arc<dyn Bus>,
    handle: PipelineHandle,
    topics: Topics,
    worker: Process,
    runs: u32,
}

impl Engine {
    /// Topics that begin with `prefix`, an actor for them, and a worker.
    pub(crate) async fn start(
        bus: Arc<dyn Bus>,
        bootstrap: &str,
        prefix: &str,
        concurrency: usize,
        folder: &Path,
    ) -> Self {
        let names = TopicNames::new(&TopicPrefix::parse(prefix).unwrap(), "engine", "warm");
        let stage = StageName::parse("work").unwrap();
        bus.ensure_topics(&topics(&names, [(&stage, 1)]), true).await.unwrap();
        let topics = Topics { ready: names.ready(&stage), events: names.events() };
        let config = folder.join("engine-worker");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("stage.json"), r#"{"processor":{"simulate":{"duration":"0s"}}}"#).unwrap();
        let variables = [
            ("ORCH_BOOTSTRAP_SERVERS", bootstrap.to_owned()),
            ("ORCH_CONFIG_DIR", config.display().to_string()),
            ("ORCH_READY_TOPIC", topics.ready.clone()),
            ("ORCH_EVENTS_TOPIC", topics.events.clone()),
            ("ORCH_CONTROL_TOPIC", names.control()),
            ("ORCH_CONCURRENCY", concurrency.to_string()),
            ("ORCH_LISTEN", "127.0.0.1:0".to_owned()),
            ("POD_NAME", "engine-worker".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let log = folder.join("engine-worker.log");
        let worker = Process::start("engine-worker", &program("orch-worker"), &variables, &log);
        let settings = PipelineSettings {
            names,
            stages: vec![(stage, 1)],
            window: WINDOW,
            leader: "bench".to_owned(),
            known_epoch: 0,
            snapshots: SnapshotRule::default(),
            clock: Clock::default(),
        };
        let outlets = Outlets { stats: Arc::new(Stats::default()), notices: tokio::sync::mpsc::channel(1).0 };
        let handle = PipelineHandle::start(bus.clone(), settings, Vec::new(), outlets).await.unwrap();
        Self { bus, handle, topics, worker, runs: 0 }
    }

    /// Its worker process.
    pub(crate) fn worker(&self) -> u32 {
        self.worker.id()
    }

    /// Runs a graph: how long from the request to its end as it is told, and what the topics say.
    pub(crate) async fn run(&mut self, subject: &Subject) -> (Duration, Times) {
        self.runs += 1;
        let uid = RunUid::new(&format!("00000000-0000-4000-8000-{:012}", self.runs));
        let mark = self.topics.mark(&*self.bus).await;
        let settings = RunSettings {
            uid: uid.clone(),
            run: format!("engine/run-{}", self.runs),
            plan: subject.plan.clone(),
            orders: Orders { max_in_flight: u32::MAX, ..Orders::default() },
            start_offset: mark.events(),
            names_processors: true,
        };
        let mut ended = self.handle.ended();
        let begin = Instant::now();
        self.handle.add(settings);
        let end = tokio::time::timeout(LIMIT, ended.recv()).await;
        assert_eq!(end.expect("the run is over").expect("the actor lives"), uid);
        let took = begin.elapsed();
        let times = self.topics.times(&*self.bus, mark, &uid).await;
        assert_eq!(times.loaded_ms.len(), subject.len(), "every object was loaded");
        self.handle.remove(&uid).await;
        (took, times)
    }
}
