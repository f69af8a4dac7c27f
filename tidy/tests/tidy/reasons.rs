//! Every reason that a person may read in a condition or an Event is explained.

use orch_tidy::{File, Finding, Function, Source, Tree, line_of};

use crate::check;

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
