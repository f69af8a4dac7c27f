//! One object of a run, and the reference to a ConfigMap that holds more of them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cel;
use crate::field::{self, CONFIG_KEY, DNS_LABEL, DNS_SUBDOMAIN, JsonObject, OBJECT_ID};
use crate::stage::{ProcessorSpec, RetrySpec, TimeoutsSpec};

/// One object: a table, a file, a data set; whatever is loaded as one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "!has(self.processor) || !has(self.processor.external)",
    "an object cannot have the processor external: give it a stage that has",
).field_path(".processor"))]
pub struct ObjectSpec {
    /// Id of the object, unique in the run: 1 to 253 printable characters without spaces or commas. Numbers are
    /// written as text: "1005".
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_ID))]
    pub id: String,
    /// Label for people; not unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Stage of the object. Default: the stage whose idRange holds the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = DNS_LABEL))]
    pub stage: Option<String>,
    /// Ids of the objects that must be loaded before this one starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "depends_on")]
    pub depends_on: Option<Vec<String>>,
    /// Parameters for the worker: any JSON object. Integers beyond 2^53 are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::json_object")]
    pub params: Option<JsonObject>,
    /// What the ready record carries as meta: any JSON object. Default: this entry itself. Integers beyond 2^53 are
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::json_object")]
    pub meta: Option<JsonObject>,
    /// Replaces the stage's processor for this object; the stage's workers do it. Not external.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor: Option<ProcessorSpec>,
    /// Overrides the stage's retry policy for this object, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySpec>,
    /// Overrides the stage's timeouts for this object, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutsSpec>,
}

fn depends_on(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    field::object_ids(10_000)
}

/// More objects, from elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectsFrom {
    /// A key of a ConfigMap in the same namespace. The ConfigMap must be `immutable: true`.
    pub config_map: ObjectsConfigMap,
}

/// The key of a ConfigMap that holds objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectsConfigMap {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// The key in data or binaryData: JSON text, plain or compressed with gzip.
    #[schemars(length(min = 1, max = 253), regex(pattern = CONFIG_KEY))]
    pub key: String,
    /// Form of the text. Objects: a JSON array of what spec.objects holds. Catalogue: a JSON array of catalogue
    /// records such as Objets.json.
    #[serde(default)]
    pub format: ObjectsFormat,
}

/// Form of the text in a ConfigMap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ObjectsFormat {
    /// A JSON array of what `spec.objects` holds.
    #[default]
    Objects,
    /// A JSON array of catalogue records, such as `Objets.json`.
    Catalogue,
}
