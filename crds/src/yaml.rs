//! The custom resource definitions, and the YAML files that they are installed from.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;

use crate::{Pipeline, PipelineRun};

/// First lines of a generated file.
const HEADER: &str = "# Generated from the Rust types in crds/src. Do not edit: make generate\n";

/// The definitions of both kinds.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![Pipeline::crd(), PipelineRun::crd()];
    for version in definitions.iter_mut().flat_map(|definition| &mut definition.spec.versions) {
        if let Some(schema) = version.schema.as_mut().and_then(|v| v.open_api_v3_schema.as_mut()) {
            adapt(schema);
        }
    }
    definitions
}

/// Name and text of every generated file.
pub fn files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    definitions()
        .into_iter()
        .map(|definition| {
            let name = format!("{}.yaml", definition.spec.names.plural);
            Ok((name, format!("{HEADER}{}", serde_yaml::to_string(&definition)?)))
        })
        .collect()
}

/// Makes a schema what Kubernetes wants of it: formats that it knows, and no `null` where a field can be left out.
fn adapt(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    let unsigned = match schema.format.as_deref() {
        Some("uint8" | "uint16" | "uint32") => Some("int32"),
        Some("uint" | "uint64") => Some("int64"),
        _ => None,
    };
    if let Some(signed) = unsigned {
        schema.format = Some(signed.to_owned());
        schema.minimum.get_or_insert(0.0);
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        adapt(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => adapt(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(adapt),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        adapt(values);
    }
}
