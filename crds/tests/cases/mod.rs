//! The tables of cases, and a valid resource of each kind that they change. What a row says of the API server is
//! tried in `tests/api_server`, what it says of a local run in `tests/it`.

// Each of the two reads a part.
#![allow(dead_code)]

use serde::Deserialize;
use serde_json::{Value, json};

/// What can be created and what cannot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    #[serde(default)]
    pub kind: Kind,
    pub at: At,
    pub accepted: Vec<Value>,
    pub refused: Vec<Value>,
    pub message: String,
    pub local: String,
}

/// A field that never changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    #[serde(default)]
    pub kind: Kind,
    pub field: String,
    pub value: Value,
    pub other: Value,
    pub base: Value,
    #[serde(default)]
    pub without: Option<Value>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Kind {
    #[default]
    PipelineRun,
    Pipeline,
}

/// What a patch is merged into.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    Resource,
    Spec,
    Stage,
    Object,
}

impl Create {
    pub fn table() -> Vec<Self> {
        serde_yaml::from_str(include_str!("create.yaml")).unwrap()
    }

    /// The valid resource with the patch.
    pub fn resource(&self, patch: &Value) -> Value {
        let mut resource = self.kind.valid();
        let place = match self.at {
            At::Resource => &mut resource,
            At::Spec => &mut resource["spec"],
            At::Stage => &mut resource["spec"]["stages"][0],
            At::Object => &mut resource["spec"]["objects"][0],
        };
        merge(place, patch);
        resource
    }
}

impl Update {
    pub fn table() -> Vec<Self> {
        serde_yaml::from_str(include_str!("update.yaml")).unwrap()
    }

    /// What is refused says this.
    pub fn message(&self) -> String {
        format!("{} cannot be changed, added or removed after creation", self.field)
    }
}

impl Kind {
    /// A resource that has only what it must have.
    pub fn valid(self) -> Value {
        let stages = json!([{"name": "work", "processor": {"simulate": {}}}]);
        let spec = match self {
            Self::PipelineRun => json!({"stages": stages, "objects": [{"id": "1005"}]}),
            Self::Pipeline => json!({"stages": stages}),
        };
        let api_version = "kafka-orchestrator.dev/v1alpha1";
        json!({"apiVersion": api_version, "kind": format!("{self:?}"), "metadata": {"name": "sales"}, "spec": spec})
    }
}

/// JSON merge patch (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
