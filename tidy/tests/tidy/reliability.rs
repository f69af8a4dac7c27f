//! The page of what fails quotes what the code says, and words that are explained.

use orch_tidy::{Finding, Source, Tree, line_of};

use crate::check;

const PAGE: &str = "docs/reliability.md";
/// Where a reason is explained, and where a metric is listed.
const REASONS: &str = "docs/troubleshooting.md";
const METRICS: &str = "docs/operations.md";

#[test]
fn the_page_of_failures_quotes_what_is_there() {
    let tree = Tree::read();
    let page = tree.file(PAGE).unwrap();
    let (reasons, metrics) = (tree.file(REASONS).unwrap(), tree.file(METRICS).unwrap());
    let said = texts(&tree);
    let mut counts = [0; 3];
    let mut findings = Vec::new();
    let tables = page.text.find("## When something fails").unwrap();
    for (at, quoted) in quoted(&page.text).filter(|(at, _)| *at > tables) {
        let (kind, is_there, remedy) = match quoted {
            metric if metric.starts_with("orchestrator_") => {
                let name = metric.split('{').next().unwrap_or(metric);
                (0, metrics.text.contains(&format!("`{name}`")), "name one that docs/operations.md lists")
            }
            reason if is_reason(reason) => {
                let written = format!("`{reason}`");
                (1, reasons.text.contains(&written), "explain it in docs/troubleshooting.md")
            }
            words if words.contains(' ') && !is_command(words) => {
                (2, said.contains(words), "quote what the code writes, without what it puts in")
            }
            _ => continue,
        };
        counts[kind] += 1;
        if !is_there {
            let problem = format!("`{quoted}` is nowhere");
            findings.push(Finding::new(PAGE, line_of(&page.text, at), problem, remedy));
        }
    }
    assert!(counts.iter().all(|count| *count > 2), "the rule finds {counts:?} words any more: mend it");
    check(findings);
}

/// What stands between backticks, and where.
fn quoted(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split('`').enumerate().filter_map(move |(n, piece)| {
        let begin = at;
        at += piece.len() + 1;
        (n % 2 == 1).then_some((begin, piece))
    })
}

/// `KafkaUnreachable`, but not `Stalled=True` nor `Running`, which are no reasons.
fn is_reason(word: &str) -> bool {
    let capitals = word.chars().filter(char::is_ascii_uppercase).count();
    capitals > 1 && word.chars().all(|c| c.is_ascii_alphabetic()) && word.starts_with(char::is_uppercase)
}

/// What people write, and not the code.
fn is_command(words: &str) -> bool {
    ["make ", "orch ", "kubectl ", "failurePolicy: "].iter().any(|program| words.starts_with(program))
}

/// All texts of the code that are not of tests, without the ends of lines in them.
fn texts(tree: &Tree) -> String {
    let mut texts = String::new();
    for file in tree.with_end(".rs").filter(|file| !file.is_test()) {
        let source = Source::new(file);
        let mut at = 0;
        for (n, piece) in source.code.split('"').enumerate() {
            if n % 2 == 1 && !source.is_test(at) {
                let lines = file.text[at..at + piece.len()].split("\\\n");
                for line in lines {
                    texts.push_str(line.trim_start_matches(['\n', ' ']));
                }
                texts.push('\n');
            }
            at += piece.len() + 1;
        }
    }
    texts
}
