//! The readers of files. `objets`: the catalogue form; `list`: the plain form; `edges`: edge lists; `input`: what all
//! of them share, from gzip to broken JSON; `properties`: against models that share no code.

mod edges;
mod input;
mod list;
mod objets;
mod properties;

use std::fmt::Write;

use orch_core::catalogue;
use orch_core::finding::Finding;
use orch_core::spec::{ObjectSpec, RunSpec};

/// Reads `input` as the file `f` and compares a summary: `id(parents)` of each object, then warnings; or all findings,
/// one a line, with their kind.
#[track_caller]
fn check(input: impl AsRef<[u8]>, expected: &str) {
    let summary = match catalogue::read("f", input.as_ref()) {
        Ok((spec, warnings)) => {
            let objects: Vec<String> = spec.objects.iter().map(|object| object_text(&spec, object)).collect();
            let mut text = objects.join(" ");
            for warning in &warnings {
                write!(text, "\nwarning: {}", finding_text(warning)).unwrap();
            }
            text
        }
        Err(findings) => findings.iter().map(finding_text).collect::<Vec<_>>().join("\n"),
    };
    assert_eq!(summary, expected);
}

fn object_text(spec: &RunSpec, object: &ObjectSpec) -> String {
    let mut parents: Vec<&str> = object.depends_on.iter().map(String::as_str).collect();
    let is_child = |child: u32| std::ptr::eq(&raw const spec.objects[child as usize], object);
    let resolved = spec.edges.iter().filter(|(_, child)| is_child(*child));
    parents.extend(resolved.map(|(parent, _)| spec.objects[*parent as usize].id.as_str()));
    if parents.is_empty() { object.id.clone() } else { format!("{}({})", object.id, parents.join(" ")) }
}

fn finding_text(finding: &Finding) -> String {
    format!("{} {finding}", finding.kind.reason())
}

fn read(input: &str) -> RunSpec {
    catalogue::read("f", input.as_bytes()).unwrap().0
}
