//! Graphs as texts.

use std::sync::Arc;

use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{
    ObjectSpec, RetryPolicy, RunSpec, Source, SourceForm, StageSpec, Timeouts, WorkerPolicy,
};

/// `a -> b -> c, x`: chains and single objects. `a:other` is in the stage `other`, the rest in `work`. Retries wait a
/// millisecond. Each object's record says its id.
pub fn spec(graph: &str) -> RunSpec {
    let mut spec = RunSpec {
        stages: vec![stage("work")],
        sources: vec![Source::new("graph", SourceForm::Objects)],
        ..RunSpec::default()
    };
    for chain in graph.split(',') {
        let mut parent: Option<&str> = None;
        for word in chain.split("->").map(str::trim) {
            let (id, stage_name) = word.split_once(':').unwrap_or((word, "work"));
            if spec.stages.iter().all(|stage| stage.name != stage_name) {
                spec.stages.push(stage(stage_name));
            }
            if spec.objects.iter().all(|object| object.id != id) {
                spec.objects.push(object(id, stage_name, spec.objects.len()));
            }
            let own = spec.objects.iter_mut().find(|object| object.id == id).unwrap();
            own.depends_on.extend(parent.map(str::to_owned));
            parent = Some(id);
        }
    }
    spec
}

pub fn stage(name: &str) -> StageSpec {
    StageSpec {
        name: name.to_owned(),
        id_range: None,
        processor: r#"{"simulate":{}}"#.to_owned(),
        worker: WorkerPolicy::default(),
        partitions: 2,
        retry: RetryPolicy { initial_delay_ms: 1, max_delay_ms: 1, jitter: 0.0, ..RetryPolicy::default() },
        timeouts: Timeouts::default(),
    }
}

pub fn object(id: &str, stage: &str, position: usize) -> ObjectSpec {
    ObjectSpec {
        position: position as u32,
        id: id.to_owned(),
        stage: Some(stage.to_owned()),
        entry: format!(r#"{{"id":"{id}"}}"#),
        ..ObjectSpec::default()
    }
}

/// The plan of a graph.
pub fn graph(text: &str) -> Arc<RunPlan> {
    checked(spec(text))
}

/// The plan of a graph that somebody changed.
pub fn with(text: &str, change: impl FnOnce(&mut RunSpec)) -> Arc<RunPlan> {
    let mut spec = spec(text);
    change(&mut spec);
    checked(spec)
}

pub fn checked(spec: RunSpec) -> Arc<RunPlan> {
    Arc::new(plan(spec).unwrap())
}
