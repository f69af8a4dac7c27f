//! A Rust source, split into what is code and what is comment.

use std::ops::Range;

use crate::tree::File;

/// Three views of a file, all of the same length, so that an offset means the same in each.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The file as it is.
    pub file: &'a File,
    /// Comments and the contents of texts are blank; quotes stay.
    pub code: String,
    /// Everything but comments is blank.
    pub comments: String,
}

/// One function with a body.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// From `fn` to the brace that ends its body.
    pub span: Range<usize>,
}

impl<'a> Source<'a> {
    /// Splits a file.
    pub fn new(file: &'a File) -> Self {
        let (code, comments) = Splitter::split(file.text.as_bytes());
        Self { file, code, comments }
    }

    /// Every function that has a body, in the order of their beginnings; one inside another is listed as well.
    pub fn functions(&self) -> Vec<Function> {
        words(&self.code, "fn").filter_map(|at| self.function(at)).collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let rest = &self.code[at + 2..];
        let name: String = rest.trim_start().chars().take_while(|c| is_name(*c)).collect();
        let open = at + 2 + body_of(rest).filter(|_| !name.is_empty())?;
        Some(Function { name, span: at..self.end_of_block(open) })
    }

    /// The offset behind the brace that closes the one at `open`.
    fn end_of_block(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, byte) in self.code.bytes().enumerate().skip(open) {
            match byte {
                b'{' => depth += 1,
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        self.code.len()
    }

    /// The innermost function that the offset lies in.
    pub fn function_around(&self, offset: usize) -> Option<Function> {
        self.functions().into_iter().rfind(|function| function.span.contains(&offset))
    }

    /// Whether the offset belongs to a test: the file does, or a module of the file that is compiled for tests only.
    pub fn is_test(&self, offset: usize) -> bool {
        let modules = self.code.match_indices("#[cfg(test)]").filter_map(|(at, mark)| {
            let rest = &self.code[at + mark.len()..];
            rest.trim_start().starts_with("mod ").then_some(())?;
            let open =
                at + mark.len() + rest.find(['{', ';']).filter(|open| rest.as_bytes()[*open] == b'{')?;
            Some(at..self.end_of_block(open))
        });
        self.file.is_test() || modules.into_iter().any(|module| module.contains(&offset))
    }

    /// The modules that stand in files of their own: name, and the path of an attribute `path`.
    pub fn modules(&self) -> Vec<(String, Option<String>)> {
        let module = |at: usize| {
            let rest = &self.code[at + 3..];
            let name: String = rest.trim_start().chars().take_while(|c| is_name(*c)).collect();
            let tail = rest.trim_start()[name.len()..].trim_start();
            if name.is_empty() || !tail.starts_with(';') {
                return None;
            }
            let before = self.code[..at].rfind([';', '{', '}']).map_or(0, |end| end + 1);
            Some((name, path_attribute(&self.code[before..at], &self.file.text[before..at])))
        };
        words(&self.code, "mod").filter_map(module).collect()
    }
}

/// The offset of the brace that opens a function's body; `None` for a declaration without one.
fn body_of(rest: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' | b'}' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn path_attribute(code: &str, text: &str) -> Option<String> {
    let at = words(code, "path").last()?;
    text[at..].split('"').nth(1).map(str::to_owned)
}

/// Where `word` stands as a word of its own.
pub fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        // A macro's `!` ends a name by itself.
        let goes_on = word.ends_with(is_name) && after.is_some_and(is_name);
        !(before.is_some_and(is_name) || goes_on)
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a byte of the source goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    /// The inside of a text.
    Text,
}

struct Splitter<'a> {
    bytes: &'a [u8],
    at: usize,
    code: Vec<u8>,
    comments: Vec<u8>,
}

impl<'a> Splitter<'a> {
    fn split(bytes: &'a [u8]) -> (String, String) {
        let mut splitter = Self {
            bytes,
            at: 0,
            code: Vec::with_capacity(bytes.len()),
            comments: Vec::with_capacity(bytes.len()),
        };
        while splitter.at < bytes.len() {
            splitter.next();
        }
        // Whole characters are kept or blanked, never a part of one.
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(splitter.code), text(splitter.comments))
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn take(&mut self, part: Part) {
        let byte = self.peek(0);
        let blank = if byte == b'\n' { b'\n' } else { b' ' };
        self.code.push(if part == Part::Code { byte } else { blank });
        self.comments.push(if part == Part::Comment { byte } else { blank });
        self.at += 1;
    }

