//! The plain form: a JSON array of what `spec.objects` of a `PipelineRun` holds.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::fields::{self, Fields, Whole};
use super::{Read, Room, next_source, simulated_stage};
use crate::duration;
use crate::finding::{Finding, FindingKind, Findings};
use crate::id::{MAX_SAFE_INTEGER, Millis, StageName};
use crate::limits;
use crate::spec::{ObjectSpec, RetryOverride, RunSpec, Source, SourceForm, TimeoutsOverride};

const FIELDS: [&str; 9] =
    ["id", "name", "stage", "dependsOn", "meta", "params", "processor", "retry", "timeouts"];
const RETRY_FIELDS: [&str; 5] = ["maxAttempts", "initialDelay", "factor", "maxDelay", "jitter"];
const TIMEOUT_FIELDS: [&str; 3] = ["queue", "run", "heartbeat"];

/// A run on the stages that the objects name, in the order of their first mention; on one stage `work` when none names
/// any. Objects that override nothing end at once.
pub(super) fn read(name: &str, room: &mut Room, entries: &[&RawValue]) -> Read {
    let mut spec = RunSpec::default();
    append(&mut spec, room, name, entries)?;
    let mut seen = HashSet::new();
    let mentioned = spec.objects.iter().filter_map(|object| object.stage.as_deref());
    let mut names: Vec<&str> = mentioned.filter(|stage| seen.insert(*stage)).collect();
    if names.is_empty() {
        names.push("work");
    }
    spec.stages = names.iter().map(|name| simulated_stage(name, "0s", 64)).collect();
    Ok((spec, Vec::new()))
}

/// Adds the objects of one text (plain or gzip, at most 128 MiB) to a spec: the `Objects` format of `objectsFrom`. The
/// spec is unchanged when anything is wrong.
pub fn append_objects(
    spec: &mut RunSpec,
    room: &mut Room,
    source: &str,
    bytes: &[u8],
) -> Result<(), Vec<Finding>> {
    let text = room.text(source, bytes)?;
    let entries = room.entries(source, &text)?;
    append(spec, room, source, &entries)
}

fn append(
    spec: &mut RunSpec,
    room: &mut Room,
    name: &str,
    entries: &[&RawValue],
) -> Result<(), Vec<Finding>> {
    let source = next_source(spec, name)?;
    let mut findings = Findings::default();
    let mut objects = Vec::with_capacity(entries.len());
    for (position, entry) in (0..).zip(entries) {
        let mut reader = Reader { findings: &mut findings, room, name, position };
        let object = reader.entry(entry);
        if room.is_spent() {
            break;
        }
        objects.push(ObjectSpec { source, position, ..object });
    }
    findings.or(())?;
    spec.objects.append(&mut objects);
    spec.sources.push(Source::new(name, SourceForm::Objects));
    Ok(())
}

/// Reads one entry. A fault gives a finding and an empty value, so that the next fault is found too.
struct Reader<'a> {
    findings: &'a mut Findings,
    room: &'a mut Room,
    name: &'a str,
    position: u32,
}

