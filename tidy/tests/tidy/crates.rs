//! Which crate may use what.

use std::collections::BTreeSet;
use std::path::Path;

use orch_tidy::{File, Finding, Package, Source, Tree, line_of, words};

use crate::{all_packages, check, line_with, plain};

/// Which crates of ours a crate may use. The arrows of ARCHITECTURE.md; nothing else is one.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("orch-core", &[]),
    ("orch-wire", &["orch-core"]),
    ("orch-crds", &["orch-core"]),
    ("orch-bus", &["orch-core", "orch-wire"]),
    ("orch-runner", &["orch-core", "orch-wire", "orch-bus"]),
    ("orch-workers", &["orch-core", "orch-wire", "orch-bus"]),
    ("orch-operator", &["orch-core", "orch-wire", "orch-bus", "orch-runner", "orch-crds", "orch-workers"]),
    ("orch-cli", &["orch-core", "orch-wire", "orch-bus", "orch-runner", "orch-crds", "orch-workers"]),
    ("orch-tidy", &[]),
    ("orch-e2e", &["orch-core", "orch-wire", "orch-bus", "orch-runner", "orch-crds", "orch-workers"]),
    ("orch-bench", &["orch-core", "orch-wire", "orch-bus", "orch-runner", "orch-crds", "orch-e2e"]),
];

/// Crates of others that a crate must not use, because it would do what another folder is for.
const MUST_NOT_USE: [(&str, &[&str]); 7] = [
    ("orch-core", &["tokio", "futures", "kube", "k8s-openapi", "rdkafka", "rand", "jiff", "tracing"]),
    ("orch-wire", &["tokio", "futures", "kube", "k8s-openapi", "rdkafka", "rand"]),
    ("orch-crds", &["tokio", "futures", "rdkafka", "rand"]),
    ("orch-bus", &["kube", "k8s-openapi"]),
    ("orch-runner", &["kube", "k8s-openapi", "rdkafka"]),
    ("orch-workers", &["kube", "k8s-openapi", "rdkafka"]),
    ("orch-operator", &["rdkafka"]),
];

/// What a crate of ours may use of ours, with the crates that those use.
fn may_use(name: &str) -> Option<&'static [&'static str]> {
    MAY_USE.iter().find(|(package, _)| *package == name).map(|(_, used)| *used)
}

#[test]
fn crates_use_each_other_in_one_direction() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for package in all_packages(&tree) {
        let manifest = tree.relative(&package.manifest_path);
        let file = tree.file(&manifest).unwrap();
        let Some(allowed) = may_use(&package.name) else {
            let problem = format!("`{}` is not in the list of crates", package.name);
            findings.push(Finding::new(
                &manifest,
                1,
                problem,
                "add it to MAY_USE in tidy/tests/tidy/crates.rs and to ARCHITECTURE.md",
            ));
            continue;
        };
        for dependency in
            package.dependencies.iter().filter(|dependency| dependency.name.starts_with("orch-"))
        {
            // A test may use more, but nothing that uses the crate under test.
            let reverse = may_use(&dependency.name).is_some_and(|used| used.contains(&package.name.as_str()));
            let wrong =
                if dependency.is_dev() { reverse } else { !allowed.contains(&dependency.name.as_str()) };
            if wrong {
                let problem = format!("`{}` uses `{}`", package.name, dependency.name);
                let remedy = "the arrows of ARCHITECTURE.md go the other way: move what both need down, or pass it in as a value or trait";
                findings.push(Finding::new(&manifest, line_with(file, &dependency.name), problem, remedy));
            }
        }
    }
    check(findings);
}

#[test]
fn a_crate_keeps_to_what_its_folder_is_for() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for package in all_packages(&tree) {
        let manifest = tree.relative(&package.manifest_path);
        let file = tree.file(&manifest).unwrap();
        let banned = MUST_NOT_USE
            .iter()
            .find(|(name, _)| *name == package.name)
            .map_or(&[][..], |(_, banned)| *banned);
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.is_dev()) {
            if banned.contains(&dependency.name.as_str()) {
                let problem = format!("`{}` uses `{}`", package.name, dependency.name);
                let remedy = "see the code map of ARCHITECTURE.md for the folder that this belongs to";
                findings.push(Finding::new(&manifest, line_with(file, &dependency.name), problem, remedy));
            }
        }
    }
    check(findings);
}

/// What shares no code with the engine cannot share its mistakes.
#[test]
fn the_history_checker_uses_nothing_of_ours() {
    let tree = Tree::read();
    let ours: Vec<String> =
        all_packages(&tree).iter().map(|package| package.name.replace('-', "_")).collect();
    let mut findings = Vec::new();
    let files: Vec<_> =
        tree.with_end(".rs").filter(|file| file.path.starts_with("e2e/src/checker/")).collect();
    assert!(files.len() > 3, "e2e/src/checker/ holds {} files", files.len());
    for file in files {
        let source = Source::new(file);
        let names = ours.iter().flat_map(|name| words(&source.code, name));
        let outside = source.code.match_indices("crate::").map(|(at, _)| at);
        for at in names.chain(outside) {
            let remedy = "read the contract anew: it is held against what everybody else reads";
            findings.push(Finding::new(&file.path, line_of(&file.text, at), "code of ours", remedy));
        }
    }
    check(findings);
}

