//! Collects the ids of the objects and checks what each object carries.

use super::json_limits::{self, Fault};
use super::nesting::MAX_DEPTH;
use super::report::{Checks, Report, Section};
use crate::finding::{Finding, FindingKind};
use crate::id::{MAX_SAFE_INTEGER, ObjectId};
use crate::id_table::{IdTable, Key};
use crate::spec::{ObjectSpec, RunSpec};

/// Bytes of `meta`, `params` and `processor` of one object at most. A record of 512 KiB carries them, and the outputs
/// of the dependencies.
const MAX_CARRIED_BYTES: usize = 480 * 1024;

/// The ids of all objects: those of the spec at the same positions, then those that nobody defined.
pub(super) struct Ids {
    pub(super) names: Vec<ObjectId>,
    pub(super) table: IdTable,
    /// More ids than a run may have objects were mentioned, and it was said.
    pub(super) is_full: bool,
}

impl Ids {
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.find_key(id, self.table.key(id.as_bytes()))
    }

    fn find_key(&self, id: &str, key: Key) -> Option<u32> {
        self.table.find(key, |held| self.names[held as usize].as_str() == id)
    }

    /// Adds an id that is not there yet.
    pub(super) fn add(&mut self, id: ObjectId) -> u32 {
        let number = self.names.len() as u32;
        self.table.insert(self.table.key(id.as_str().as_bytes()), number);
        self.names.push(id);
        number
    }
}

/// Objects whose ids are looked up together; see [`IdTable::likely`].
const BLOCK: usize = 128;

/// Reads the ids of the spec. An id that is no id, or is there already, keeps its position but is not in the table.
pub(super) fn collect(spec: &RunSpec, report: &mut Report) -> Ids {
    let count = spec.objects.len();
    let mut ids =
        Ids { names: Vec::with_capacity(count), table: IdTable::with_capacity(count), is_full: false };
    let mut checks = Checks::default();
    let (mut keys, mut likely) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    for block in spec.objects.chunks(BLOCK) {
        keys.clear();
        keys.extend(block.iter().map(|object| ids.table.key(object.id.as_bytes())));
        ids.table.likely(&keys, &mut likely);
        for (object, key) in block.iter().zip(&keys) {
            let i = ids.names.len();
            let id = ObjectId::parse(&object.id);
            let place = || spec.source_of(object).id(object.position);
            match &id {
                Ok(id) => match ids.find_key(id.as_str(), *key) {
                    None => ids.table.insert(*key, i as u32),
                    Some(first) => checks.push(Section::Object(i), || {
                        let other = &spec.objects[first as usize];
                        let first = spec.source_of(other).id(other.position);
                        let problem = format!("`{id}` is defined again; first at {first}");
                        Finding::new(FindingKind::Duplicate, place(), problem, "an id is unique in its run")
                    }),
                },
                Err(error) => checks.push(Section::Object(i), || {
                    Finding::new(FindingKind::InvalidName, place(), error.to_string(), "")
                }),
            }
            ids.names.push(id.unwrap_or_else(|_| placeholder()));
        }
    }
    report.add(checks);
    ids
}

/// Stands at the position of an id that is none; the report has a finding then, and nobody sees it.
fn placeholder() -> ObjectId {
    ObjectId::parse("?").unwrap_or_else(|_| unreachable!("a question mark is an id"))
}

/// Checks size, nesting and numbers of what the objects carry.
pub(super) fn check_limits(spec: &RunSpec, report: &mut Report) {
    let mut checks = Checks::default();
    for (i, object) in spec.objects.iter().enumerate() {
        let place = || spec.source_of(object).entry(object.position);
        let (meta, params, processor) = carried(object);
        let bytes = meta.len() + params.len() + processor.len();
        if bytes > MAX_CARRIED_BYTES {
            checks.push(Section::Object(i), || {
                let problem = format!(
                    "`{}` carries {bytes} bytes of meta, params and processor, a record has room for {MAX_CARRIED_BYTES}",
                    object.id
                );
                let remedy = if object.meta.is_none() && !object.depends_on.is_empty() {
                    "give it a `meta` of its own: without one its record carries the whole entry, with all that it depends on"
                } else {
                    "put the bulk where the worker can read it and its address into `params`"
                };
                Finding::new(FindingKind::TooLarge, place(), problem, remedy)
            });
            continue;
        }
        for (field, text) in [("meta", meta), ("params", params), ("processor", processor)] {
            for finding in json_findings_lazily(place, field, text) {
                checks.push(Section::Object(i), || finding);
            }
        }
    }
    report.add(checks);
}

fn carried(object: &ObjectSpec) -> (&str, &str, &str) {
    let meta = object.meta.as_deref().unwrap_or(&object.entry);
    (meta, object.params.as_deref().unwrap_or_default(), object.processor.as_deref().unwrap_or_default())
}

/// Findings about the JSON text of a field.
pub(super) fn json_findings(place: &str, field: &str, text: &str) -> Vec<Finding> {
    json_findings_lazily(|| place.to_owned(), field, text)
}

fn json_findings_lazily(place: impl Fn() -> String, field: &str, text: &str) -> Vec<Finding> {
    let faults = json_limits::faults(text);
    faults.iter().map(|fault| json_finding(place(), field, fault)).collect()
}

fn json_finding(place: String, field: &str, fault: &Fault<'_>) -> Finding {
    match fault {
        Fault::UnsafeNumber { number, key } => {
            let of = if key.is_empty() { String::new() } else { format!(" (`{key}`)") };
            let problem = format!(
                "the number {number} in `{field}`{of} is beyond {MAX_SAFE_INTEGER}, which not every reader keeps"
            );
            Finding::new(FindingKind::UnsafeNumber, place, problem, "write it as a text")
        }
        Fault::TooDeep => {
            let problem = format!("`{field}` is nested deeper than {MAX_DEPTH} levels");
            Finding::new(FindingKind::TooLarge, place, problem, "")
        }
        Fault::HalfCharacter { escape } => {
            let problem = format!("the escape `{escape}` in `{field}` is half a character");
            Finding::new(FindingKind::Malformed, place, problem, "write both halves, or the character itself")
        }
    }
}