impl Reader<'_> {
    fn entry(&mut self, entry: &RawValue) -> ObjectSpec {
        let mut object = ObjectSpec { entry: entry.get().to_owned(), ..ObjectSpec::default() };
        let Some(fields) = self.fields("", entry, &FIELDS) else { return object };
        for (field, value) in &fields.0 {
            if fields::is_null(value) {
                continue;
            }
            match &**field {
                "id" => object.id = self.id("id", value),
                "name" => object.name = self.text("name", value),
                "stage" => object.stage = self.stage(value),
                "dependsOn" => object.depends_on = self.depends_on(value),
                "meta" => object.meta = self.json_object("meta", value),
                "params" => object.params = self.json_object("params", value),
                "processor" => object.processor = self.json_object("processor", value),
                "retry" => object.retry = self.retry(value).map(Box::new),
                "timeouts" => object.timeouts = self.timeouts(value).map(Box::new),
                // Reported by `fields` already.
                _ => {}
            }
        }
        if fields.get("id").is_none() {
            self.malformed("", "the entry has no `id`".to_owned(), "");
        }
        object
    }

    /// The fields of an object that knows these names only; unknown and repeated ones are findings.
    fn fields<'t>(&mut self, field: &str, value: &'t RawValue, known: &[&str]) -> Option<Fields<'t>> {
        let fields = match Fields::parse(value) {
            Ok(fields) => fields,
            Err(problem) => {
                self.malformed(field, problem, "");
                return None;
            }
        };
        let below = |key: &str| if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") };
        let mut seen = vec![false; known.len()];
        for (key, _) in &fields.0 {
            let Some(at) = known.iter().position(|name| name == key) else {
                let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
                let remedy = match known.iter().find(|name| plain(name) == plain(key)) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("the fields are {}", known.join(", ")),
                };
                let key = fields::cut(key);
                self.malformed(&below(&key), format!("there is no field `{key}`"), &remedy);
                continue;
            };
            if std::mem::replace(&mut seen[at], true) {
                self.malformed(&below(key), format!("the field `{key}` stands twice"), "");
            }
        }
        Some(fields)
    }

    /// An id as a text or a whole number.
    fn id(&mut self, field: &str, value: &RawValue) -> String {
        if let Some(text) = fields::text(value) {
            return text.into_owned();
        }
        match fields::whole(value.get()) {
            Whole::Id(id) => return id.to_string(),
            Whole::TooLarge => {
                let problem = format!(
                    "the number {} is beyond {MAX_SAFE_INTEGER}, which not every reader keeps",
                    fields::shown(value)
                );
                self.add(FindingKind::UnsafeNumber, field, problem, "write it as a text");
            }
            Whole::No => {
                let problem = format!("an id is a text or a whole number, this is {}", fields::shown(value));
                self.malformed(field, problem, "");
            }
        }
        String::new()
    }

    fn stage(&mut self, value: &RawValue) -> Option<String> {
        let name = self.text("stage", value)?;
        if let Err(error) = StageName::parse(&name) {
            self.add(FindingKind::InvalidName, "stage", error.to_string(), "");
        }
        Some(name)
    }

    fn depends_on(&mut self, value: &RawValue) -> Vec<String> {
        let Ok(items) = fields::items(value, limits::DEPENDENCIES_OF_ONE) else {
            let problem = format!("a list of ids is expected, this is {}", fields::kind(value));
            self.malformed("dependsOn", problem, "");
            return Vec::new();
        };
        let (name, position) = (self.name, self.position);
        let count = items.as_ref().map_or(usize::MAX, Vec::len);
        if let Err(finding) = self.room.dependencies(count, || format!("{name}[{position}].dependsOn")) {
            self.findings.push(|| finding);
            return Vec::new();
        }
        let items = items.unwrap_or_default();
        items.into_iter().enumerate().map(|(nth, item)| self.id(&format!("dependsOn[{nth}]"), item)).collect()
    }

    fn text(&mut self, field: &str, value: &RawValue) -> Option<String> {
        let text = fields::text(value);
        if text.is_none() {
            self.malformed(field, format!("a text is expected, this is {}", fields::shown(value)), "");
        }
        text.map(std::borrow::Cow::into_owned)
    }

    fn json_object(&mut self, field: &str, value: &RawValue) -> Option<String> {
        if value.get().starts_with('{') {
            return Some(value.get().to_owned());
        }
        self.malformed(field, format!("an object is expected, this is {}", fields::kind(value)), "");
        None
    }

    fn retry(&mut self, value: &RawValue) -> Option<RetryOverride> {
        let fields = self.fields("retry", value, &RETRY_FIELDS)?;
        Some(RetryOverride {
            max_attempts: self.count(&fields, "retry.maxAttempts"),
            initial_delay_ms: self.duration(&fields, "retry.initialDelay"),
            factor: self.number(&fields, "retry.factor"),
            max_delay_ms: self.duration(&fields, "retry.maxDelay"),
            jitter: self.number(&fields, "retry.jitter"),
        })
    }

    fn timeouts(&mut self, value: &RawValue) -> Option<TimeoutsOverride> {
        let fields = self.fields("timeouts", value, &TIMEOUT_FIELDS)?;
        Some(TimeoutsOverride {
            queue_ms: self.duration(&fields, "timeouts.queue"),
            run_ms: self.duration(&fields, "timeouts.run"),
            heartbeat_ms: self.duration(&fields, "timeouts.heartbeat"),
        })
    }

    fn count(&mut self, fields: &Fields<'_>, path: &str) -> Option<u32> {
        let value = fields.get(last(path))?;
        if let Whole::Id(count) = fields::whole(value.get())
            && let Ok(count) = u32::try_from(count)
        {
            return Some(count);
        }
        self.malformed(path, format!("a whole number is expected, this is {}", fields::shown(value)), "");
        None
    }

    fn number(&mut self, fields: &Fields<'_>, path: &str) -> Option<f64> {
        let value = fields.get(last(path))?;
        let number = serde_json::from_str(value.get()).ok();
        if number.is_none() {
            self.malformed(path, format!("a number is expected, this is {}", fields::shown(value)), "");
        }
        number
    }

    fn duration(&mut self, fields: &Fields<'_>, path: &str) -> Option<Millis> {
        let value = fields.get(last(path))?;
        let parsed = match fields::text(value) {
            Some(text) => duration::parse(&text).map_err(|error| error.to_string()),
            None => Err(format!("a duration such as 30s is expected, this is {}", fields::shown(value))),
        };
        match parsed {
            Ok(ms) => Some(ms),
            Err(problem) => {
                self.malformed(path, problem, "");
                None
            }
        }
    }

    fn malformed(&mut self, field: &str, problem: String, remedy: &str) {
        self.add(FindingKind::Malformed, field, problem, remedy);
    }

    fn add(&mut self, kind: FindingKind, field: &str, problem: String, remedy: &str) {
        let (name, position) = (self.name, self.position);
        self.findings.push(|| {
            let dot = if field.is_empty() { "" } else { "." };
            Finding::new(kind, format!("{name}[{position}]{dot}{field}"), problem, remedy)
        });
    }
}

/// `queue` of `timeouts.queue`.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
