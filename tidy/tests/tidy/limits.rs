//! The page of limits says what the code and the schema have, and quotes what the tests expect to be said.

use orch_tidy::{File, Finding, Tree, line_of};

use crate::{check, plain};

const PAGE: &str = "docs/limits.md";

/// A line of a table whose second column is a number and whose third links to what holds it.
struct Row<'t> {
    line: usize,
    most: &'t str,
    /// What the link is called, and where it leads.
    name: &'t str,
    path: String,
    words: Vec<&'t str>,
}

#[test]
fn the_page_of_limits_is_what_the_code_says() {
    let tree = Tree::read();
    let page = tree.file(PAGE).unwrap();
    let rows = rows(page);
    assert!(rows.len() > 25, "the rule finds only {} rows any more: mend it", rows.len());
    let said = said_in_tests(&tree);
    let mut findings = Vec::new();
    for row in &rows {
        let mut refuse = |problem: String, remedy: &str| {
            findings.push(Finding::new(PAGE, row.line, problem, remedy));
        };
        let value = tree.file(&row.path).and_then(|file| value_of(file, row.name));
        match (number(row.most), value) {
            (_, None) => {
                refuse(format!("{} has no limit `{}`", row.path, row.name), "name what holds it now");
            }
            (None, _) => refuse(format!("`{}` is no number", row.most), "write it as 1,000 or 256 KiB"),
            (Some(page), Some(code)) if page != code => {
                refuse(format!("`{}` in {} is {code}, not {page}", row.name, row.path), "correct the page");
            }
            _ => {}
        }
        for words in row.words.iter().filter(|words| !said.contains(**words)) {
            refuse(format!("no test expects the words `{words}`"), "quote what is said, and test it");
        }
    }
    check(findings);
}

/// `| objects of a run | 1,000,000 | [OBJECTS](../core/src/limits.rs) | `words` |`
fn rows(page: &File) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut at = 0;
    for text in page.text.split_inclusive('\n') {
        let cells: Vec<&str> = text.trim_end().trim_matches('|').split('|').map(str::trim).collect();
        if let [_, most, link, rest @ ..] = &cells[..]
            && let Some((name, target)) = link.strip_prefix('[').and_then(|link| link.split_once("]("))
        {
            let path = plain(&std::path::Path::new("docs").join(target.trim_end_matches(')')));
            let words =
                rest.first().map_or_else(Vec::new, |cell| cell.split('`').skip(1).step_by(2).collect());
            rows.push(Row { line: line_of(&page.text, at), most, name: name.trim_matches('`'), path, words });
        }
        at += text.len();
    }
    rows
}

/// What stands in tests and their tables, without the ends of lines in texts.
fn said_in_tests(tree: &Tree) -> String {
    let holds = |file: &&File| file.ends_with(".rs") || file.path.starts_with("crds/tests/");
    let mut said = String::new();
    for file in tree.files.iter().filter(holds) {
        let tests =
            if file.is_test() { 0 } else { file.text.find("#[cfg(test)]").unwrap_or(file.text.len()) };
        for line in file.text[tests..].lines() {
            let line = line.trim_start();
            let begun = line.strip_suffix('\\');
            said.push_str(begun.unwrap_or(line));
            said.push_str(if begun.is_some() { "" } else { "\n" });
        }
    }
    said
}

/// `1,000`, `256 KiB`, `2^53 - 1`.
fn number(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let (digits, power) = digits.split_once('^').unwrap_or((digits, "1"));
    let value = digits.replace(',', "").parse::<u64>().ok()?.pow(power.parse().ok()?);
    match unit {
        "KiB" => Some(value << 10),
        "MiB" => Some(value << 20),
        "GiB" => Some(value << 30),
        "- 1" => Some(value - 1),
        _ => Some(value),
    }
}

/// The number of a constant in a source, or of a field in a schema: `objectsFrom.maxItems`.
fn value_of(file: &File, name: &str) -> Option<u64> {
    if let Some((field, bound)) = name.split_once('.') {
        return bound_of(&file.text, field, bound);
    }
    let declared = file.text.split(&format!("const {name}: ")).nth(1)?;
    computed(declared.split_once('=')?.1.split(';').next()?)
}

/// A bound that stands directly below the field.
fn bound_of(schema: &str, field: &str, bound: &str) -> Option<u64> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = schema.lines().skip_while(|line| line.trim_start() != format!("{field}:"));
    let depth = indent(lines.next()?);
    let mut below = lines.take_while(|line| indent(line) > depth).filter(|line| indent(line) == depth + 2);
    below.find_map(|line| line.trim_start().strip_prefix(bound)?.strip_prefix(": ")?.parse().ok())
}

/// Products, shifts and differences of whole numbers, as constants are written here.
fn computed(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches(".0");
    if let Some((left, right)) = text.rsplit_once(" - ") {
        return Some(computed(left)? - computed(right)?);
    }
    if let Some((left, right)) = text.split_once(" << ") {
        return Some(computed(left)? << computed(right)?);
    }
    if let Some((left, right)) = text.split_once(" * ") {
        return Some(computed(left)? * computed(right)?);
    }
    text.trim_matches(['(', ')']).replace('_', "").parse().ok()
}

#[test]
fn numbers_are_read_as_people_and_programs_write_them() {
    let of_people = ["1,000,000", "256 KiB", "2^53 - 1", "64", "many"].map(number);
    assert_eq!(of_people, [Some(1_000_000), Some(262_144), Some(9_007_199_254_740_991), Some(64), None]);
    let of_programs = ["1_000", " 512 * 1024", "1_200 << 10", "(1 << 53) - 1", "100.0", "f()"].map(computed);
    let expected =
        [Some(1_000), Some(524_288), Some(1_228_800), Some(9_007_199_254_740_991), Some(100), None];
    assert_eq!(of_programs, expected);
    let schema = "a:\n  objects:\n    items:\n      maxItems: 7\n    maxItems: 9\n  b:\n    maxItems: 5\n";
    assert_eq!((bound_of(schema, "objects", "maxItems"), bound_of(schema, "c", "maxItems")), (Some(9), None));
}
