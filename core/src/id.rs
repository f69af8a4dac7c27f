//! The names of things as types of their own: parsed once at the edge, never mixed up afterwards.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Largest integer that every JSON reader keeps exactly: 2^53 - 1.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Why a text is no valid name. The message says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// An object id is empty, too long, or holds a character that is not allowed.
    #[error("`{0}` is no object id: 1 to 253 printable characters without spaces or commas")]
    Object(String),
    /// A stage name is no DNS label, too long or reserved.
    #[error("`{0}` is no stage name: a DNS label of at most 40 characters, not events, dlq, control or data")]
    Stage(String),
}

/// A text as a message shows it: somebody's whole file may stand where a name should.
fn cut(text: &str) -> String {
    match text.char_indices().nth(ObjectId::MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The id of an object, unique in its run: 1 to 253 printable characters without spaces or commas, such as `2005`
/// or `sales/orders`. It is a key and a text, never part of a topic, label or resource name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(Arc<str>);

impl ObjectId {
    /// Longest id in characters, as the schema of the resources counts them.
    pub const MAX_CHARS: usize = 253;

    /// Checks the rule and keeps the text.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let valid = !text.is_empty()
            && text.chars().nth(Self::MAX_CHARS).is_none()
            && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != ',');
        if valid { Ok(Self(text.into())) } else { Err(InvalidName::Object(cut(text))) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number that this id is, for canonical decimals up to 2^53 - 1: `"7"` is 7, `"007"` and `"x7"` are text.
    pub fn number(&self) -> Option<u64> {
        canonical_number(&self.0)
    }
}

/// See [`ObjectId::number`].
pub fn canonical_number(text: &str) -> Option<u64> {
    let digits = text.as_bytes();
    let canonical = match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    text.parse().ok().filter(|n| *n <= MAX_SAFE_INTEGER)
}

/// The name of a stage: a DNS label of at most 40 characters. `events`, `dlq`, `control` and `data` are topics of
/// every Pipeline and therefore reserved.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageName(Arc<str>);

impl StageName {
    /// Longest name in bytes.
    pub const MAX_BYTES: usize = 40;
    /// Names that a Pipeline's own topics have.
    pub const RESERVED: [&'static str; 4] = ["events", "dlq", "control", "data"];

    /// Checks the rule and keeps the text.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if is_dns_label(text, Self::MAX_BYTES) && !Self::RESERVED.contains(&text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::Stage(cut(text)))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is a DNS label (RFC 1123): lower-case letters, digits and inner dashes, at most `max` bytes.
pub fn is_dns_label(text: &str, max: usize) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= max
        && bytes.iter().all(|b| alphanumeric(*b) || *b == b'-')
        && alphanumeric(bytes[0])
        && alphanumeric(bytes[bytes.len() - 1])
}

/// The uid of a run: the Kubernetes uid of its resource, or one that a local run made.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunUid(Arc<str>);

impl RunUid {
    /// Takes the text as it is: Kubernetes promises no form.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The uid as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_formats {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        /// Lets maps with such keys be asked with a text.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Debug::fmt(&*self.0, f) }
        }
    )*};
}
text_formats!(ObjectId, StageName, RunUid);

/// Position of an object in its run's plan: `spec.objects` first, then each `objectsFrom` entry, then the objects
/// that nobody defined. A `u32`, because a plan is bounded far below four thousand million objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectIx(pub u32);

impl ObjectIx {
    /// For indexing.
    pub fn usize(self) -> usize {
        self.0 as usize
    }
}

/// Position of a stage in its run's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageIx(pub u16);

impl StageIx {
    /// For indexing.
    pub fn usize(self) -> usize {
        self.0 as usize
    }
}

/// The number of an attempt at an object, from 1; 0 stands for "none yet".
pub type Attempt = u32;

/// The term of a leader: raised by each operator that takes over a set of topics.
pub type Epoch = u64;

/// The highest term that a record can name: up to here every reader of JSON has the same number.
pub const MAX_EPOCH: Epoch = (1 << 53) - 1;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_are_printable_without_spaces_or_commas() {
        for good in ["1", "2005", "sales/orders", "dest_x[0]", "été", &"x".repeat(253), &"é".repeat(253)] {
            assert!(ObjectId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a,b", "a\n", "\u{7}", &"x".repeat(254)] {
            assert!(ObjectId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_canonical_decimals_are_numbers() {
        let number = |text: &str| ObjectId::parse(text).ok().and_then(|id| id.number());
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("2005"), Some(2005));
        assert_eq!(number("9007199254740991"), Some(MAX_SAFE_INTEGER));
        for text in ["9007199254740992", "99999999999999999999999", "007", "-1", "1.0", "x1", "+1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn stage_names_are_dns_labels_and_not_reserved() {
        for good in ["a", "ingest", "stage-2", &"s".repeat(40)] {
            assert!(StageName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Ingest", "a.b", "events", "dlq", "control", "data", &"s".repeat(41)] {
            assert!(StageName::parse(bad).is_err(), "{bad}");
        }
    }
}
