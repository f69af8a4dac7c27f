//! What a command says, in bounded memory: the end of everything, and the last line of each stream. No I/O.

use orch_wire::MAX_OUTPUTS_BYTES;

/// Longest line that is kept whole.
const MAX_LINE_BYTES: usize = MAX_OUTPUTS_BYTES;

/// Both streams of a command.
#[derive(Debug, Default)]
pub(crate) struct Said {
    tail: Vec<u8>,
    stdout: LastLine,
    stderr: LastLine,
}

impl Said {
    /// The command wrote to its standard output.
    pub(crate) fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.push(bytes);
        self.keep(bytes);
    }

    /// The command wrote to its standard error.
    pub(crate) fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.push(bytes);
        self.keep(bytes);
    }

    /// The last line of the standard output that is not blank.
    pub(crate) fn last_stdout(&self) -> Line<'_> {
        self.stdout.get()
    }

    /// The last line of the standard error that is not blank.
    pub(crate) fn last_stderr(&self) -> Line<'_> {
        self.stderr.get()
    }

    /// The end of both streams, in the order in which it came.
    pub(crate) fn tail(&self) -> String {
        // What a terminal would do with bytes that are not UTF-8 differs; here they become replacement characters.
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(MAX_OUTPUTS_BYTES)..]);
        let surplus = self.tail.len().saturating_sub(MAX_OUTPUTS_BYTES);
        self.tail.drain(..surplus);
    }
}

/// A line as it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its beginning, at most [`MAX_LINE_BYTES`].
    pub(crate) bytes: &'a [u8],
    /// How long it was.
    pub(crate) length: usize,
}

impl Line<'_> {
    /// The line as text, without white space around it; `None` for a blank one.
    pub(crate) fn text(&self) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes);
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether its end is missing.
    pub(crate) fn is_cut(&self) -> bool {
        self.length > self.bytes.len()
    }
}

/// The last line of a stream that is not blank.
#[derive(Debug, Default)]
struct LastLine {
    last: Kept,
    current: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    length: usize,
}

impl LastLine {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = piece.strip_suffix(b"\n");
            self.current.push(line.unwrap_or(piece));
            if line.is_some() {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        if !self.current.is_blank() {
            std::mem::swap(&mut self.last, &mut self.current);
        }
        self.current.bytes.clear();
        self.current.length = 0;
    }

    fn get(&self) -> Line<'_> {
        let kept = if self.current.is_blank() { &self.last } else { &self.current };
        Line { bytes: &kept.bytes, length: kept.length }
    }
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len();
    }

    fn is_blank(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_of(pieces: &[&str]) -> Option<String> {
        let mut said = Said::default();
        for piece in pieces {
            said.stdout(piece.as_bytes());
        }
        said.last_stdout().text()
    }

    #[test]
    fn the_last_line_is_the_last_one_that_is_not_blank() {
        let cases: [(&[&str], Option<&str>); 7] = [
            (&[], None),
            (&["\n \n"], None),
            (&["one\ntwo"], Some("two")),
            (&["one\ntwo\n\n  \n"], Some("two")),
            (&["o", "ne", "\n"], Some("one")),
            (&["one\n", "t", "wo\r\n"], Some("two")),
            (&["one\n\ttwo  "], Some("two")),
        ];
        for (pieces, expected) in cases {
            assert_eq!(last_of(pieces).as_deref(), expected, "{pieces:?}");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_end_is_kept() {
        let mut said = Said::default();
        for _ in 0..1_000 {
            said.stdout(&[b'x'; 10_000]);
        }
        said.stderr(b"\nat last\n");
        let line = said.last_stdout();
        assert!(line.is_cut());
        assert_eq!((line.bytes.len(), line.length), (MAX_LINE_BYTES, 10_000_000));
        assert_eq!(said.last_stderr().text().as_deref(), Some("at last"));
        assert_eq!(said.tail().len(), MAX_OUTPUTS_BYTES);
        assert!(said.tail().ends_with("xx\nat last\n"));
        assert!(said.tail.capacity() < 64 * 1024);
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let mut said = Said::default();
        said.stderr(b"caf\xe9\n");
        assert_eq!(said.last_stderr().text().as_deref(), Some("caf\u{fffd}"));
    }
}
