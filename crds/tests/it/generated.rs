//! The generated files are what the types say, and the schema is what Kubernetes wants.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use orch_crds::yaml;
use serde_json::Value;

use crate::cases::{Create, Update};

/// A custom resource definition is one object in etcd, and in every informer's memory.
const MAX_BYTES: usize = 256 << 10;

#[test]
fn files_are_up_to_date() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [here.join("yaml"), here.join("../charts/kafka-orchestrator-crds/files")] {
        for (name, text) in yaml::files().unwrap() {
            let path = folder.join(name);
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "{} differs from the Rust types: run `make generate`", path.display());
        }
        let names: BTreeSet<String> =
            fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.len(), 2, "{} has a file that nothing generates: {names:?}", folder.display());
    }
}

#[test]
fn definitions_are_small() {
    for (name, text) in yaml::files().unwrap() {
        assert!(text.len() < MAX_BYTES, "{name}: {} bytes", text.len());
    }
}

/// Every node of every schema, with its path.
fn nodes() -> Vec<(String, Value)> {
    let mut nodes = Vec::new();
    for definition in yaml::definitions() {
        let schema = definition.spec.versions[0].schema.as_ref().unwrap();
        let root = serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap();
        collect(definition.spec.names.kind, root, &mut nodes);
    }
    nodes
}

fn collect(path: String, node: Value, nodes: &mut Vec<(String, Value)>) {
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        collect(format!("{path}.{name}"), property.clone(), nodes);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if node.get(key).is_some_and(Value::is_object) {
            collect(format!("{path}{suffix}"), node[key].clone(), nodes);
        }
    }
    nodes.push((path, node));
}

#[test]
fn every_field_is_described() {
    for (path, node) in nodes() {
        let is_field = !path.ends_with(']') && !path.ends_with('}');
        let text = node["description"].as_str().unwrap_or_default();
        assert!(!is_field || text.trim_end().ends_with(['.', ':']) || text.len() > 20, "{path}: `{text}`");
        assert!(!text.contains("Auto-generated"), "{path}: `{text}`");
    }
}

#[test]
fn every_list_map_and_text_is_bounded() {
    for (path, node) in nodes() {
        let bounded = |key: &str| node.get(key).is_some_and(Value::is_number);
        match node["type"].as_str() {
            Some("array") => assert!(bounded("maxItems"), "{path}"),
            Some("string") => {
                let closed = node.get("enum").is_some() || node["format"] == "date-time";
                assert!(closed || bounded("maxLength"), "{path}");
            }
            Some("object") if node.get("properties").is_none() && !path.ends_with(".external") => {
                assert!(bounded("maxProperties"), "{path}");
            }
            _ => {}
        }
    }
}

#[test]
fn object_lists_are_atomic_and_free_form_fields_are_kept() {
    for (path, node) in nodes() {
        let list_type = node["x-kubernetes-list-type"].as_str();
        if node["type"] == "array" {
            let expected = if path.ends_with(".status.conditions") { "map" } else { "atomic" };
            assert_eq!(list_type, Some(expected), "{path}");
        }
        let free = [".meta", ".params", ".podTemplate", ".pipeline.stages[]"]
            .iter()
            .any(|name| path.ends_with(name));
        assert_eq!(node.get("x-kubernetes-preserve-unknown-fields").is_some(), free, "{path}");
    }
}

#[test]
fn formats_are_known_to_kubernetes_and_the_schema_is_structural() {
    for (path, node) in nodes() {
        let known = ["int32", "int64", "double", "date-time"];
        assert!(
            node["format"].as_str().is_none_or(|format| known.contains(&format)),
            "{path}: {}",
            node["format"]
        );
        if node["type"] == "integer" {
            let status = path.contains(".status");
            assert!(status || node.get("minimum").is_some() && node.get("maximum").is_some(), "{path}");
        }
        for union in ["anyOf", "oneOf", "allOf", "not", "nullable"] {
            assert!(node.get(union).is_none(), "{path}: {union}");
        }
    }
}

#[test]
fn every_rule_has_a_case() {
    let mut tried: Vec<String> = Create::table().into_iter().map(|case| case.message).collect();
    tried.extend(Update::table().iter().map(Update::message));
    // They have tests of their own in `api_server/update.rs`.
    let own = [
        "a cancelled run stays cancelled",
        "a stage cannot be removed or renamed",
        "the partitions of a stage cannot be changed",
    ];
    tried.extend(own.map(str::to_owned));
    for (path, node) in nodes() {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().unwrap();
            assert!(
                tried.iter().any(|part| message.contains(part.as_str())),
                "{path}: no case for `{message}`"
            );
        }
    }
}

#[test]
fn what_is_for_later_is_not_there_yet() {
    let later = [
        "suspend",
        "priority",
        "ttlSecondsAfterFinished",
        "mode",
        "dependsOnStarted",
        "cached",
        "skipped",
        "cancelMode",
    ];
    for (path, _) in nodes() {
        let name = path.rsplit('.').next().unwrap();
        assert!(!later.contains(&name), "{path}");
    }
}
