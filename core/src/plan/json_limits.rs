//! What JSON text may hold so that every reader of it agrees: integers up to 2^53 - 1, bounded nesting, whole
//! characters. One pass over the bytes, without a tree. The text is taken to be well-formed.

use super::nesting::{MAX_DEPTH, is_deeper_than};
use crate::id::MAX_SAFE_INTEGER;

/// Something in a JSON text that not every reader keeps.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault<'t> {
    /// An integer beyond 2^53 - 1, or a number beyond what a double holds; with the last key before it.
    UnsafeNumber {
        /// As written.
        number: &'t str,
        /// As written between its quotes; empty outside of objects.
        key: &'t str,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// An escape such as `\ud800` that is half a character.
    HalfCharacter {
        /// As written.
        escape: &'t str,
    },
}

/// All faults in their order; [`Fault::TooDeep`] at most once.
pub(super) fn faults(text: &str) -> Vec<Fault<'_>> {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0, last_string: "", key: "", faults: Vec::new() };
    scan.run();
    scan.faults
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    last_string: &'t str,
    key: &'t str,
    faults: Vec<Fault<'t>>,
}

impl Scan<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'-' | b'0'..=b'9' => self.number(),
                b':' => {
                    self.key = self.last_string;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        if is_deeper_than(self.bytes, MAX_DEPTH) {
            self.faults.push(Fault::TooDeep);
        }
    }

    /// From a quote to behind its partner.
    fn string(&mut self) {
        let begin = self.at + 1;
        self.at = begin;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' if self.bytes.get(self.at + 1) == Some(&b'u') => self.unicode_escape(),
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.last_string = self.text.get(begin..self.at).unwrap_or_default();
        self.at += 1;
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode_escape(&mut self) {
        let begin = self.at;
        let first = self.code_unit(begin);
        self.at = (begin + 6).min(self.bytes.len());
        let whole = match first {
            Some(0xD800..=0xDBFF) => {
                let paired = matches!(self.code_unit(self.at), Some(0xDC00..=0xDFFF));
                self.at += if paired { 6 } else { 0 };
                paired
            }
            Some(0xDC00..=0xDFFF) => false,
            _ => true,
        };
        if !whole {
            self.faults
                .push(Fault::HalfCharacter { escape: self.text.get(begin..begin + 6).unwrap_or_default() });
        }
    }

    fn code_unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) {
        let begin = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let number = &self.text[begin..self.at];
        if !is_safe(number) {
            self.faults.push(Fault::UnsafeNumber { number, key: self.key });
        }
    }
}

/// Whether every JSON reader keeps the number: integers up to 2^53 - 1 exactly, others as the nearest double.
fn is_safe(number: &str) -> bool {
    // Fifteen digits are below 2^53.
    if number.len() <= 15 && !number.contains(['e', 'E']) {
        return true;
    }
    if number.contains(['.', 'e', 'E']) {
        return number.parse::<f64>().is_ok_and(f64::is_finite);
    }
    number.trim_start_matches('-').parse::<u64>().is_ok_and(|n| n <= MAX_SAFE_INTEGER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = faults(text)
            .iter()
            .map(|fault| match fault {
                Fault::UnsafeNumber { number, key } => format!("{key}={number}"),
                Fault::TooDeep => "deep".to_owned(),
                Fault::HalfCharacter { escape } => (*escape).to_owned(),
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn integers_up_to_2_to_the_53_are_safe() {
        check(r#"{"a":9007199254740991,"b":-9007199254740991,"c":[0,-1,500.0]}"#, &[]);
        check(
            r#"{"a":9007199254740992,"b":[{"c":-9007199254740992}]}"#,
            &["a=9007199254740992", "c=-9007199254740992"],
        );
        check("99999999999999999999999999", &["=99999999999999999999999999"]);
    }

    #[test]
    fn fractions_and_exponents_are_doubles_and_must_be_finite() {
        check(r#"{"a":0.12345678901234567890,"b":1e300,"c":9007199254740993.0,"d":1E+9}"#, &[]);
        check(r#"{"a":1e309,"b":-1e999}"#, &["a=1e309", "b=-1e999"]);
    }

    #[test]
    fn texts_are_not_numbers() {
        check(
            r#"{"a":"9007199254740993","b\"":"\\","c":"é 99999999999999999999","d":"\"9007199254740993"}"#,
            &[],
        );
        check(r#"{"a\"b":9007199254740993}"#, &[r#"a\"b=9007199254740993"#]);
    }

    #[test]
    fn half_characters_are_found() {
        check(r#"["\ud83d\ude00","\u00e9","\\ud800"]"#, &[]);
        check(r#"["\ud800","\ude00x","\ud800\u0041"]"#, &["\\ud800", "\\ude00", "\\ud800"]);
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(100), &[]);
        check(&nested(101), &["deep"]);
        check(&nested(100_000), &["deep"]);
    }

    #[test]
    fn broken_text_ends_the_scan_and_nothing_else() {
        for text in ["\"", "\"\\", "\"\\u", "\"\\ud8", "\"\\u00é", "-", "{\"a\":", "]]]"] {
            let _ = faults(text);
        }
    }
}
