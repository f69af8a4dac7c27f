//! Resources of a list or a watch, each by itself: one that nobody can read hides none of the others.
//!
//! What the schema leaves open may nest deeper than a JSON reader goes, and the API server takes it. kube's
//! `DeserializeGuard` makes values of everything first, and gives up there; here the text is kept until its turn comes.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A resource, or why it cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<K>(pub(crate) Result<Arc<K>, Box<Unreadable>>);

/// A resource that cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    pub(crate) metadata: ObjectMeta,
    pub(crate) problem: String,
    /// Of the whole resource.
    pub(crate) bytes: usize,
    /// Whether its status says that it has ended.
    pub(crate) is_over: bool,
    /// The generation that its status takes into account.
    pub(crate) observed_generation: Option<i64>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let problem = match serde_json::from_str(text.get()) {
            Ok(resource) => return Ok(Self(Ok(Arc::new(resource)))),
            Err(error) => error.to_string(),
        };
        let Head { metadata, status } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let told = status.and_then(|status| serde_json::from_str::<Told>(status.get()).ok());
        let Told { completion_time, observed_generation } = told.unwrap_or_default();
        let (is_over, bytes) = (completion_time.is_some(), text.get().len());
        let metadata = metadata.into();
        Ok(Self(Err(Box::new(Unreadable { metadata, problem, bytes, is_over, observed_generation }))))
    }
}

/// What can be read of everything.
#[derive(Deserialize)]
struct Head {
    metadata: HeadMeta,
    status: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    completion_time: Option<Time>,
    observed_generation: Option<i64>,
}

/// The metadata without what nests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMeta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
}

impl From<HeadMeta> for ObjectMeta {
    fn from(head: HeadMeta) -> Self {
        let HeadMeta { name, namespace, uid, resource_version, generation, deletion_timestamp, finalizers } =
            head;
        Self {
            name,
            namespace,
            uid,
            resource_version,
            generation,
            deletion_timestamp,
            finalizers,
            ..Self::default()
        }
    }
}

impl<K: Resource + Clone> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, |resource| resource.meta())
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(resource) => Arc::make_mut(resource).meta_mut(),
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};
    use orch_crds::PipelineRun;

    use super::*;

    /// One run with objects that nest so deep, as the API server writes it.
    fn run(name: &str, levels: usize) -> String {
        let meta = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        format!(
            r#"{{"apiVersion":"kafka-orchestrator.dev/v1alpha1","kind":"PipelineRun",
                "metadata":{{"name":"{name}","uid":"u-{name}","managedFields":[{{"fieldsV1":{meta}}}]}},
                "spec":{{"objects":[{{"id":"a","meta":{meta}}}]}}}}"#
        )
    }

    fn names(runs: &[Guarded<PipelineRun>]) -> Vec<String> {
        let name = |run: &Guarded<PipelineRun>| {
            let name = run.meta().name.clone().unwrap();
            if run.0.is_ok() { name } else { format!("{name}?") }
        };
        runs.iter().map(name).collect()
    }

    /// After a restart the operator saw no run any more.
    #[test]
    fn one_run_that_nobody_can_read_hides_no_other() {
        let list = format!(
            r#"{{"apiVersion":"v1","kind":"List","metadata":{{}},"items":[{},{},{}]}}"#,
            run("a", 2),
            run("deep", 5_000),
            run("b", 2)
        );
        let list: ObjectList<Guarded<PipelineRun>> = serde_json::from_str(&list).unwrap();
        assert_eq!(names(&list.items), ["a", "deep?", "b"]);
        let event = format!(r#"{{"type":"ADDED","object":{}}}"#, run("deep", 150));
        let event: WatchEvent<Guarded<PipelineRun>> = serde_json::from_str(&event).unwrap();
        let WatchEvent::Added(run) = event else { panic!("another event") };
        let unreadable = run.0.unwrap_err();
        assert_eq!(unreadable.metadata.uid.as_deref(), Some("u-deep"));
        assert!(unreadable.problem.contains("recursion limit"), "{}", unreadable.problem);
    }
}
