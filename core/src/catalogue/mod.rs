//! Readers of what people have: catalogues, object lists and edge lists. Each gives a [`RunSpec`] and warnings, or all
//! that is wrong with its input at once. What is wrong between objects (cycles, unknown dependencies, ids without a
//! stage) is the business of [`crate::plan::plan`].

mod edges;
mod fields;
mod list;
mod objets;
mod room;
mod text;

pub use list::append_objects;
pub use objets::append_catalogue;
pub use room::Room;

use serde_json::value::RawValue;

use crate::finding::{Finding, FindingKind};
use crate::spec::{RetryPolicy, RunSpec, StageSpec, Timeouts, WorkerPolicy};
use fields::Fields;

/// A spec with warnings, or findings.
pub type Read = Result<(RunSpec, Vec<Finding>), Vec<Finding>>;

/// The forms of input that [`read`] tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON array of catalogue records: the `Objets.json` form.
    Catalogue,
    /// A JSON array of what `spec.objects` holds.
    Objects,
    /// Lines of `parent<TAB>child`.
    Edges,
}

/// Reads a file in any of the three forms, compressed with gzip or not. `name` is what findings call it. A resource
/// (`PipelineRun` as YAML or JSON) is none of them.
pub fn read(name: &str, bytes: &[u8]) -> Read {
    let text = text::decode(name, bytes, text::FILE_MAX_BYTES)?;
    if text.trim_start().starts_with(['[', '{']) {
        let entries = fields::array(name, &text, usize::MAX)?.unwrap_or_default();
        match format_of(&entries) {
            Format::Catalogue => objets::read(name, &entries),
            Format::Objects | Format::Edges => list::read(name, &entries),
        }
    } else {
        edges::read(name, &text)
    }
}

/// Which form a file has; `None` when it cannot be read as any.
pub fn detect(name: &str, bytes: &[u8]) -> Option<Format> {
    let text = text::decode(name, bytes, text::FILE_MAX_BYTES).ok()?;
    if text.trim_start().starts_with(['[', '{']) {
        fields::array(name, &text, usize::MAX).ok().flatten().map(|entries| format_of(&entries))
    } else {
        Some(Format::Edges)
    }
}

/// The first entry that says it decides: `IdObjet` is a catalogue, whose records have an `id` of another meaning too.
fn format_of(entries: &[&RawValue]) -> Format {
    for entry in entries {
        let Ok(fields) = Fields::parse(entry) else { continue };
        if fields.has("IdObjet") {
            return Format::Catalogue;
        }
        if fields.has("id") {
            return Format::Objects;
        }
    }
    Format::Objects
}

/// A stage that only has a name and a simulated duration: what a file without stages of its own runs on.
fn simulated_stage(name: &str, duration: &str, concurrency: u32) -> StageSpec {
    let worker = WorkerPolicy { concurrency, ..WorkerPolicy::default() };
    StageSpec {
        name: name.to_owned(),
        id_range: None,
        processor: format!(r#"{{"simulate":{{"duration":"{duration}"}}}}"#),
        worker,
        partitions: worker.max_replicas as u16,
        retry: RetryPolicy::default(),
        timeouts: Timeouts::default(),
    }
}

/// The source number that the next objects of a spec get.
fn next_source(spec: &RunSpec, name: &str) -> Result<u16, Vec<Finding>> {
    u16::try_from(spec.sources.len()).map_err(|_| {
        vec![Finding::new(FindingKind::TooLarge, name, "a run has at most 65,535 sources of objects", "")]
    })
}
