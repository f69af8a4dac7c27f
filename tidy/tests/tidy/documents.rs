//! What documents and generated files say is so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use orch_tidy::{Finding, Tree, line_of};

use crate::{check, plain};

#[test]
fn no_file_names_a_path_of_one_machine() {
    let tree = Tree::read();
    // The folders that people's own folders are in, and those that are somebody's own. Without their slashes, so that
    // this file is no finding.
    let (of_people, own) = (["home", "Users"], ["root", "work"]);
    let mut findings = Vec::new();
    for file in &tree.files {
        for name in of_people.iter().chain(&own) {
            let folder = format!("/{name}/");
            for (at, _) in file.text.match_indices(&folder) {
                let rest = &file.text[at + folder.len()..];
                let first = rest
                    .split(|c: char| !(c.is_alphanumeric() || "._-".contains(c)))
                    .next()
                    .unwrap_or_default();
                let is_whole = own.contains(name) || rest[first.len()..].starts_with('/');
                // In the middle of a path or an address it is another thing.
                let before = file.text[..at].chars().next_back();
                let begins = !before.is_some_and(|c| c.is_alphanumeric() || "._-/}".contains(c));
                if begins && is_whole && !first.is_empty() {
                    let problem = format!("an absolute path, `{folder}{first}`");
                    let remedy = "use a path from the root of the tree, $HOME, or a temporary folder";
                    findings.push(Finding::new(&file.path, line_of(&file.text, at), problem, remedy));
                }
            }
        }
    }
    check(findings);
}

#[test]
fn generated_copies_are_equal() {
    const MADE: &str = "crds/yaml/";
    const COPY: &str = "charts/kafka-orchestrator-crds/files/";
    let tree = Tree::read();
    let below = |folder: &str| -> BTreeMap<String, String> {
        let files = tree.files.iter().filter_map(|file| Some((file.path.strip_prefix(folder)?, &file.text)));
        files.map(|(name, text)| (name.to_owned(), text.clone())).collect()
    };
    let (made, copies) = (below(MADE), below(COPY));
    assert!(!made.is_empty(), "{MADE} is empty: run `make generate`");
    let names: BTreeSet<&String> = made.keys().chain(copies.keys()).collect();
    let differs = names.into_iter().filter(|name| made.get(*name) != copies.get(*name));
    check(
        differs
            .map(|name| {
                Finding::new(
                    &format!("{COPY}{name}"),
                    1,
                    format!("differs from {MADE}{name}"),
                    "run `make generate`",
                )
            })
            .collect(),
    );
}

#[test]
fn documents_name_what_is_there() {
    let tree = Tree::read();
    let makefile = tree.file("Makefile").unwrap();
    let targets: BTreeSet<&str> =
        makefile.text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    let mut findings = Vec::new();
    for file in &tree.files {
        let line = |at: usize| line_of(&file.text, at);
        for (at, mark) in file.text.match_indices("`make ") {
            let name: String = file.text[at + mark.len()..]
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
                .collect();
            if !name.is_empty() && !targets.contains(name.as_str()) {
                findings.push(Finding::new(
                    &file.path,
                    line(at),
                    format!("there is no `make {name}`"),
                    "`make help` lists the targets",
                ));
            }
        }
        if !file.ends_with(".md") {
            continue;
        }
        for (at, target) in links(&file.text) {
            let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
            let path: PathBuf = tree.root.join(plain(&folder.join(&target)));
            if !path.exists() {
                findings.push(Finding::new(
                    &file.path,
                    line(at),
                    format!("the link to `{target}` leads nowhere"),
                    "correct it",
                ));
            }
        }
        for (at, path, name) in named_tests(&file.text) {
            let is_there = tree.file(&path).is_some_and(|file| file.text.contains(&format!("fn {name}(")));
            if !is_there {
                let problem = format!("there is no test `{name}` in {path}");
                findings.push(Finding::new(
                    &file.path,
                    line(at),
                    problem,
                    "name the test that holds this now, or write it",
                ));
            }
        }
    }
    check(findings);
}

/// The relative links of a page, without what follows `#`.
fn links(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.match_indices("](").filter_map(|(at, mark)| {
        let target = text[at + mark.len()..].split(')').next()?;
        let path = target.split('#').next()?;
        let is_local = !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:");
        is_local.then(|| (at, path.to_owned()))
    })
}

/// Tests that a page names as `path.rs::name`.
fn named_tests(text: &str) -> impl Iterator<Item = (usize, String, String)> {
    text.match_indices(".rs::").filter_map(|(at, mark)| {
        let begin = text[..at].rfind('`')? + 1;
        let name = text[at + mark.len()..].split('`').next()?;
        Some((at, format!("{}.rs", &text[begin..at]), name.to_owned()))
    })
}
