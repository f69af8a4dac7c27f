//! Reads the tree, so that the rules in `tests/tidy` can judge it: files, Rust sources and Cargo's manifests.
//!
//! It knows of Rust only what a rule needs: where comments and texts are, where a function begins and ends, and which
//! files a module names. A file that rustc accepts is read well enough; nothing is parsed that need not be.

mod finding;
mod manifest;
mod source;
mod tree;

pub use finding::{Finding, report};
pub use manifest::{Dependency, DependencyKind, Package, packages};
pub use source::{Function, Source, words};
pub use tree::{File, Tree, line_of};
