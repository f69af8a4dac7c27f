//! The objects of a run: those of the resource first, then those of each chunk.

use std::fmt::Display;

use orch_core::catalogue::{Room, append_catalogue, append_objects};
use orch_core::finding::{Finding, FindingKind};
use orch_core::id::MAX_SAFE_INTEGER;
use orch_core::spec::{self as core, RunSpec, Source, SourceForm};
use serde_json::Value;

use super::checks::Checks;
use super::stages::{check_processor, retry, timeouts, to_json};
use crate::chunk::Chunk;
use crate::field::JsonObject;
use crate::object::{ObjectSpec, ObjectsFormat};
use crate::stage::ProcessorSpec;
use crate::strict::Text;

/// Adds the objects of the resource. They are source 0, also when there are none.
pub(super) fn add_inline(objects: &[ObjectSpec], spec: &mut RunSpec, checks: &mut Checks) {
    spec.sources.push(Source::new("spec.objects", SourceForm::Objects));
    spec.objects.reserve(objects.len());
    for (position, own) in (0..).zip(objects) {
        let converted = object(own, position, &format_args!("spec.objects[{position}]"), checks);
        spec.objects.push(converted);
    }
}

/// Adds the objects of a chunk, and gives the warnings.
pub(super) fn add_chunk(
    chunk: &Chunk,
    room: &mut Room,
    spec: &mut RunSpec,
    checks: &mut Checks,
) -> Vec<Finding> {
    let before = spec.objects.len();
    let added = match chunk.format {
        ObjectsFormat::Objects => {
            append_objects(spec, room, &chunk.source, &chunk.bytes).map(|()| Vec::new())
        }
        ObjectsFormat::Catalogue => append_catalogue(spec, room, &chunk.source, &chunk.bytes),
    };
    match added {
        Ok(warnings) => {
            check_processors(spec, before, checks);
            warnings
        }
        Err(findings) => {
            checks.add_all(findings);
            Vec::new()
        }
    }
}

/// What is wrong with the processors that the objects of a list have of their own: it was seen by no schema.
pub fn check_list(spec: &RunSpec) -> Result<(), Vec<Finding>> {
    let mut checks = Checks::default();
    check_processors(spec, 0, &mut checks);
    checks.finish(())
}

/// The core keeps processors as text; those of a chunk were seen by no schema.
fn check_processors(spec: &RunSpec, from: usize, checks: &mut Checks) {
    for object in &spec.objects[from..] {
        let Some(text) = &object.processor else { continue };
        let place = format!("{}.processor", spec.source_of(object).entry(object.position));
        match Text::Json(text).strict::<ProcessorSpec>() {
            Ok(processor) => check_override(&processor, &place, checks),
            Err(faults) => {
                for fault in faults {
                    checks.refuse(fault.place(&place), fault.problem, "");
                }
            }
        }
    }
}

/// What is wrong with a processor that an object has of its own.
fn check_override(processor: &ProcessorSpec, place: &dyn Display, checks: &mut Checks) {
    if processor.external.is_some() {
        let problem = "an object cannot have the processor external";
        checks.refuse(place.to_string(), problem, "give it a stage that has");
    }
    check_processor(processor, place, checks);
}

fn object(spec: &ObjectSpec, position: u32, place: &dyn Display, checks: &mut Checks) -> core::ObjectSpec {
    let processor = spec.processor.as_ref().map(|processor| {
        check_override(processor, &format_args!("{place}.processor"), checks);
        to_json(processor, place, checks)
    });
    core::ObjectSpec {
        source: 0,
        position,
        id: spec.id.clone(),
        name: spec.name.clone(),
        stage: spec.stage.clone(),
        depends_on: spec.depends_on.clone().unwrap_or_default(),
        meta: spec.meta.as_ref().map(|meta| free_form(meta, place, "meta", checks)),
        // Nobody asks for the entry of an object that has a meta; a catalogue would be in memory twice.
        entry: if spec.meta.is_some() { String::new() } else { to_json(spec, place, checks) },
        params: spec.params.as_ref().map(|params| free_form(params, place, "params", checks)),
        processor,
        retry: spec.retry.as_ref().map(|own| Box::new(retry(own, place, checks))),
        timeouts: spec.timeouts.as_ref().map(|own| Box::new(timeouts(own, place, checks))),
    }
}

/// The user's own JSON as text. Integers of more than 64 bits were read as doubles, where the core no longer sees them.
fn free_form(json: &JsonObject, place: &dyn Display, field: &str, checks: &mut Checks) -> String {
    if let Some(number) = json.values().find_map(rounded) {
        checks.add_all(vec![Finding::new(
            FindingKind::UnsafeNumber,
            format!("{place}.{field}"),
            format!("a whole number near {number} is beyond {MAX_SAFE_INTEGER}, which not every reader of JSON keeps"),
            "write it as a text",
        )]);
    }
    to_json(json, place, checks)
}

/// A whole number beyond 2^53 that is a double. From 1e21 on the API server itself writes doubles with an exponent, and
/// nobody takes them for integers.
fn rounded(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && (MAX_SAFE_INTEGER as f64) < n.abs() && n.abs() < 1e21),
        Value::Array(items) => items.iter().find_map(rounded),
        Value::Object(fields) => fields.values().find_map(rounded),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
