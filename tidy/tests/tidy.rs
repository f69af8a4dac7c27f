//! Rules that hold for the whole tree. Each test is one rule; what it finds is printed as `file:line: problem; remedy`.

// A failed expectation ends the test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use orch_tidy::{File, Finding, Function, Package, Source, Tree, line_of, packages, report, words};

/// Lines of a file, of one that belongs to tests, and of a function: above it, it is split.
const MAX_FILE_LINES: usize = 600;
const MAX_TEST_FILE_LINES: usize = 900;
const MAX_FUNCTION_LINES: usize = 80;

/// Which crates of ours a crate may use. The arrows of ARCHITECTURE.md; nothing else is one.
const MAY_USE: [(&str, &[&str]); 10] = [
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

/// What `core` must not name: I/O, threads, clocks, chance, and what would wait.
const IMPURE: [&str; 16] = [
    "tokio",
    "kube",
    "rdkafka",
    "rand",
    "SystemTime",
    "Instant",
    "async",
    "await",
    "Mutex",
    "std::fs",
    "std::io::stdin",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "unsafe",
];

/// Files that may write to the standard streams beside a `main.rs`.
const MAY_PRINT: [(&str, &str); 2] = [
    ("cli/src/printer.rs", "all output of `orch` goes through it"),
    ("workers/src/service.rs", "the body of every worker's `main`: an error before the log has begun"),
];

/// The only places that write a status: of a PipelineRun, and of a Pipeline. Each does it once.
const STATUS_WRITERS: [&str; 2] = ["operator/src/status/writer.rs", "operator/src/pipeline.rs"];

fn check(findings: Vec<Finding>) {
    if let Some(text) = report(findings) {
        panic!("{text}");
    }
}

fn line_with(file: &File, text: &str) -> usize {
    file.text.find(text).map_or(1, |at| line_of(&file.text, at))
}

fn all_packages(tree: &Tree) -> Vec<Package> {
    packages(&tree.root).unwrap()
}

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
                "add it to MAY_USE in tidy/tests/tidy.rs and to ARCHITECTURE.md",
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

#[test]
fn core_is_pure() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for file in tree.with_end(".rs").filter(|file| file.path.starts_with("core/src/")) {
        let source = Source::new(file);
        for name in IMPURE {
            for at in words(&source.code, name) {
                let remedy = "`core` has no I/O, no waiting, no clock and no chance: take it as an argument, or do it in `runner`";
                findings.push(Finding::new(
                    &file.path,
                    line_of(&file.text, at),
                    format!("`core` names `{name}`"),
                    remedy,
                ));
            }
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
fn a_status_has_one_writer() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for file in
        tree.with_end(".rs").filter(|file| file.path.contains("/src/") && !file.path.starts_with("e2e/"))
    {
        let source = Source::new(file);
        let places = ["patch_status", "replace_status"].iter().flat_map(|name| words(&source.code, name));
        let places = places.filter(|at| !source.is_test(*at));
        let allowed = usize::from(STATUS_WRITERS.contains(&file.path.as_str()));
        for at in places.skip(allowed) {
            let remedy = "send what is to be written to the writer of the resource";
            findings.push(Finding::new(
                &file.path,
                line_of(&file.text, at),
                "a second writer of a status",
                remedy,
            ));
        }
    }
    check(findings);
}

#[test]
fn output_goes_through_a_printer_or_a_log() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for file in tree.with_end(".rs") {
        let source = Source::new(file);
        let is_main = file.ends_with("/main.rs") || file.path.contains("/examples/");
        let may = is_main || MAY_PRINT.iter().any(|(path, _)| *path == file.path);
        for name in ["println!", "eprintln!", "print!", "eprint!", "dbg!"] {
            for at in words(&source.code, name) {
                if name == "dbg!" || !(may || source.is_test(at)) {
                    let remedy = "use the printer of `orch`, or `tracing`";
                    findings.push(Finding::new(
                        &file.path,
                        line_of(&file.text, at),
                        format!("`{name}`"),
                        remedy,
                    ));
                }
            }
        }
    }
    check(findings);
}

#[test]
fn files_and_functions_are_short() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for file in &tree.files {
        if ![".rs", ".py", ".sh", ".go", ".ts"].iter().any(|end| file.ends_with(end)) {
            continue;
        }
        let (lines, limit) =
            (file.text.lines().count(), if file.is_test() { MAX_TEST_FILE_LINES } else { MAX_FILE_LINES });
        if lines > limit {
            let problem = format!("{lines} lines, the limit is {limit}");
            findings.push(Finding::new(&file.path, limit, problem, "split it by what changes together"));
        }
    }
    for file in tree.with_end(".rs") {
        let source = Source::new(file);
        for function in source.functions() {
            let lines = source.code[function.span.clone()].lines().count();
            if lines > MAX_FUNCTION_LINES {
                let problem =
                    format!("`{}` has {lines} lines, the limit is {MAX_FUNCTION_LINES}", function.name);
                let line = line_of(&file.text, function.span.start);
                findings.push(Finding::new(&file.path, line, problem, "give a part of it a name of its own"));
            }
        }
    }
    check(findings);
}