#[test]
fn kubernetes_stands_in_one_folder_of_the_cli() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    let elsewhere =
        |file: &&File| file.path.starts_with("cli/src/") && !file.path.starts_with("cli/src/cluster/");
    for file in tree.with_end(".rs").filter(elsewhere) {
        let source = Source::new(file);
        for at in words(&source.code, "kube") {
            let remedy =
                "what talks to a cluster stands in cli/src/cluster, so that a local run is built without it";
            findings.push(Finding::new(&file.path, line_of(&file.text, at), "names `kube`", remedy));
        }
    }
    check(findings);
}

#[test]
fn a_test_that_cargo_leaves_out_is_run_by_a_script() {
    let tree = Tree::read();
    let mut run = BTreeSet::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with("scripts/")) {
        // What a script builds alone does not count.
        for call in file.text.lines().filter(|line| line.contains("cargo test ")) {
            let words: Vec<&str> = call.split_whitespace().collect();
            run.extend(words.windows(2).filter(|pair| pair[0] == "--test").map(|pair| pair[1]));
        }
    }
    let mut findings = Vec::new();
    for package in all_packages(&tree) {
        let manifest = tree.relative(&package.manifest_path);
        for name in package.tests_left_out().filter(|name| !run.contains(name)) {
            let line = line_with(tree.file(&manifest).unwrap(), &format!("name = \"{name}\""));
            let problem = format!("nobody runs the test `{name}`");
            findings.push(Finding::new(
                &manifest,
                line,
                problem,
                "run it in scripts/, by `cargo test --test`",
            ));
        }
    }
    check(findings);
}

#[test]
fn every_rust_file_belongs_to_a_crate() {
    let tree = Tree::read();
    let roots: Vec<String> =
        all_packages(&tree).iter().flat_map(Package::roots).map(|root| tree.relative(root)).collect();
    let mut reached = BTreeSet::new();
    // The path, and whether its modules stand beside it or in a folder of its name.
    let mut open: Vec<(String, bool)> = roots.into_iter().map(|root| (root, true)).collect();
    while let Some((path, beside)) = open.pop() {
        let Some(file) = tree.file(&path) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        let at = Path::new(&path);
        let folder = at.parent().unwrap_or(at);
        let own = if beside { folder.to_path_buf() } else { folder.join(at.file_stem().unwrap()) };
        for (name, attribute) in Source::new(file).modules() {
            if let Some(attribute) = attribute {
                open.push((plain(&folder.join(attribute)), true));
            } else {
                open.push((plain(&own.join(format!("{name}.rs"))), false));
                open.push((plain(&own.join(name).join("mod.rs")), true));
            }
        }
    }
    let dead = tree.with_end(".rs").filter(|file| !reached.contains(&file.path));
    check(
        dead.map(|file| {
            Finding::new(&file.path, 1, "no module names this file", "name it with `mod`, or delete it")
        })
        .collect(),
    );
}

#[test]
fn versions_of_dependencies_stand_in_one_list() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for package in all_packages(&tree) {
        let manifest = tree.relative(&package.manifest_path);
        let file = tree.file(&manifest).unwrap();
        let mut in_dependencies = false;
        for (n, line) in file.text.lines().enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            }
            let states = in_dependencies && !line.starts_with(['#', '[']) && line.contains('=');
            if states && !line.contains("workspace = true") {
                let remedy = "put the version into [workspace.dependencies] of the root and write `workspace = true` here";
                findings.push(Finding::new(
                    &manifest,
                    n + 1,
                    "a dependency with a version of its own",
                    remedy,
                ));
            }
        }
        if !file.text.contains("[lints]\nworkspace = true") {
            findings.push(Finding::new(
                &manifest,
                1,
                "the lints of the workspace do not hold here",
                "add `[lints]` with `workspace = true`",
            ));
        }
    }
    check(findings);
}

#[test]
fn libraries_with_shared_types_have_one_version() {
    let tree = Tree::read();
    let lock = tree.file("Cargo.lock").unwrap();
    let mut findings = Vec::new();
    for name in ["kube", "kube-core", "k8s-openapi", "schemars", "rustls", "rdkafka", "tokio", "jiff"] {
        let entry = format!("\nname = \"{name}\"\n");
        let places: Vec<usize> = lock.text.match_indices(&entry).map(|(at, _)| at + 1).collect();
        if let [_, second, ..] = places[..] {
            let problem = format!("`{name}` is there in {} versions", places.len());
            let remedy =
                format!("`cargo tree --duplicates` and `cargo tree -i {name}@VERSION` say who wants which");
            findings.push(Finding::new(&lock.path, line_of(&lock.text, second), problem, remedy));
        }
    }
    check(findings);
}
