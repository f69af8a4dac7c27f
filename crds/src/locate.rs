//! Finds the line of a path in a text: the text is read along the path, and refused where it ends, because only the
//! errors of its readers say where they are.

use std::fmt::{self, Write as _};

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into the field of an object.
    Field(String),
    /// Into the item of a list.
    Item(usize),
}

impl Step {
    /// The path as people write it: `spec.stages[0].retry`.
    pub(crate) fn dotted(path: &[Self]) -> String {
        let mut text = String::new();
        for step in path {
            // Into a String: cannot fail.
            let _ = match step {
                Self::Item(index) => write!(text, "[{index}]"),
                Self::Field(name) if text.is_empty() => write!(text, "{name}"),
                Self::Field(name) => write!(text, ".{name}"),
            };
        }
        text
    }
}

/// An error that may know where in the text it happened.
pub(crate) trait Located: de::Error {
    /// Line and column, from 1.
    fn at(&self) -> Option<(usize, usize)>;
}

impl Located for serde_json::Error {
    fn at(&self) -> Option<(usize, usize)> {
        (self.line() > 0).then(|| (self.line(), self.column()))
    }
}

impl Located for serde_yaml::Error {
    fn at(&self) -> Option<(usize, usize)> {
        self.location().map(|location| (location.line(), location.column()))
    }
}

/// Line and column of what is at the path, if it is there.
pub(crate) fn locate<'de, D>(text: D, path: &[Step]) -> Option<(usize, usize)>
where
    D: Deserializer<'de>,
    D::Error: Located,
{
    Along(path).deserialize(text).err()?.at()
}

/// The rest of a path. Reading it is an error where the path ends, and nowhere else.
struct Along<'p>(&'p [Step]);

impl Along<'_> {
    fn end<E: de::Error>(&self) -> Result<(), E> {
        if self.0.is_empty() { Err(E::custom("here")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Along<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Along<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.end()?;
        while let Some(key) = map.next_key::<String>()? {
            match self.0 {
                [Step::Field(name), rest @ ..] if *name == key => return map.next_value_seed(Along(rest)),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.end()?;
        let [Step::Item(index), rest @ ..] = self.0 else { return Ok(()) };
        for _ in 0..*index {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        list.next_element_seed(Along(rest)).map(drop)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.end()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.end()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.end()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.end()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.end()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.end()
    }
}