#[test]
fn nothing_is_marked_unfinished() {
    const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];
    let tree = Tree::read();
    let mut findings = Vec::new();
    let mut find = |file: &File, text: &str, mark: &str| {
        for at in words(text, mark) {
            let remedy = "finish it, or write what is missing where a reader looks for it";
            findings.push(Finding::new(&file.path, line_of(&file.text, at), format!("`{mark}`"), remedy));
        }
    };
    for file in &tree.files {
        if file.ends_with(".rs") {
            let source = Source::new(file);
            for mark in ["todo!", "unimplemented!"] {
                find(file, &source.code, mark);
            }
            for mark in MARKS {
                find(file, &source.comments, mark);
            }
        } else if [".py", ".sh", ".toml", ".yaml", ".md", "Makefile"].iter().any(|end| file.ends_with(end)) {
            for mark in MARKS {
                find(file, &file.text, mark);
            }
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

/// The path without `.` and `..`.
fn plain(path: &Path) -> String {
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

#[test]
fn no_test_is_ignored_and_none_sleeps() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for file in tree.with_end(".rs") {
        let source = Source::new(file);
        for (at, _) in source.code.match_indices("#[ignore") {
            if !is_started_by_a_test(&source, at) {
                let remedy = "put it behind a cargo feature that a `make` target turns on, or delete it";
                findings.push(Finding::new(&file.path, line_of(&file.text, at), "an ignored test", remedy));
            }
        }
        for at in words(&source.code, "sleep") {
            let is_call = source.code[at + "sleep".len()..].starts_with('(');
            if is_call && source.is_test(at) && !waits_for_a_fact(&source, at) {
                let remedy = "wait for the fact itself, with a deadline; or use tokio's paused clock";
                findings.push(Finding::new(&file.path, line_of(&file.text, at), "a test sleeps", remedy));
            }
        }
    }
    check(findings);
}

/// The process that another test of the file starts, and kills: `#[ignore = "started by NAME"]`.
fn is_started_by_a_test(source: &Source<'_>, at: usize) -> bool {
    let attribute = source.file.text[at..].split(']').next().unwrap_or_default();
    let starter = attribute.split("started by ").nth(1).map(|rest| rest.trim_end_matches('"'));
    starter.is_some_and(|name| source.functions().iter().any(|function| function.name == name))
}

/// A pause between two looks, up to a deadline; a clock that stands still; or the work of a process that is killed.
fn waits_for_a_fact(source: &Source<'_>, at: usize) -> bool {
    let Some(function) = source.function_around(at) else { return false };
    let begin = source.code[..function.span.start].rfind(['}', ';']).unwrap_or(0);
    let text = &source.code[begin..function.span.end];
    let is_process = text.find("#[ignore").is_some_and(|at| is_started_by_a_test(source, begin + at));
    is_process
        || ["deadline", "DEADLINE", "timeout(", "soon(", "start_paused", "time::pause"]
            .iter()
            .any(|word| text.contains(word))
}

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

/// Where the reasons of conditions stand, a module a type of condition.
const CONDITIONS: &str = "crds/src/condition.rs";
/// Where the reasons of `GraphValid` stand that a kind of findings gives.
const FINDINGS: &str = "core/src/finding.rs";
/// Kinds of findings that are warnings, or end a list of others: the condition never has them as its reason.
const NEVER_A_REASON: [&str; 3] = ["ZoneConflict", "Inactive", "More"];
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";

#[test]
fn every_reason_is_explained() {
    let tree = Tree::read();
    let page = tree.file(TROUBLESHOOTING).unwrap();
    let reasons: Vec<Reason> =
        [reasons_of_conditions(&tree), reasons_of_graphs(&tree), reasons_of_events(&tree)]
            .into_iter()
            .inspect(|reasons| assert!(!reasons.is_empty(), "the rule finds no reason any more: mend it"))
            .flatten()
            .collect();
    let missing = reasons.iter().filter(|reason| {
        section(&page.text, &reason.section).is_none_or(|text| !text.contains(&format!("`{}`", reason.word)))
    });
    check(
        missing
            .map(|Reason { path, line, section, word }| {
                let problem =
                    format!("the reason `{word}` is not in the section `{section}` of {TROUBLESHOOTING}");
                Finding::new(path, *line, problem, "write there what causes it and what to do")
            })
            .collect(),
    );
}

/// A reason, where the code has it, and the section of the page that explains it.
struct Reason {
    path: String,
    line: usize,
    section: String,
    word: String,
}

impl Reason {
    fn at(file: &File, offset: usize, section: &str, word: &str) -> Self {
        let (path, line) = (file.path.clone(), line_of(&file.text, offset));
        Self { path, line, section: section.to_owned(), word: word.to_owned() }
    }
}

/// `pub mod topics_ready { pub const CHECKING: &str = "Checking"; }` is a reason of `TopicsReady`.
fn reasons_of_conditions(tree: &Tree) -> Vec<Reason> {
    let file = tree.file(CONDITIONS).unwrap();
    let mut section = String::new();
    let mut reasons = Vec::new();
    let mut offset = 0;
    for line in file.text.split_inclusive('\n') {
        if let Some(module) = line.strip_prefix("pub mod ") {
            section = camel_case(module.trim_end_matches([' ', '{', '\n']));
        }
        let word = line.trim_start().strip_prefix("pub const ").and_then(|rest| rest.split('"').nth(1));
        if let Some(word) = word.filter(|_| section != "Types") {
            reasons.push(Reason::at(file, offset, &section, word));
        }
        offset += line.len();
    }
    reasons
}

fn camel_case(name: &str) -> String {
    let capital = |part: &str| format!("{}{}", part[..1].to_ascii_uppercase(), &part[1..]);
    name.split('_').map(capital).collect()
}

/// The words that a refused graph has as its reason.
fn reasons_of_graphs(tree: &Tree) -> Vec<Reason> {
    let file = tree.file(FINDINGS).unwrap();
    let source = Source::new(file);
    let function = source.functions().into_iter().find(|function| function.name == "reason").unwrap();
    reason_words(&source, &function)
        .into_iter()
        .filter(|(_, word)| !NEVER_A_REASON.contains(word))
        .map(|(at, word)| Reason::at(file, at, "GraphValid", word))
        .collect()
}

/// The words in functions that tell people by an Event. Reasons that such a function passes on stand elsewhere.
fn reasons_of_events(tree: &Tree) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for file in tree.with_end(".rs").filter(|file| file.path.starts_with("operator/src/")) {
        let source = Source::new(file);
        for function in source.functions() {
            let tells = source.code[function.span.clone()].contains(".tell(");
            if tells && !source.is_test(function.span.start) {
                let words = reason_words(&source, &function);
                reasons.extend(words.into_iter().map(|(at, word)| Reason::at(file, at, "Events", word)));
            }
        }
    }
    reasons
}

/// Texts of a function that are one word in CamelCase, as Kubernetes wants a reason, and where they stand.
fn reason_words<'t>(source: &Source<'t>, function: &Function) -> Vec<(usize, &'t str)> {
    let mut found = Vec::new();
    let mut at = function.span.start;
    // The contents of texts are blank in `code`, and their quotes stay: every second piece is a text.
    for (n, piece) in source.code[function.span.clone()].split('"').enumerate() {
        let word = &source.file.text[at..at + piece.len()];
        let is_word = word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric());
        if n % 2 == 1 && is_word {
            found.push((at, word));
        }
        at += piece.len() + 1;
    }
    found
}

/// What stands below the heading `## NAME`, up to the next one.
fn section<'t>(page: &'t str, name: &str) -> Option<&'t str> {
    page.split("\n## ").skip(1).find(|section| section.split([':', '\n']).next() == Some(name))
}
