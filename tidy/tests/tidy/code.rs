//! What no source may hold.

use orch_tidy::{File, Finding, Source, Tree, line_of, words};

use crate::check;

/// Lines of a file, of one that belongs to tests, and of a function: above it, it is split.
const MAX_FILE_LINES: usize = 600;
const MAX_TEST_FILE_LINES: usize = 900;
const MAX_FUNCTION_LINES: usize = 80;

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

/// The only place with `unsafe`: calls of librdkafka.
const UNSAFE: &str = "bus/src/kafka/native.rs";

/// The only places that write a status: of a PipelineRun, and of a Pipeline. Each does it once.
const STATUS_WRITERS: [&str; 2] = ["operator/src/status/writer.rs", "operator/src/pipeline.rs"];

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
fn what_the_compiler_cannot_check_stands_in_one_place() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    for file in tree.with_end(".rs").filter(|file| file.path != UNSAFE) {
        let source = Source::new(file);
        for at in words(&source.code, "unsafe").chain(words(&source.code, "unsafe_code")) {
            let remedy = "find a safe way, or a library that has one";
            findings.push(Finding::new(&file.path, line_of(&file.text, at), "unsafe code", remedy));
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
        let places = ["patch_status", "patch_subresource", "replace_status"]
            .iter()
            .flat_map(|name| words(&source.code, name));
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
