//! Reads a value as strictly as `kubectl apply` does, and says everything that is wrong with it: fields that nobody
//! knows and values that do not fit, each with its place.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_ignored::Path;
use serde_json::Value;
use serde_path_to_error::{Segment, Track};

use crate::locate::{Located, Step, locate};

/// Values that do not fit and are looked for in one text: each is another pass over it.
const MISFITS: usize = 20;

/// A text that holds one value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text<'t> {
    /// JSON.
    Json(&'t str),
    /// One YAML document.
    Yaml(&'t str),
}

/// What becomes of the field `status` of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusField {
    /// Whatever it holds: who runs the resource makes one of its own.
    Ignored,
    /// It is read. Fields in it that nobody knows here are of another version, and left out.
    Read,
}

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    path: Vec<Step>,
    /// What is wrong.
    pub(crate) problem: String,
    /// Line and column in the text of the value, from 1, where they are known.
    pub(crate) at: Option<(usize, usize)>,
}

impl Fault {
    /// A fault of the value as a whole.
    pub(crate) fn of_all(error: &impl Located) -> Self {
        Self::new(Vec::new(), error)
    }

    fn new(path: Vec<Step>, error: &impl Located) -> Self {
        let text = error.to_string();
        let at = error.at();
        // Line and column are told apart from the text, and serde_yaml's own path is the path that we have.
        let problem = match at {
            Some((line, column)) => text.replacen(&format!(" at line {line} column {column}"), "", 1),
            None => text,
        };
        let dotted = Step::dotted(&path);
        let problem = problem.strip_prefix(&format!("{dotted}: ")).unwrap_or(&problem);
        let problem = problem.strip_prefix(".: ").unwrap_or(problem);
        Self { path, problem: plain(problem), at }
    }

    /// Where in the value it is: `spec.stages[0].retry`; empty for the value itself.
    pub(crate) fn path(&self) -> String {
        Step::dotted(&self.path)
    }

    /// The fault's place in a value that has this place itself.
    pub(crate) fn place(&self, of_value: &str) -> String {
        match self.path().as_str() {
            "" => of_value.to_owned(),
            path if path.starts_with('[') => format!("{of_value}{path}"),
            path => format!("{of_value}.{path}"),
        }
    }

    fn is_of_status(&self) -> bool {
        self.path.first() == Some(&Step::Field("status".to_owned()))
    }
}

impl Text<'_> {
    /// The value, or everything that is wrong with it.
    pub(crate) fn strict<T: DeserializeOwned>(self) -> Result<T, Vec<Fault>> {
        self.first_look().map_err(|first| self.every_fault::<T>(first, |_| false))
    }

    /// The same for a resource with a status.
    pub(crate) fn resource<T: DeserializeOwned>(self, status: StatusField) -> Result<T, Vec<Fault>> {
        let first = match self.first_look() {
            Ok(resource) => return Ok(resource),
            Err(first) => first,
        };
        let forgiven = |fault: &Fault| {
            fault.is_of_status() && (status == StatusField::Ignored || fault.problem == UNKNOWN_FIELD)
        };
        let faults = self.every_fault::<T>(first, forgiven);
        if !faults.is_empty() {
            return Err(faults);
        }
        // What was forgiven is left out, whole or field by field.
        let mut value = self.value().map_err(|fault| vec![fault])?;
        if status == StatusField::Ignored
            && let Some(fields) = value.as_object_mut()
        {
            fields.remove("status");
        }
        T::deserialize(value).map_err(|error| vec![Fault::of_all(&error)])
    }

    /// One pass, which nearly every text survives; else the first thing that is wrong.
    fn first_look<T: DeserializeOwned>(self) -> Result<T, Fault> {
        match self {
            Self::Json(text) => once(&mut serde_json::Deserializer::from_str(text)),
            // Only this reading knows the lines, but it takes the number 2005 for the text "2005", which the API server
            // does not: so there is another one.
            Self::Yaml(text) => {
                once::<T, _>(serde_yaml::Deserializer::from_str(text)).and_then(|_| once(self.value()?))
            }
        }
    }

    fn value(self) -> Result<Value, Fault> {
        match self {
            Self::Json(text) => serde_json::from_str(text).map_err(|error| Fault::of_all(&error)),
            Self::Yaml(text) => serde_yaml::from_str(text).map_err(|error| Fault::of_all(&error)),
        }
    }

    /// Everything that is wrong but for what is forgiven, in the order of the text.
    fn every_fault<T: DeserializeOwned>(self, first: Fault, forgiven: impl Fn(&Fault) -> bool) -> Vec<Fault> {
        // What is not even JSON or YAML has one fault.
        let Ok(value) = self.value() else { return vec![first] };
        let mut faults = misfits::<T>(value);
        // A field that is there twice is seen in the text alone.
        if !faults.iter().any(|fault| fault.path == first.path) {
            faults.push(first);
        }
        faults.retain(|fault| !forgiven(fault));
        for fault in faults.iter_mut().filter(|fault| fault.at.is_none()) {
            fault.at = match self {
                Self::Json(text) => locate(&mut serde_json::Deserializer::from_str(text), &fault.path),
                Self::Yaml(text) => locate(serde_yaml::Deserializer::from_str(text), &fault.path),
            };
        }
        faults.sort_by_key(|fault| fault.at);
        faults
    }
}

