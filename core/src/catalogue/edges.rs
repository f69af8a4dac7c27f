//! Edge lists: `parent<TAB>child` a line, `#` begins a comment, a line of one field is an object without dependencies.
//! A text without any edge is none.
//! Ids are interned on the way, so that an edge costs two numbers and no text.

use super::{Read, simulated_stage};
use crate::finding::{Finding, FindingKind, Findings};
use crate::id_table::{IdTable, Key};
use crate::limits;
use crate::spec::{ObjectSpec, RunSpec, Source, SourceForm};

/// Lines that are looked up together: enough to have many memory accesses under way, few enough to stay in the cache.
const BLOCK: usize = 128;

/// A run on one stage `work` whose objects end at once.
pub(super) fn read(name: &str, text: &str) -> Read {
    let mut graph = Interned::new(text);
    let mut findings = Findings::default();
    let mut block = Block::default();
    for (line, fields) in Lines::new(text) {
        match fields {
            Line::Empty => {}
            Line::Node(node) if !node.contains(' ') => block.push(&graph, line, node, node),
            Line::Edge(parent, child) if !parent.is_empty() && !child.is_empty() && parent != child => {
                block.push(&graph, line, parent, child);
            }
            Line::Edge(..) | Line::Node(_) | Line::TooMany => findings.push(|| fault(name, line, &fields)),
        }
        if block.lines.len() == BLOCK {
            graph.add(&mut block);
            if let Some(too_large) = graph.too_large(name) {
                return Err(vec![too_large]);
            }
        }
    }
    graph.add(&mut block);
    if let Some(too_large) = graph.too_large(name) {
        return Err(vec![too_large]);
    }
    if findings.is_empty() && graph.edges.is_empty() && !graph.names.is_empty() {
        findings.push(|| no_edge(name));
    }
    findings.or(())?;
    let spec = RunSpec {
        stages: vec![simulated_stage("work", "0s", 64)],
        objects: graph.objects(),
        edges: graph.edges,
        sources: vec![Source::new(name, SourceForm::Edges)],
        ..RunSpec::default()
    };
    Ok((spec, Vec::new()))
}

/// A text, a number, a word: without one edge it is most likely something else.
fn no_edge(name: &str) -> Finding {
    let problem = "it is no edge list: there is no line `parent<TAB>child` in it";
    let remedy = "write objects without dependencies as a JSON list: `[{\"id\": \"a\"}, {\"id\": \"b\"}]`";
    Finding::new(FindingKind::Malformed, name, problem, remedy)
}

fn fault(name: &str, line: u32, fields: &Line<'_>) -> Finding {
    let place = format!("{name} line {}", line + 1);
    let (kind, problem, remedy) = match fields {
        Line::Edge(parent, child) if parent == child && !parent.is_empty() => {
            (FindingKind::Cycle, format!("`{parent}` depends on itself"), "remove the line")
        }
        Line::Edge(..) => (FindingKind::Malformed, "an id is missing beside the tab".to_owned(), ""),
        Line::TooMany => (FindingKind::Malformed, "there are more than two fields".to_owned(), ""),
        Line::Node(_) | Line::Empty => (
            FindingKind::Malformed,
            "there is a space and no tab".to_owned(),
            "write `parent<TAB>child`; an id holds no spaces",
        ),
    };
    Finding::new(kind, place, problem, remedy)
}

/// What stands on a line.
enum Line<'t> {
    Empty,
    Node(&'t str),
    Edge(&'t str, &'t str),
    TooMany,
}

/// The lines of a text with their numbers from 0. One pass finds tabs and line ends together: most lines are so short
/// that two searches would cost more.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, line: 0 }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = (u32, Line<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.is_empty() {
            return None;
        }
        let mut tab = None;
        let mut tabs = 0;
        let mut end = rest.len();
        for (i, byte) in rest.iter().enumerate() {
            if *byte == b'\t' {
                tab = tab.or(Some(i));
                tabs += 1;
            } else if *byte == b'\n' {
                end = i;
                break;
            }
        }
        let begin = self.at;
        let number = self.line;
        self.at += end + 1;
        self.at = self.at.min(self.text.len());
        self.line += 1;
        let content = self.text[begin..begin + end].trim_end_matches('\r');
        let fields = match tab {
            _ if content.is_empty() || content.starts_with('#') => Line::Empty,
            None => Line::Node(content),
            Some(tab) if tabs == 1 => Line::Edge(&content[..tab], &content[tab + 1..]),
            Some(_) => Line::TooMany,
        };
        Some((number, fields))
    }
}

