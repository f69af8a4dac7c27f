//! How deep the brackets of a YAML text nest, before anything parses it: libyaml looks through all open brackets at every
//! word, so that 20,000 of them take it seconds. Nesting by indentation costs nothing like that. Pure.

/// The line, from 1, on which brackets nest deeper than `limit`.
pub(crate) fn deeper_than(limit: usize, yaml: &str) -> Option<usize> {
    // Counting is quicker than following, and few files have so many.
    if yaml.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= limit {
        return None;
    }
    let mut scan = Scan::default();
    // The column of whoever has a text as a block (`key: |`): what is indented deeper is the text.
    let mut block: Option<isize> = None;
    for (n, line) in yaml.lines().enumerate() {
        let indent = line.bytes().take_while(|byte| *byte == b' ').count();
        let is_marker = line.starts_with("---") || line.starts_with("...");
        match block {
            Some(owner) if line.trim().is_empty() || (indent as isize > owner && !is_marker) => continue,
            _ => block = None,
        }
        scan.line(line.as_bytes());
        if scan.deepest > limit {
            return Some(n + 1);
        }
        if scan.is_outside() {
            block = owner_of_block(line);
        }
    }
    None
}

/// Where the scan stands between two characters.
#[derive(Default)]
struct Scan {
    depth: usize,
    deepest: usize,
    /// The quote that ends the text that we are in.
    quote: Option<u8>,
}

impl Scan {
    /// Neither between brackets nor in quotes.
    fn is_outside(&self) -> bool {
        self.depth == 0 && self.quote.is_none()
    }

    fn line(&mut self, line: &[u8]) {
        // Outside of brackets a bracket or a quote means something only where a value begins.
        let mut begins = true;
        let mut after_space = true;
        let mut at = if self.is_outside() && line.starts_with(b"---") { 3 } else { 0 };
        while let Some(byte) = line.get(at).copied() {
            at += 1;
            if let Some(quote) = self.quote {
                match byte {
                    b'\\' if quote == b'"' => at += 1,
                    byte if byte == quote => (self.quote, begins) = (None, false),
                    _ => {}
                }
                continue;
            }
            let space_follows = line.get(at).is_none_or(u8::is_ascii_whitespace);
            let inside = self.depth > 0;
            match byte {
                b'#' if after_space => return,
                b'"' | b'\'' if begins => self.quote = Some(byte),
                b'[' | b'{' if begins || inside => {
                    self.depth += 1;
                    self.deepest = self.deepest.max(self.depth);
                    begins = true;
                }
                b']' | b'}' if inside => (self.depth, begins) = (self.depth - 1, false),
                b',' if inside => begins = true,
                b':' if inside || space_follows => begins = true,
                b'-' | b'?' if begins && space_follows => {}
                // A tag or an anchor stands before its value.
                b'!' | b'&' if begins => {
                    at += line[at..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
                }
                b' ' | b'\t' => {}
                _ => begins = false,
            }
            after_space = byte.is_ascii_whitespace();
        }
    }
}

/// The column of the value that has the lines below as its text, when the line ends with `|` or `>`: -1 for the whole
/// document.
fn owner_of_block(line: &str) -> Option<isize> {
    let code = line.find(" #").map_or(line, |comment| &line[..comment]).trim_end();
    let (before, header) = code.rsplit_once([' ', '\t']).unwrap_or(("", code));
    let is_header = header
        .strip_prefix(['|', '>'])
        .is_some_and(|rest| rest.chars().all(|c| matches!(c, '+' | '-' | '1'..='9')));
    let before = before.trim_end();
    let word = before.rsplit([' ', '\t']).next().unwrap_or_default();
    let may_begin = word.is_empty()
        || word.ends_with(':')
        || matches!(word, "-" | "?" | "---")
        || word.starts_with(['!', '&']);
    if !is_header || !may_begin {
        return None;
    }
    if before.is_empty() || before.starts_with("---") {
        return Some(-1);
    }
    // `- - key: |`: the key is the owner; `- |`: the last dash.
    let mut column = before.len() - before.trim_start().len();
    loop {
        match before[column..].strip_prefix(['-', '?']) {
            Some(rest) if rest.starts_with([' ', '\t']) => {
                column = before.len() - rest.trim_start().len();
            }
            _ => return Some(column as isize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(yaml: &str, line: Option<usize>) {
        assert_eq!(deeper_than(2, yaml), line, "{yaml}");
    }

    #[test]
    fn brackets_count_where_they_nest() {
        check("a: [[[1]]]", Some(1));
        check("a: [[1], [2], {b: 1}]\nb: [[1]]\nc: {a: [1]}", None);
        check("a:\n- {b: 1,\n   c: [1,\n     {d: 1}]}", Some(4));
        check("a: !tag &anchor [[[1]]]", Some(1));
        check("- - ? [[{}]]", Some(1));
        check("--- [[[1]]]", Some(1));
        check("[[[", Some(1));
    }

    #[test]
    fn brackets_of_texts_and_comments_do_not_count() {
        check("a: '[[[ it''s [[['\nb: \"[[[ \\\" [[[\"\nc: x [[[ y\nd: it's [[[ # [[[\n# [[[\ne: [1]", None);
        check("a: 'one\n  [[[\n  two'\nb: [[[1]]]", Some(4));
        check("a: \"[\\\\\"\nb: [[{}]]", Some(2));
        check("a: [\"[[[\", '{{{', x]\nb: []", None);
    }

    #[test]
    fn the_lines_of_a_block_are_text() {
        check("a: |\n  [[[\n\n  [[[\nb: [[[1]]]", Some(5));
        check("a:\n  - b: >-  # folded\n      [[[\n    c: [[[1]]]", Some(4));
        check("- |2\n  [[[\n- [[[1]]]", Some(3));
        check("--- |\n[[[\n[[[\n--- [[[1]]]", Some(4));
        check("a: b |\nc: [[[1]]]", Some(2));
        check("a: [x, |\n  [[1]]]", Some(2));
    }
}
