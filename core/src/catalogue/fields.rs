//! JSON one level deep: the entries of an array, the fields of an entry. Values stay text, byte for byte, until
//! somebody asks what they are.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::finding::{Finding, FindingKind};
use crate::id::MAX_SAFE_INTEGER;
use crate::{grouped, limits};

/// The entries of a JSON array, or where its text is broken. `None` when there are more than `max`: of those beyond
/// none is kept.
pub(super) fn array<'t>(
    name: &str,
    text: &'t str,
    max: usize,
) -> Result<Option<Vec<&'t RawValue>>, Vec<Finding>> {
    at_most(text, max).map_err(|error| {
        if error.is_data() {
            let problem = "a JSON array of objects is expected, this is something else";
            return vec![Finding::new(
                FindingKind::Malformed,
                name,
                problem,
                "put the objects between [ and ]",
            )];
        }
        let place = format!("{name} line {} column {}", error.line(), error.column());
        let problem = format!("the JSON is broken here: {}", cause(&error));
        vec![Finding::new(FindingKind::Malformed, place, problem, "")]
    })
}

/// The values of a JSON array; `None` when there are more than `max`.
pub(super) fn items(value: &RawValue, max: usize) -> serde_json::Result<Option<Vec<&RawValue>>> {
    at_most(value.get(), max)
}

fn at_most(text: &str, max: usize) -> serde_json::Result<Option<Vec<&RawValue>>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let entries = json.deserialize_seq(AtMost(max))?;
    json.end().map(|()| entries)
}

/// Reads so many entries.
struct AtMost(usize);

impl<'de> Visitor<'de> for AtMost {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < self.0
            && let Some(entry) = seq.next_element()?
        {
            entries.push(entry);
        }
        let mut more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok((!more).then_some(entries))
    }
}

/// The message without the position that `serde_json` appends to it.
fn cause(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

/// The fields of one JSON object in their order, repeats included.
#[derive(Debug)]
pub(super) struct Fields<'t>(pub(super) Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'t> Fields<'t> {
    /// The fields, or what the entry is instead of an object.
    pub(super) fn parse(entry: &'t RawValue) -> Result<Self, String> {
        if !entry.get().starts_with('{') {
            return Err(format!("an object is expected, this is {}", kind(entry)));
        }
        serde_json::from_str(entry.get()).map_err(|error| cause(&error))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The value of a field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'t RawValue> {
        self.0.iter().find(|(key, value)| key == name && !is_null(value)).map(|(_, value)| *value)
    }

    /// Whether the field stands more than once, so that readers would take different values.
    pub(super) fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|(key, _)| key == name).count() > 1
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(key)) = map.next_key()? {
                    if fields.len() == limits::FIELDS {
                        let most = grouped(limits::FIELDS);
                        return Err(A::Error::custom(format_args!("the entry has more than {most} fields")));
                    }
                    fields.push((key, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A JSON text, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

/// The value as a text, if it is one.
pub(super) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(value.get()).ok().map(|Text(text)| text)
}

pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// What kind of value it is, for a message.
pub(super) fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The value as a message shows it: cut when it is long.
pub(super) fn shown(value: &RawValue) -> Cow<'_, str> {
    cut(value.get())
}

/// A text as a message shows it.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A JSON number or digits, as an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// From 0 to 2^53 - 1.
    Id(u64),
    /// Beyond that.
    TooLarge,
    /// Negative, a fraction, or no number at all.
    No,
}

/// Reads a number by its value: `2005` and `2005.0` are the same.
pub(super) fn whole(number: &str) -> Whole {
    let (digits, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_whole = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b == b'0');
    match digits.parse::<u64>() {
        _ if !is_whole => Whole::No,
        Ok(id) if id <= MAX_SAFE_INTEGER => Whole::Id(id),
        _ => Whole::TooLarge,
    }
}
