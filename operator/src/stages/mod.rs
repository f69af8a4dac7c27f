//! Stages in the cluster: their topics, their workers, and the actor of the runs that use them.
//!
//! A Pipeline and a run with inline stages take the same path: both become a [`StageSet`].

mod apply;
mod build;
mod health;
mod idle;
mod owner;
mod pod;
mod registry;
mod scale;
mod set;
mod topics;
mod workers;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use orch_core::id::{RunUid, StageName};
use orch_crds::pipeline::{DeletionPolicy, KafkaSpec, TopicsSpec};
use orch_crds::stage::StageSpec;
use orch_crds::{Pipeline, PipelineRun};
use orch_wire::{TopicNames, TopicPrefix};

pub(crate) use apply::{delete_workers, stop_workers};
pub(crate) use build::{Prepared, WorkerDefaults, build};
#[cfg(test)]
pub(crate) use health::StageHealth;
pub(crate) use health::WorkersState;
pub(crate) use owner::stays as owner_stays;
pub(crate) use registry::{NotDriven, Registry, SetKey};
pub(crate) use set::{Drive, SetHandle};
pub(crate) use topics::{TopicDefaults, Unready, check as check_topics, delete as delete_topics};

/// The stages of a Pipeline or of an inline run, and everything that they need from outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StageSet {
    pub(crate) namespace: String,
    /// The Pipeline's name, or the run's with six digits of its uid: part of every name that is made for it.
    pub(crate) name: String,
    pub(crate) owner: OwnerReference,
    pub(crate) stages: Vec<StageSpec>,
    /// The Secret with another Kafka than the operator's.
    pub(crate) secret: Option<String>,
    pub(crate) create_topics: bool,
    pub(crate) deletion_policy: DeletionPolicy,
    pub(crate) names: TopicNames,
    /// A run's own stages end with it; a Pipeline's wait for the next run.
    pub(crate) inline: bool,
}

impl StageSet {
    /// The stages of a Pipeline. `None` for one that has not been stored yet.
    pub(crate) fn of_pipeline(pipeline: &Pipeline, prefix: &TopicPrefix) -> Option<Self> {
        let spec = &pipeline.spec;
        let parts = (&spec.stages, &spec.kafka, &spec.topics, spec.deletion_policy);
        Self::new(pipeline, pipeline.name_any(), parts, prefix, false)
    }

    /// The inline stages of a run; `None` when it uses a Pipeline.
    pub(crate) fn of_run(run: &PipelineRun, prefix: &TopicPrefix) -> Option<Self> {
        let spec = &run.spec;
        let name = TopicNames::inline_name(&run.name_any(), &RunUid::new(&run.uid()?));
        let parts = (spec.stages.as_ref()?, &spec.kafka, &spec.topics, spec.deletion_policy);
        Self::new(run, name, parts, prefix, true)
    }

    fn new<K: Resource<DynamicType = ()>>(
        resource: &K,
        name: String,
        (stages, kafka, topics, deletion): (
            &Vec<StageSpec>,
            &Option<KafkaSpec>,
            &Option<TopicsSpec>,
            Option<DeletionPolicy>,
        ),
        prefix: &TopicPrefix,
        inline: bool,
    ) -> Option<Self> {
        let namespace = resource.namespace()?;
        Some(Self {
            names: TopicNames::new(prefix, &namespace, &name),
            owner: resource.controller_owner_ref(&())?,
            stages: stages.clone(),
            secret: kafka.as_ref().map(|kafka| kafka.secret_ref.name.clone()),
            create_topics: topics.unwrap_or_default().create,
            deletion_policy: deletion.unwrap_or_default(),
            namespace,
            name,
            inline,
        })
    }

    /// Name and partitions of each stage. Names were checked by the schema; what is none is left out and found by the
    /// check of the run.
    pub(crate) fn stage_topics(&self) -> Vec<(StageName, u16)> {
        let of_stage = |stage: &StageSpec| Some((StageName::parse(&stage.name).ok()?, stage.partitions()));
        self.stages.iter().filter_map(of_stage).collect()
    }

    /// How a stage that a run began with differs from what is here, where that matters to its topic; `None`: it does not.
    pub(crate) fn lacks(&self, stage: &StageSpec) -> Option<String> {
        let name = &stage.name;
        let Some(here) = self.stages.iter().find(|here| here.name == *name) else {
            return Some(format!("has no stage `{name}`"));
        };
        let (are, were) = (here.partitions(), stage.partitions());
        if are != were {
            return Some(format!("its stage `{name}` has {are} partitions, and had {were}"));
        }
        match (here.is_external(), stage.is_external()) {
            (true, false) => Some(format!("its stage `{name}` is external, and was not")),
            (false, true) => Some(format!("its stage `{name}` was external, and is not")),
            _ => None,
        }
    }
}
