//! Schemas of the kinds of text and value that many fields share.

use std::borrow::Cow;
use std::fmt;

use orch_core::duration::{self, InvalidDuration};
use orch_core::id::Millis;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A JSON object whose content is nobody's business but the user's.
pub type JsonObject = Map<String, Value>;

/// A DNS label (RFC 1123).
pub(crate) const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The name of a Secret or ConfigMap (RFC 1123 subdomain, loosely).
pub(crate) const DNS_SUBDOMAIN: &str = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$";

/// A key of a Secret or ConfigMap.
pub(crate) const CONFIG_KEY: &str = "^[-._a-zA-Z0-9]+$";

/// The id of an object: printable characters without spaces or commas, as the core reads it.
pub(crate) const OBJECT_ID: &str = r"^[^,\p{Cc}\p{Z}]+$";

/// A duration as a person writes it: `500ms`, `1.5s`, `2h30m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

impl Duration {
    /// The duration in milliseconds.
    pub fn millis(&self) -> Result<Millis, InvalidDuration> {
        duration::parse(&self.0)
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 32, "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"})
    }
}

/// The id of an object in a list of ids.
pub(crate) fn object_ids(max_items: u32) -> Schema {
    json_schema!({
        "type": "array", "maxItems": max_items, "x-kubernetes-list-type": "atomic",
        "items": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": OBJECT_ID},
    })
}

/// Any JSON object: the API server keeps every field of it.
pub(crate) fn json_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 1024, "x-kubernetes-preserve-unknown-fields": true})
}

/// A map from text to text.
pub(crate) fn text_map(max_properties: u32, max_length: u32) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": max_properties,
        "additionalProperties": {"type": "string", "maxLength": max_length},
    })
}

/// Amounts of resources by name, such as `cpu: 500m`.
pub(crate) fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 32,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 64,
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        },
    })
}