/// Lines that wait to be looked up.
#[derive(Default)]
struct Block<'t> {
    /// Line number, parent and child; for an object without dependencies both are its id.
    lines: Vec<(u32, &'t str, &'t str)>,
    /// Of parent and child of each line.
    keys: Vec<Key>,
    likely: Vec<u32>,
}

impl<'t> Block<'t> {
    fn push(&mut self, graph: &Interned<'t>, line: u32, parent: &'t str, child: &'t str) {
        let parent_key = match self.lines.last() {
            // Most lists are sorted by parent.
            Some((_, previous, _)) if *previous == parent => self.keys[self.keys.len() - 2],
            _ => graph.table.key(parent.as_bytes()),
        };
        let child_key = if parent == child { parent_key } else { graph.table.key(child.as_bytes()) };
        self.lines.push((line, parent, child));
        self.keys.extend([parent_key, child_key]);
    }
}

/// Ids as numbers in the order of their first mention.
struct Interned<'t> {
    table: IdTable,
    names: Vec<&'t str>,
    /// Where each name stands first.
    lines: Vec<u32>,
    edges: Vec<(u32, u32)>,
}

impl<'t> Interned<'t> {
    fn new(text: &'t str) -> Self {
        // An edge takes some sixteen bytes, and there are several edges to an object.
        let expected = text.len() / 100;
        Self {
            table: IdTable::with_capacity(expected),
            names: Vec::with_capacity(expected),
            lines: Vec::with_capacity(expected),
            edges: Vec::with_capacity(text.len() / 16),
        }
    }

    /// Numbers the names of a block, and empties it.
    fn add(&mut self, block: &mut Block<'t>) {
        self.fetch(block);
        let mut parent_before = ("", 0);
        for ((line, parent, child), keys) in block.lines.iter().zip(block.keys.chunks_exact(2)) {
            if parent_before.0 != *parent {
                parent_before = (parent, self.number(parent, keys[0], *line));
            }
            if parent != child {
                let child = self.number(child, keys[1], *line);
                self.edges.push((parent_before.1, child));
            }
        }
        block.lines.clear();
        block.keys.clear();
    }

    /// Brings what the block's names are compared with into the cache: see [`IdTable::likely`].
    fn fetch(&self, block: &mut Block<'t>) {
        self.table.likely(&block.keys, &mut block.likely);
        let first_byte =
            |number: &u32| self.names.get(*number as usize).and_then(|name| name.as_bytes().first());
        let touched = block.likely.iter().filter_map(first_byte).fold(0_u8, |all, byte| all ^ byte);
        std::hint::black_box(touched);
    }

    fn number(&mut self, name: &'t str, key: Key, line: u32) -> u32 {
        if let Some(known) = self.table.find(key, |held| self.names[held as usize] == name) {
            return known;
        }
        let number = self.names.len() as u32;
        self.table.insert(key, number);
        self.names.push(name);
        self.lines.push(line);
        number
    }

    /// What is said of the graph when it has become too large.
    fn too_large(&self, name: &str) -> Option<Finding> {
        if let Some(line) = self.lines.get(limits::OBJECTS) {
            return Some(limits::too_large(format!("{name} line {}", line + 1), limits::OBJECTS, "objects"));
        }
        let too_many = self.edges.len() > limits::DEPENDENCIES;
        too_many.then(|| limits::too_large(name, limits::DEPENDENCIES, "dependencies"))
    }

    fn objects(&self) -> Vec<ObjectSpec> {
        let object = |(name, line): (&&str, &u32)| ObjectSpec {
            position: *line,
            id: (*name).to_owned(),
            entry: entry(name),
            ..ObjectSpec::default()
        };
        self.names.iter().zip(&self.lines).map(object).collect()
    }
}

/// The object's own entry, as an object list would have it: what a worker gets as `meta`.
fn entry(id: &str) -> String {
    const HEAD: &str = r#"{"id":""#;
    const TAIL: &str = r#""}"#;
    let escapes = id.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let mut text = String::with_capacity(HEAD.len() + id.len() + escapes + TAIL.len());
    text.push_str(HEAD);
    for part in id.split_inclusive(['"', '\\']) {
        match part.char_indices().next_back() {
            Some((at, last @ ('"' | '\\'))) => {
                text.push_str(&part[..at]);
                text.push('\\');
                text.push(last);
            }
            _ => text.push_str(part),
        }
    }
    text.push_str(TAIL);
    text
}
