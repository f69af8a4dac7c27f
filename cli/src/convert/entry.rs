//! Objects as `spec.objects` writes them.

use orch_core::id::Millis;
use orch_core::spec::{ObjectSpec, RetryOverride, RunSpec, SourceForm, TimeoutsOverride};
use serde::Serialize;
use serde_json::value::RawValue;

use super::not_json;
use crate::error::CliError;

/// The objects of a run, or of one of its sources.
pub(super) struct Entries<'s> {
    spec: &'s RunSpec,
    source: Option<u16>,
    /// The dependencies that are pairs of positions, turned round and sorted: (dependant, dependency).
    edges: Vec<(u32, u32)>,
}

impl<'s> Entries<'s> {
    /// All objects.
    pub(super) fn new(spec: &'s RunSpec) -> Self {
        let mut edges: Vec<(u32, u32)> = spec.edges.iter().map(|(from, to)| (*to, *from)).collect();
        edges.sort_unstable();
        edges.dedup();
        Self { spec, source: None, edges }
    }

    /// The objects of one source.
    pub(super) fn of_source(spec: &'s RunSpec, source: u16) -> Self {
        Self { source: Some(source), ..Self::new(spec) }
    }

    /// Each object as JSON, in order.
    pub(super) fn json(&self) -> impl Iterator<Item = Result<String, CliError>> + use<'_> {
        let wanted = |object: &ObjectSpec| self.source.is_none_or(|source| object.source == source);
        let objects = self.spec.objects.iter().enumerate();
        objects.filter(move |(_, object)| wanted(object)).map(|(at, object)| self.object(at as u32, object))
    }

    fn object(&self, at: u32, object: &ObjectSpec) -> Result<String, CliError> {
        // A catalogue record is carried whole as meta; an entry of our own form is its own meta when it names none.
        let is_record = self.spec.source_of(object).form == SourceForm::Catalogue;
        let meta = object.meta.as_deref().or_else(|| is_record.then_some(object.entry.as_str()));
        let entry = Entry {
            id: &object.id,
            name: object.name.as_deref(),
            stage: object.stage.as_deref(),
            depends_on: self.dependencies(at, object),
            params: raw(object.params.as_deref())?,
            meta: raw(meta)?,
            processor: raw(object.processor.as_deref())?,
            retry: object.retry.as_deref().map(retry),
            timeouts: object.timeouts.as_deref().map(timeouts),
        };
        serde_json::to_string(&entry).map_err(|error| not_json(&error))
    }

    fn dependencies<'a>(&'a self, at: u32, object: &'a ObjectSpec) -> Vec<&'a str> {
        let begin = self.edges.partition_point(|(dependant, _)| *dependant < at);
        let own = self.edges[begin..].iter().take_while(|(dependant, _)| *dependant == at);
        let own = own.map(|(_, dependency)| self.spec.objects[*dependency as usize].id.as_str());
        object.depends_on.iter().map(String::as_str).chain(own).collect()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processor: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeouts: Option<Timeouts>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Retry {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_delay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_delay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<f64>,
}

#[derive(Serialize)]
struct Timeouts {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<String>,
}

fn raw(text: Option<&str>) -> Result<Option<&RawValue>, CliError> {
    text.map(serde_json::from_str).transpose().map_err(|error| not_json(&error))
}

fn retry(retry: &RetryOverride) -> Retry {
    Retry {
        max_attempts: retry.max_attempts,
        initial_delay: retry.initial_delay_ms.map(duration),
        factor: retry.factor,
        max_delay: retry.max_delay_ms.map(duration),
        jitter: retry.jitter,
    }
}

fn timeouts(timeouts: &TimeoutsOverride) -> Timeouts {
    Timeouts {
        queue: timeouts.queue_ms.map(duration),
        run: timeouts.run_ms.map(duration),
        heartbeat: timeouts.heartbeat_ms.map(duration),
    }
}

/// A duration as the resource writes it, in the largest unit that is exact.
pub(super) fn duration(ms: Millis) -> String {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.into_iter().find(|(_, length)| ms > 0 && ms % length == 0) {
        Some((unit, length)) => format!("{}{unit}", ms / length),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}
