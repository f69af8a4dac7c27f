//! The catalogue of the original system: `Objets.json`, an array of flat records of 37 fields. Five of them matter
//! here; the record as a whole, byte for byte, is what a worker gets as `meta`.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use super::fields::{self, Fields, Whole};
use super::{Read, Room, next_source, simulated_stage};
use crate::finding::{Finding, FindingKind, Findings};
use crate::id::MAX_SAFE_INTEGER;
use crate::limits;
use crate::spec::{ObjectSpec, RunSpec, Source, SourceForm, StageSpec, Targets};

/// Stage, first and last id, the `Zone` that means the same, and how long its simulated work takes.
const STAGES: [(&str, (u64, u64), &str, &str); 3] = [
    ("ingest", (1000, 1999), "1-Raw", "500ms"),
    ("standardize", (2000, 2999), "2-Standardized", "600ms"),
    ("application", (3000, MAX_SAFE_INTEGER), "3-Application", "800ms"),
];

/// The fields that are read. All others are carried in `meta` and never looked at: `id`, `IdDataset` and the lookup ids
/// look like keys and are none.
const ID: &str = "IdObjet";
const PARENTS: &str = "IdObjet_Parent";
const NAME: &str = "NomObjet";
const STATE: &str = "EtatObjet";
const ZONE: &str = "Zone";

/// The state of a record that takes part.
const ACTIVE: &str = "actif";

/// A run of three stages whose targets are the application objects.
pub(super) fn read(name: &str, room: &mut Room, entries: &[&RawValue]) -> Read {
    let mut spec = RunSpec {
        stages: STAGES.iter().map(|(name, range, _, duration)| stage(name, *range, duration)).collect(),
        targets: Targets::Stage("application".to_owned()),
        ..RunSpec::default()
    };
    let warnings = append(&mut spec, room, name, entries)?;
    Ok((spec, warnings))
}

fn stage(name: &str, range: (u64, u64), duration: &str) -> StageSpec {
    StageSpec { id_range: Some(range), ..simulated_stage(name, duration, 8) }
}

/// Adds the records of one text (plain or gzip, at most 128 MiB) to a spec, and gives the warnings: the `Catalogue`
/// format of `objectsFrom`. The stages are those of the spec.
pub fn append_catalogue(
    spec: &mut RunSpec,
    room: &mut Room,
    source: &str,
    bytes: &[u8],
) -> Result<Vec<Finding>, Vec<Finding>> {
    let text = room.text(source, bytes)?;
    let entries = room.entries(source, &text)?;
    append(spec, room, source, &entries)
}

fn append(
    spec: &mut RunSpec,
    room: &mut Room,
    name: &str,
    entries: &[&RawValue],
) -> Result<Vec<Finding>, Vec<Finding>> {
    let source = next_source(spec, name)?;
    let mut reader =
        Reader { findings: Findings::default(), warnings: Findings::default(), room, place: String::new() };
    let mut objects = Vec::with_capacity(entries.len());
    for (position, entry) in (0..).zip(entries) {
        reader.place = format!("{name}[{position}]");
        if let Some(object) = reader.record(entry) {
            objects.push(ObjectSpec { source, position, ..object });
        }
        if reader.room.is_spent() {
            break;
        }
    }
    reader.findings.or(())?;
    spec.objects.append(&mut objects);
    spec.sources.push(Source::new(name, SourceForm::Catalogue));
    Ok(reader.warnings.into_vec())
}

/// A set that keeps the order of first mention.
#[derive(Default)]
struct Parents {
    list: Vec<String>,
    seen: HashSet<u64>,
}

impl Parents {
    /// One more than an object may have shows that there are too many.
    fn add(&mut self, id: u64) {
        if self.list.len() <= limits::DEPENDENCIES_OF_ONE && self.seen.insert(id) {
            self.list.push(id.to_string());
        }
    }
}

struct Reader<'r> {
    findings: Findings,
    warnings: Findings,
    room: &'r mut Room,
    /// Of the record that is being read.
    place: String,
}

