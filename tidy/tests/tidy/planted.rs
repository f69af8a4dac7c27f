//! The bugs that `make planted-bugs` plants: each patch still applies to the sources, and says what it is.

use orch_tidy::{Finding, Tree};

use crate::check;

const FOLDER: &str = "e2e/planted/";
/// Programs that `scripts/planted-bugs.sh` knows.
const CATCHERS: [&str; 2] = ["simulator", "chaos"];

/// What a patch asks of one file: texts that must stand there once, as long as it is not applied.
fn asked(patch: &str) -> Vec<(String, String)> {
    let (mut file, mut asked) = (String::new(), Vec::<(String, String)>::new());
    for line in patch.lines() {
        if let Some(name) = line.strip_prefix("--- a/") {
            name.clone_into(&mut file);
        } else if line.starts_with("@@ ") {
            asked.push((file.clone(), String::new()));
        } else if let (Some((_, text)), Some(' ' | '-')) = (asked.last_mut(), line.chars().next()) {
            text.push_str(&line[1..]);
            text.push('\n');
        }
    }
    asked
}

#[test]
fn planted_bugs_apply_to_the_sources() {
    let tree = Tree::read();
    let mut findings = Vec::new();
    let patches: Vec<_> = tree.with_end(".patch").filter(|file| file.path.starts_with(FOLDER)).collect();
    assert!(patches.len() >= 10, "{FOLDER} should hold at least ten bugs, and holds {}", patches.len());
    for patch in patches {
        let mut note =
            |line, problem: String, remedy| findings.push(Finding::new(&patch.path, line, problem, remedy));
        let catcher = patch.text.lines().find_map(|line| line.strip_prefix("Caught by: "));
        if !catcher.is_some_and(|name| CATCHERS.contains(&name)) {
            note(1, format!("it is caught by {catcher:?}"), "name one that scripts/planted-bugs.sh knows");
        }
        let hunks = asked(&patch.text);
        if hunks.is_empty() {
            note(1, "it changes nothing".to_owned(), "write it as `diff -U1` does");
        }
        for (path, text) in hunks {
            let times = tree.file(&path).map_or(0, |file| file.text.matches(&text).count());
            if times != 1 {
                let problem = format!("{path} holds {times} times what it wants to change:\n{text}");
                note(1, problem, "plant the same bug in what stands there now");
            }
        }
    }
    check(findings);
}