/// What does not fit and what would, in words of YAML and JSON instead of Rust's.
fn plain(problem: &str) -> String {
    let Some((found, wanted)) = problem.rsplit_once(", expected ") else { return problem.to_owned() };
    let found = match found {
        "invalid type: sequence" => "invalid type: list",
        "invalid type: map" => "invalid type: object",
        "invalid type: unit value" | "invalid type: null" => "invalid type: nothing",
        other => other,
    };
    let wanted = match wanted {
        "a sequence" => "a list",
        "a map" => "an object",
        "u8" | "u16" | "u32" | "u64" => "a whole number from 0 on",
        "i32" | "i64" => "a whole number",
        "f64" => "a number",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{found}, expected {wanted}")
}

const UNKNOWN_FIELD: &str = "nobody knows this field";

/// One pass: the value, or the first thing that is wrong.
fn once<'de, T, D>(deserializer: D) -> Result<T, Fault>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
    D::Error: Located,
{
    let (result, unknown) = pass(deserializer);
    match unknown.into_iter().next() {
        Some(path) if result.is_ok() => Err(Fault { path, problem: UNKNOWN_FIELD.to_owned(), at: None }),
        _ => result,
    }
}

/// One pass: the value or what does not fit, and the fields that nobody knows as far as it came.
fn pass<'de, T, D>(deserializer: D) -> (Result<T, Fault>, Vec<Vec<Step>>)
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
    D::Error: Located,
{
    let mut track = Track::new();
    let mut unknown = Vec::new();
    let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    let result = serde_ignored::deserialize(tracked, |path| unknown.push(steps(&path)));
    // Every resource has these two; the types have them in their name.
    unknown.retain(
        |path| !matches!(path.as_slice(), [Step::Field(name)] if name == "apiVersion" || name == "kind"),
    );
    let result = result.map_err(|error| {
        let step = |segment: &Segment| match segment {
            Segment::Seq { index } => Some(Step::Item(*index)),
            Segment::Map { key } => Some(Step::Field(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        Fault::new(track.path().iter().filter_map(step).collect(), &error)
    });
    (result, unknown)
}

/// Takes out what does not fit, one after the other, until the rest fits.
fn misfits<T: DeserializeOwned>(mut value: Value) -> Vec<Fault> {
    let unknown = |path| Fault { path, problem: UNKNOWN_FIELD.to_owned(), at: None };
    let mut faults: Vec<Fault> = Vec::new();
    let mut taken: Vec<Vec<Step>> = Vec::new();
    while faults.len() < MISFITS {
        let (result, fields) = pass::<T, _>(&value);
        let Err(misfit) = result else {
            faults.extend(fields.into_iter().map(|path| unknown(original(path, &taken))));
            break;
        };
        // What goes with the misfit is not seen again.
        let lost = fields.into_iter().filter(|path| path.starts_with(&misfit.path));
        faults.extend(lost.map(|path| unknown(original(path, &taken))));
        let path = original(misfit.path.clone(), &taken);
        // A field that was taken out is missing now.
        let is_ours = taken.iter().any(|taken| match taken.split_last() {
            Some((Step::Field(field), parent)) => {
                parent == path && misfit.problem == format!("missing field `{field}`")
            }
            _ => false,
        });
        if !is_ours {
            faults.push(Fault { path: path.clone(), ..misfit.clone() });
        }
        if !take_out(&mut value, &misfit.path) {
            break;
        }
        taken.push(path);
    }
    faults
}

/// Removes what is at the path. `false` for the value itself.
fn take_out(value: &mut Value, path: &[Step]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let parent = parents.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name.as_str()),
        Step::Item(index) => value.get_mut(index),
    });
    match (parent, last) {
        (Some(Value::Object(fields)), Step::Field(name)) => fields.remove(name).is_some(),
        (Some(Value::Array(items)), Step::Item(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

/// The path in the text of a path in a value that lacks what was taken out: items behind it have moved up.
fn original(mut path: Vec<Step>, taken: &[Vec<Step>]) -> Vec<Step> {
    for depth in 0..path.len() {
        let Step::Item(mut index) = path[depth] else { continue };
        let mut before: Vec<usize> = taken
            .iter()
            .filter(|taken| taken.len() == depth + 1 && taken[..depth] == path[..depth])
            .filter_map(|taken| if let Step::Item(index) = taken[depth] { Some(index) } else { None })
            .collect();
        before.sort_unstable();
        for taken in before {
            index += usize::from(taken <= index);
        }
        path[depth] = Step::Item(index);
    }
    path
}

fn steps(path: &Path<'_>) -> Vec<Step> {
    match path {
        Path::Root => Vec::new(),
        Path::Seq { parent, index } => [steps(parent), vec![Step::Item(*index)]].concat(),
        Path::Map { parent, key } => [steps(parent), vec![Step::Field(key.clone())]].concat(),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            steps(parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        #[serde(default)]
        count: u32,
        #[serde(default)]
        items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        id: String,
        #[serde(default)]
        size: u32,
    }

    #[track_caller]
    fn check(yaml: &str, expected: &[&str]) {
        let said = |text: Text<'_>| {
            let faults = text.strict::<Outer>().unwrap_err();
            let said = faults.iter().map(|fault| {
                let line = fault.at.map_or_else(|| "-".to_owned(), |(line, _)| line.to_string());
                format!("{line} {}: {}", fault.path(), fault.problem)
            });
            said.collect::<Vec<_>>()
        };
        assert_eq!(said(Text::Yaml(yaml)), expected, "{yaml}");
    }

    #[test]
    fn everything_that_is_wrong_is_found_with_its_line() {
        check(
            "name: 7\ncount: many\nitems:\n- {id: a, size: big}\n- {id: 5, sise: 1}\n- {id: c}\n- 9\nextra: 1\n",
            &[
                "1 name: invalid type: integer `7`, expected a string",
                "2 count: invalid type: string \"many\", expected a whole number from 0 on",
                "4 items[0].size: invalid type: string \"big\", expected a whole number from 0 on",
                "5 items[1].id: invalid type: integer `5`, expected a string",
                "5 items[1].sise: nobody knows this field",
                "7 items[3]: invalid type: integer `9`, expected an object",
                "8 extra: nobody knows this field",
            ],
        );
    }

    #[test]
    fn what_is_missing_is_said_once_and_where() {
        check(
            "items:\n- {idd: a}\n- {id: b}\n- {size: x}\n",
            &[
                "1 : missing field `name`",
                "2 items[0]: missing field `id`",
                "2 items[0].idd: nobody knows this field",
                "4 items[2]: missing field `id`",
                "4 items[2].size: invalid type: string \"x\", expected a whole number from 0 on",
            ],
        );
    }

    #[test]
    fn a_field_that_is_there_twice_is_found_beside_others() {
        check(
            "name: a\nname: b\ncount: x\n",
            &[
                "1 : duplicate field `name`",
                "3 count: invalid type: string \"x\", expected a whole number from 0 on",
            ],
        );
    }

    #[test]
    fn a_text_with_a_thousand_faults_is_not_read_a_thousand_times() {
        let items: Vec<String> = (0..1_000).map(|n| format!("{{\"id\": {n}}}")).collect();
        let text = format!("{{\"name\": \"a\", \"items\": [{}]}}", items.join(","));
        assert_eq!(Text::Json(&text).strict::<Outer>().unwrap_err().len(), MISFITS);
    }
}