    fn next(&mut self) {
        let after_name = self.at > 0 && is_name(char::from(self.bytes[self.at - 1]));
        match (self.peek(0), self.peek(1)) {
            (b'/', b'/') => {
                while self.at < self.bytes.len() && self.peek(0) != b'\n' {
                    self.take(Part::Comment);
                }
            }
            (b'/', b'*') => self.block_comment(),
            (b'"', _) => self.text(),
            (b'r', b'"' | b'#') if !after_name => self.raw_text(1),
            (b'b' | b'c', b'r') if !after_name && matches!(self.peek(2), b'"' | b'#') => self.raw_text(2),
            (b'\'', _) => self.character(),
            _ => self.take(Part::Code),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.take(Part::Comment);
                    continue;
                }
            }
            self.take(Part::Comment);
            self.take(Part::Comment);
            if depth == 0 {
                return;
            }
        }
    }

    fn text(&mut self) {
        self.take(Part::Code);
        while self.at < self.bytes.len() && self.peek(0) != b'"' {
            if self.peek(0) == b'\\' {
                self.take(Part::Text);
            }
            if self.at < self.bytes.len() {
                self.take(Part::Text);
            }
        }
        if self.at < self.bytes.len() {
            self.take(Part::Code);
        }
    }

    /// `r"..."`, `r#"..."#`; `r#name` is a name. `prefix`: the letters in front.
    fn raw_text(&mut self, prefix: usize) {
        let mut hashes = 0;
        while self.peek(prefix + hashes) == b'#' {
            hashes += 1;
        }
        if self.peek(prefix + hashes) != b'"' {
            return self.take(Part::Code);
        }
        (0..=prefix + hashes).for_each(|_| self.take(Part::Code));
        let end: Vec<u8> = [b'"'].into_iter().chain(std::iter::repeat_n(b'#', hashes)).collect();
        while self.at < self.bytes.len() && !self.bytes[self.at..].starts_with(&end) {
            self.take(Part::Text);
        }
        for _ in 0..end.len().min(self.bytes.len() - self.at) {
            self.take(Part::Code);
        }
    }

    /// `'x'`, `'\n'`, `'é'`; else it is a lifetime.
    fn character(&mut self) {
        let width = match self.peek(1) {
            b'\\' => {
                self.bytes[self.at + 2..].iter().skip(1).position(|byte| *byte == b'\'').map(|end| end + 2)
            }
            first => {
                let width = if first < 0x80 { 1 } else { first.leading_ones() as usize };
                (self.peek(1 + width) == b'\'').then_some(width)
            }
        };
        self.take(Part::Code);
        if let Some(width) = width {
            (0..width).for_each(|_| self.take(Part::Text));
            self.take(Part::Code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "a/src/lib.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn comments_and_texts_are_told_from_code() {
        let cases = [
            ("a // b\nc", "a     \nc", "  // b\n "),
            ("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  "),
            (r#"f("x // \" y") g"#, r#"f("         ") g"#, "                "),
            (r##"r#"a " b"# c"##, r##"r#"     "# c"##, "            "),
            (r"'\'' 'x' 'a: x", r"'  ' ' ' 'a: x", "              "),
            ("r#type b\"z\"", "r#type b\" \"", "           "),
            ("'é' // é", "'  '      ", "     // é"),
        ];
        for (text, code, comments) in cases {
            let file = file(text);
            let source = Source::new(&file);
            assert_eq!((source.code.as_str(), source.comments.as_str()), (code, comments), "{text}");
        }
    }

    #[test]
    fn functions_have_their_extent() {
        let file = file(
            "trait T { fn a(&self) -> [u8; 2]; }\nfn b(f: fn(u8)) -> u8\nwhere u8: Copy {\n  fn c() {}\n  1\n}\n",
        );
        let source = Source::new(&file);
        let found: Vec<_> =
            source.functions().into_iter().map(|f| (f.name, source.code[f.span].lines().count())).collect();
        assert_eq!(found, [("b".to_owned(), 5), ("c".to_owned(), 1)]);
        let inner = source.code.find("{}").unwrap();
        assert_eq!(source.function_around(inner).unwrap().name, "c");
    }

    #[test]
    fn modules_in_files_of_their_own_are_found() {
        let file =
            file("mod a;\n#[path = \"../x/y.rs\"]\npub(crate) mod b;\nmod inline { mod c; }\n// mod d;\n");
        let own = |name: &str| (name.to_owned(), None);
        let expected = [own("a"), ("b".to_owned(), Some("../x/y.rs".to_owned())), own("c")];
        assert_eq!(Source::new(&file).modules(), expected);
    }

    #[test]
    fn a_module_for_tests_is_known() {
        let file = file("fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n");
        let source = Source::new(&file);
        let is_test = |name: &str| source.is_test(source.code.find(name).unwrap());
        assert_eq!([is_test("a()"), is_test("b()"), is_test("c()")], [false, true, false]);
    }

    #[test]
    fn a_word_is_not_a_part_of_another() {
        let found = |text, word| words(text, word).count();
        assert_eq!(found("kube::Api kubelet a_kube kube", "kube"), 2);
        assert_eq!(found("todo!() mytodo!()", "todo!"), 1);
        assert_eq!(found("\\uXXXX XXX", "XXX"), 1);
    }
}