impl Reader<'_> {
    /// The object of a record; `None` when it is left out or broken.
    fn record(&mut self, entry: &RawValue) -> Option<ObjectSpec> {
        let fields = match Fields::parse(entry) {
            Ok(fields) => fields,
            Err(problem) => {
                self.findings.push(|| Finding::new(FindingKind::Malformed, self.place.as_str(), problem, ""));
                return None;
            }
        };
        let id = self.id(&fields);
        let label = id.map_or_else(|| "the record".to_owned(), |id| format!("`{id}`"));
        for field in [ID, PARENTS, NAME, STATE, ZONE] {
            if fields.is_repeated(field) {
                self.malformed(field, format!("{label} has the field `{field}` more than once"), "");
            }
        }
        let depends_on = self.parents(&fields, &label);
        let name = self.text(&fields, NAME, &label);
        let state = self.text(&fields, STATE, &label);
        let zone = self.text(&fields, ZONE, &label);
        let id = id?;
        if let Some(state) = state.filter(|state| !state.trim().eq_ignore_ascii_case(ACTIVE)) {
            self.warn(
                FindingKind::Inactive,
                STATE,
                format!("{label} is `{state}`, not `{ACTIVE}`: it is left out, as if nobody defined it"),
            );
            return None;
        }
        self.compare_zone(id, zone.as_deref());
        Some(ObjectSpec {
            id: id.to_string(),
            name: name.map(Cow::into_owned),
            depends_on,
            entry: entry.get().to_owned(),
            ..ObjectSpec::default()
        })
    }

    fn id(&mut self, fields: &Fields<'_>) -> Option<u64> {
        let Some(value) = fields.get(ID) else {
            self.malformed(ID, format!("the record has no `{ID}`"), "");
            return None;
        };
        match fields::whole(value.get()) {
            Whole::Id(id) => return Some(id),
            Whole::TooLarge => self.too_large(ID, value.get()),
            Whole::No => {
                let problem = format!("`{ID}` is {}, a whole number is expected", fields::shown(value));
                self.malformed(ID, problem, "");
            }
        }
        None
    }

    /// The set of parents in the order of their first mention.
    fn parents(&mut self, fields: &Fields<'_>, label: &str) -> Vec<String> {
        let Some(value) = fields.get(PARENTS) else { return Vec::new() };
        let mut ids = Parents::default();
        match value.get().as_bytes()[0] {
            b'"' => self.tokens(value, label, &mut ids),
            b'[' => match fields::items(value, limits::DEPENDENCIES_OF_ONE) {
                Ok(Some(items)) => {
                    for item in items.into_iter().filter(|item| !fields::is_null(item)) {
                        self.parent(item, label, &mut ids);
                    }
                }
                Ok(None) => {
                    let place = format!("{}.{PARENTS}", self.place);
                    self.findings.push(|| limits::too_many_dependencies(place));
                }
                Err(error) => self.malformed(PARENTS, format!("{label}: {error}"), ""),
            },
            _ => self.parent(value, label, &mut ids),
        }
        let place = || format!("{}.{PARENTS}", self.place);
        if let Err(finding) = self.room.dependencies(ids.list.len(), place) {
            self.findings.push(|| finding);
        }
        ids.list
    }

    /// A number, or a text that lists some.
    fn parent(&mut self, value: &RawValue, label: &str, ids: &mut Parents) {
        match value.get().as_bytes()[0] {
            b'"' => self.tokens(value, label, ids),
            b'-' | b'0'..=b'9' => self.token(value.get(), fields::whole(value.get()), label, ids),
            _ => self.token(&fields::shown(value), Whole::No, label, ids),
        }
    }

    fn tokens(&mut self, value: &RawValue, label: &str, ids: &mut Parents) {
        let Some(list) = fields::text(value) else {
            let problem = format!("{label}: {} is no valid text", fields::shown(value));
            return self.malformed(PARENTS, problem, "");
        };
        for token in list.split([',', ';']).map(str::trim).filter(|token| !token.is_empty()) {
            // In a text a point is junk: `2005.0` there is no number that somebody's program wrote.
            let number = if token.contains('.') { Whole::No } else { fields::whole(token) };
            self.token(token, number, label, ids);
        }
    }

    fn token(&mut self, token: &str, number: Whole, label: &str, ids: &mut Parents) {
        match number {
            Whole::Id(id) => ids.add(id),
            Whole::TooLarge => self.too_large(PARENTS, token),
            Whole::No => {
                let problem =
                    format!("{label} has `{}` among its parents, which is no id", fields::cut(token));
                self.malformed(PARENTS, problem, "write ids as whole numbers, separated by commas");
            }
        }
    }

    fn text<'t>(&mut self, fields: &Fields<'t>, field: &str, label: &str) -> Option<Cow<'t, str>> {
        let value = fields.get(field)?;
        let text = fields::text(value);
        if text.is_none() {
            let problem =
                format!("`{field}` of {label} is {}, a text or null is expected", fields::shown(value));
            self.malformed(field, problem, "");
        }
        text
    }

    /// The id decides the stage; a zone that says something else is worth a word.
    fn compare_zone(&mut self, id: u64, zone: Option<&str>) {
        let by_id = STAGES.iter().find(|(_, (from, to), _, _)| (*from..=*to).contains(&id));
        let by_zone = STAGES.iter().find(|(_, _, name, _)| Some(*name) == zone.map(str::trim));
        if let (Some((stage, ..)), Some((other, _, zone, _))) = (by_id, by_zone)
            && stage != other
        {
            let problem = format!(
                "`{id}` is in `{stage}` by its id and in `{other}` by its zone `{zone}`; the id decides"
            );
            self.warn(FindingKind::ZoneConflict, ZONE, problem);
        }
    }

    fn malformed(&mut self, field: &str, problem: String, remedy: &str) {
        self.add(FindingKind::Malformed, field, problem, remedy);
    }

    fn too_large(&mut self, field: &str, number: &str) {
        let problem = format!(
            "`{}` is beyond {MAX_SAFE_INTEGER}, which not every reader of JSON keeps",
            fields::cut(number)
        );
        self.add(FindingKind::UnsafeNumber, field, problem, "");
    }

    fn add(&mut self, kind: FindingKind, field: &str, problem: String, remedy: &str) {
        self.findings.push(|| Finding::new(kind, format!("{}.{field}", self.place), problem, remedy));
    }

    fn warn(&mut self, kind: FindingKind, field: &str, problem: String) {
        self.warnings.push(|| Finding::new(kind, format!("{}.{field}", self.place), problem, ""));
    }
}
