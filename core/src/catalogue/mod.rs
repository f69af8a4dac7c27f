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

/// Reads a file in any of the three forms: a JSON array of catalogue records (the `Objets.json` form), a JSON array of
/// what `spec.objects` holds, or lines of `parent<TAB>child`; compressed with gzip or not. `name` is what findings call
/// it. A resource (`PipelineRun` as YAML or JSON) is none of them.
pub fn read(name: &str, bytes: &[u8]) -> Read {
    let text = text::decode(name, bytes, text::FILE_MAX_BYTES).map_err(|refused| refused.findings)?;
    if text.trim_start().starts_with(['[', '{']) {
        let mut room = Room::of_file();
        let entries = room.entries(name, &text)?;
        if is_catalogue(&entries) {
            objets::read(name, &mut room, &entries)
        } else {
            list::read(name, &mut room, &entries)
        }
    } else {
        edges::read(name, &text)
    }
}

/// Whether these are records of a catalogue, and not objects. The first entry that says it decides: by `IdObjet`, since
/// records have an `id` of another meaning too.
fn is_catalogue(entries: &[&RawValue]) -> bool {
    let says = |entry: &&RawValue| {
        let fields = Fields::parse(entry).ok()?;
        if fields.has("IdObjet") { Some(true) } else { fields.has("id").then_some(false) }
    };
    entries.iter().find_map(says).unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_the_first_entry_that_says_it() {
        for (text, expected) in [
            ("[]", false),
            (r#"[{"id": 1}]"#, false),
            // A record of the catalogue has an `id` too, and a converted object carries a record.
            (r#"[{"id": "21", "IdObjet": 3000}]"#, true),
            (r#"[{"id": "3000", "meta": {"IdObjet": 3000}}]"#, false),
            (r#"[17, {"NomObjet": "x"}, {"IdObjet": 3000}]"#, true),
        ] {
            let entries: Vec<&RawValue> = serde_json::from_str(text).unwrap();
            assert_eq!(is_catalogue(&entries), expected, "{text}");
        }
    }
}
