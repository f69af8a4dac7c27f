//! A run that has been checked: every id known, every object routed, no cycle. Nothing later reads the raw spec again.

mod digest;
mod ids;
mod json_limits;
mod links;
mod nesting;
mod report;
mod route;
mod size;
mod stages;
mod targets;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::finding::{Finding, FindingKind};
use crate::graph::{self, Graph};
use crate::id::{ObjectId, ObjectIx, StageIx, StageName};
use crate::id_table::IdTable;
use crate::spec::{
    FailurePolicy, ObjectSpec, RetryPolicy, RunSpec, StageSpec, Timeouts, UndefinedPolicy, WorkerPolicy,
};

use report::{Checks, Report, Section};

pub use nesting::{MAX_DEPTH, is_deeper_than};

/// A checked run. Objects are in plan order: as the spec lists them, then those that nobody defined, in the order of
/// their first mention.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// The stages in the order of the spec.
    pub stages: Vec<StagePlan>,
    /// The objects in plan order.
    pub objects: Vec<Object>,
    /// Dependencies between them.
    pub graph: Graph,
    /// Whether a target needs the object; the others are pruned: no event, not in any count.
    pub needed: Vec<bool>,
    /// What a failure means for the rest.
    pub failure_policy: FailurePolicy,
    /// What was done with dependencies that nobody defines.
    pub undefined_dependencies: UndefinedPolicy,
    /// `sha256:<hex>` over everything that decides what is run: the plan is pinned by it.
    pub digest: String,
    /// Things worth knowing that refuse nothing.
    pub warnings: Vec<Finding>,
    /// Position by id.
    index: IdTable,
}

/// One checked stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// Its name.
    pub name: StageName,
    /// The processor as JSON text.
    pub processor: String,
    /// How many workers of which width.
    pub worker: WorkerPolicy,
    /// Partitions of its ready topic.
    pub partitions: u16,
}

impl StagePlan {
    /// Whether programs of others do the work. Nobody knows how many objects these take at a time.
    pub fn is_external(&self) -> bool {
        let kinds = serde_json::from_str::<HashMap<String, serde_json::Value>>(&self.processor);
        kinds.is_ok_and(|kinds| kinds.contains_key("external"))
    }
}

/// One checked object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its id.
    pub id: ObjectId,
    /// Its stage.
    pub stage: StageIx,
    /// Label for people.
    pub name: Option<Box<str>>,
    /// What `ObjectReady.meta` carries, as JSON text: `null` only for an object that nobody defined.
    pub meta: Box<str>,
    /// Parameters as JSON text.
    pub params: Option<Box<str>>,
    /// Processor that overrides the stage's, as JSON text.
    pub processor: Option<Box<str>>,
    /// What happens to its attempts: those of its stage, which all share that override nothing, or its own.
    pub policies: Arc<Policies>,
    /// Nobody defined it and the policy is `AssumeLoaded`: it is loaded from the start.
    pub assumed: bool,
}

/// What happens to the attempts of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policies {
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
    /// How long an attempt may take.
    pub timeouts: Timeouts,
}

impl RunPlan {
    /// The object of this id.
    pub fn find(&self, id: &str) -> Option<ObjectIx> {
        let key = self.index.key(id.as_bytes());
        self.index.find(key, |held| self.objects[held as usize].id.as_str() == id).map(ObjectIx)
    }

    /// The object at this position.
    pub fn object(&self, ix: ObjectIx) -> &Object {
        &self.objects[ix.usize()]
    }

    /// The stage at this position.
    pub fn stage(&self, ix: StageIx) -> &StagePlan {
        &self.stages[ix.usize()]
    }

    /// The stage of the object at this position.
    pub fn stage_of(&self, ix: ObjectIx) -> &StagePlan {
        self.stage(self.object(ix).stage)
    }

    /// What people see: the object's name, else `Obj<id>`.
    pub fn label(&self, ix: ObjectIx) -> Cow<'_, str> {
        let object = self.object(ix);
        match &object.name {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("Obj{}", object.id)),
        }
    }

    /// Number of objects that a target needs: the total of the run.
    pub fn needed_count(&self) -> usize {
        self.needed.iter().filter(|needed| **needed).count()
    }

    /// All positions, in plan order.
    pub fn indices(&self) -> impl Iterator<Item = ObjectIx> + use<> {
        (0..self.objects.len() as u32).map(ObjectIx)
    }

    /// Whether a target needs the object.
    pub fn is_needed(&self, ix: ObjectIx) -> bool {
        self.needed[ix.usize()]
    }
}

