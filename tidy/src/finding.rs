//! What a rule found, as a person reads it.

use std::fmt::{self, Write as _};

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// File, from the root of the tree.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding from its four parts.
    pub fn new(path: &str, line: usize, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.problem, self.remedy)
    }
}

/// All findings, one a line in the order of the files; `None` when there are none.
pub fn report(mut findings: Vec<Finding>) -> Option<String> {
    findings.sort();
    findings.dedup();
    if findings.is_empty() {
        return None;
    }
    let mut text = format!("{} found:\n", findings.len());
    for finding in &findings {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{finding}");
    }
    Some(text)
}
