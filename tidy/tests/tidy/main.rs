//! Rules that hold for the whole tree. Each test is one rule; what it finds is printed as `file:line: problem; remedy`.

// A failed expectation ends the test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod code;
mod crates;
mod documents;
mod limits;
mod planted;
mod reasons;
mod reliability;

use std::path::Path;

use orch_tidy::{File, Finding, Package, Tree, line_of, packages, report};

pub(crate) fn check(findings: Vec<Finding>) {
    if let Some(text) = report(findings) {
        panic!("{text}");
    }
}

pub(crate) fn line_with(file: &File, text: &str) -> usize {
    file.text.find(text).map_or(1, |at| line_of(&file.text, at))
}

pub(crate) fn all_packages(tree: &Tree) -> Vec<Package> {
    packages(&tree.root).unwrap()
}

/// The path without `.` and `..`.
pub(crate) fn plain(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let text = path.to_string_lossy();
    for part in text.split('/') {
        match part {
            "." | "" => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