/// Checks a spec: either a plan, or every fault at once in the order of their places.
pub fn plan(spec: RunSpec) -> Result<RunPlan, Vec<Finding>> {
    if let Some(too_large) = size::fault(&spec) {
        return Err(vec![too_large]);
    }
    let mut report = Report::default();
    let stages = stages::check(&spec.stages, &mut report);
    let mut ids = ids::collect(&spec, &mut report);
    let links = links::resolve(&spec, &mut ids, &mut report);
    links::check_cycles(&spec, &ids, &links.graph, &mut report);
    let routes = route::all(&spec, &ids, &links, &mut report);
    let targets = targets::resolve(&spec, &ids, &routes, &mut report);
    ids::check_limits(&spec, &mut report);
    check_overrides(&spec, &routes, &mut report);
    if spec.objects.is_empty() {
        report.push(Section::Targets, || {
            let place = spec.sources.first().map_or("spec.objects", |source| source.name.as_str());
            Finding::new(FindingKind::Malformed, place, "there is no object to run", "")
        });
    }
    report.into_result()?;

    let needed = graph::ancestors(&links.graph, targets);
    let warnings = links.warnings(&spec, &ids);
    let undefined_dependencies = spec.undefined_dependencies;
    let objects = objects(&spec.stages, spec.objects, ids.names, &routes, undefined_dependencies);
    let mut plan = RunPlan {
        stages,
        objects,
        graph: links.graph,
        needed,
        failure_policy: spec.failure_policy,
        undefined_dependencies,
        digest: String::new(),
        warnings,
        index: ids.table,
    };
    plan.digest = digest::of(&plan, &spec.stages);
    Ok(plan)
}

/// Retry policies and timeouts of single objects.
fn check_overrides(spec: &RunSpec, routes: &[StageIx], report: &mut Report) {
    let mut checks = Checks::default();
    for (i, object) in spec.objects.iter().enumerate() {
        if object.retry.is_none() && object.timeouts.is_none() {
            continue;
        }
        let Some(stage) = spec.stages.get(routes[i].usize()) else { continue };
        if let Some(problem) = stages::policy_fault(retry_of(object, stage), timeouts_of(object, stage)) {
            checks.push(Section::Object(i), || {
                let place = spec.source_of(object).entry(object.position);
                Finding::new(FindingKind::Malformed, place, format!("`{}`: {problem}", object.id), "")
            });
        }
    }
    report.add(checks);
}

fn retry_of(object: &ObjectSpec, stage: &StageSpec) -> RetryPolicy {
    object.retry.as_ref().map_or(stage.retry, |own| own.over(stage.retry))
}

fn timeouts_of(object: &ObjectSpec, stage: &StageSpec) -> Timeouts {
    object.timeouts.as_ref().map_or(stage.timeouts, |own| own.over(stage.timeouts))
}

/// The checked objects: those of the spec, then those that nobody defined.
fn objects(
    stages: &[StageSpec],
    specs: Vec<ObjectSpec>,
    ids: Vec<ObjectId>,
    routes: &[StageIx],
    undefined: UndefinedPolicy,
) -> Vec<Object> {
    let mut objects = Vec::with_capacity(ids.len());
    let policies = |stage: &StageSpec| Policies { retry: stage.retry, timeouts: stage.timeouts };
    let shared: Vec<Arc<Policies>> = stages.iter().map(|stage| Arc::new(policies(stage))).collect();
    let mut specs = specs.into_iter();
    for (id, stage) in ids.into_iter().zip(routes) {
        let shared = &shared[stage.usize()];
        objects.push(match specs.next() {
            Some(spec) => defined(id, *stage, shared, spec),
            None => Object {
                id,
                stage: *stage,
                name: None,
                meta: "null".into(),
                params: None,
                processor: None,
                policies: shared.clone(),
                assumed: undefined == UndefinedPolicy::AssumeLoaded,
            },
        });
    }
    objects
}

fn defined(id: ObjectId, stage: StageIx, shared: &Arc<Policies>, spec: ObjectSpec) -> Object {
    let policies = match (&spec.retry, &spec.timeouts) {
        (None, None) => shared.clone(),
        (retry, timeouts) => Arc::new(Policies {
            retry: retry.as_ref().map_or(shared.retry, |own| own.over(shared.retry)),
            timeouts: timeouts.as_ref().map_or(shared.timeouts, |own| own.over(shared.timeouts)),
        }),
    };
    Object {
        id,
        stage,
        policies,
        name: spec.name.map(String::into_boxed_str),
        meta: spec.meta.unwrap_or(spec.entry).into_boxed_str(),
        params: spec.params.map(String::into_boxed_str),
        processor: spec.processor.map(String::into_boxed_str),
        assumed: false,
    }
}
