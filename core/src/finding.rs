//! What is wrong with an input: every fault at once, each with its place and its remedy.

use std::fmt;

use crate::{are, counted};

/// Where something was found, as a person would say it: `spec.objects[3].dependsOn`, `Objets.json[12].IdObjet_Parent`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of a finding: a bounded set, fit for a metric label or a condition's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// The entry is not what the format asks for.
    Malformed,
    /// An id or stage name breaks its rule.
    InvalidName,
    /// Two entries define the same object.
    Duplicate,
    /// A dependency that no entry defines.
    UnknownDependency,
    /// Objects that wait for each other.
    Cycle,
    /// No stage takes this object.
    NoRoute,
    /// A target that does not exist, or that no object reaches.
    UnknownTarget,
    /// A number that JSON readers do not keep exactly.
    UnsafeNumber,
    /// A limit of the system is passed.
    TooLarge,
    /// The record's `Zone` and the range of its id name different stages: a warning.
    ZoneConflict,
    /// The record is not active and was left out: a warning.
    Inactive,
    /// There are more findings than are listed.
    More,
}

impl FindingKind {
    /// The kind in CamelCase, as a Kubernetes condition's reason wants it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "Malformed",
            Self::InvalidName => "InvalidName",
            Self::Duplicate => "Duplicate",
            Self::UnknownDependency => "UnknownDependency",
            Self::Cycle => "Cycle",
            Self::NoRoute => "NoRoute",
            Self::UnknownTarget => "UnknownTarget",
            Self::UnsafeNumber => "UnsafeNumber",
            Self::TooLarge => "TooLarge",
            Self::ZoneConflict => "ZoneConflict",
            Self::Inactive => "Inactive",
            Self::More => "More",
        }
    }
}

/// One fault of an input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What kind of fault.
    pub kind: FindingKind,
    /// Where it stands.
    pub place: Place,
    /// What is wrong, naming the thing.
    pub problem: String,
    /// What to do about it; empty when the problem says it already.
    pub remedy: String,
}

impl Finding {
    /// A finding from its four parts.
    pub fn new(
        kind: FindingKind,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { kind, place: Place(cut(place.into())), problem: cut(problem.into()), remedy: remedy.into() }
    }
}

/// Longest place and longest problem, in characters: somebody's whole file may stand where a name should.
const LONGEST: usize = 4_096;

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Findings of one source or check: keeps the first [`Findings::LISTED`] and counts the rest, so that a wholly broken
/// input of a million entries costs no memory.
#[derive(Debug, Default)]
pub struct Findings {
    listed: Vec<Finding>,
    more: usize,
}

impl Findings {
    /// How many are listed at most.
    pub const LISTED: usize = 1_000;

    /// Adds a finding; its text is made only when it is listed.
    pub fn push(&mut self, finding: impl FnOnce() -> Finding) {
        if self.listed.len() < Self::LISTED {
            self.listed.push(finding());
        } else {
            self.more += 1;
        }
    }

    /// Counts findings that another list has left out already.
    pub fn add_unlisted(&mut self, more: usize) {
        self.more += more;
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The findings; a last one says how many more there are.
    pub fn into_vec(self) -> Vec<Finding> {
        let mut listed = self.listed;
        if self.more > 0 {
            let place = listed.last().map_or_else(String::new, |last| last.place.0.clone());
            listed.push(Finding::new(
                FindingKind::More,
                place,
                format!("{} {} not listed", counted(self.more, "more finding"), are(self.more)),
                "correct these first",
            ));
        }
        listed
    }

    /// The findings as an error, or `value` when there are none.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Finding>> {
        if self.is_empty() { Ok(value) } else { Err(self.into_vec()) }
    }
}
