//! The objects of a run: those of the resource first, then those of each chunk.

use std::fmt::Display;

use orch_core::catalogue::{append_catalogue, append_objects};
use orch_core::finding::Finding;
use orch_core::spec::{self as core, RunSpec, Source, SourceForm};

use super::checks::Checks;
use super::stages::{check_processor, retry, timeouts, to_json};
use crate::chunk::Chunk;
use crate::object::{ObjectSpec, ObjectsFormat};
use crate::read::strict;
use crate::stage::ProcessorSpec;

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
pub(super) fn add_chunk(chunk: &Chunk, spec: &mut RunSpec, checks: &mut Checks) -> Vec<Finding> {
    let before = spec.objects.len();
    let added = match chunk.format {
        ObjectsFormat::Objects => append_objects(spec, &chunk.source, &chunk.bytes).map(|()| Vec::new()),
        ObjectsFormat::Catalogue => append_catalogue(spec, &chunk.source, &chunk.bytes),
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

/// The core keeps processors as text; those of a chunk were seen by no schema.
fn check_processors(spec: &RunSpec, from: usize, checks: &mut Checks) {
    for object in &spec.objects[from..] {
        let Some(text) = &object.processor else { continue };
        let place = format!("{}.processor", spec.source_of(object).entry(object.position));
        match strict::<ProcessorSpec, _>(&mut serde_json::Deserializer::from_str(text)) {
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
        meta: spec.meta.as_ref().map(|meta| to_json(meta, place, checks)),
        // Nobody asks for the entry of an object that has a meta; a catalogue would be in memory twice.
        entry: if spec.meta.is_some() { String::new() } else { to_json(spec, place, checks) },
        params: spec.params.as_ref().map(|params| to_json(params, place, checks)),
        processor,
        retry: spec.retry.as_ref().map(|own| Box::new(retry(own, place, checks))),
        timeouts: spec.timeouts.as_ref().map(|own| Box::new(timeouts(own, place, checks))),
    }
}
