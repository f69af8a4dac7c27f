//! From bytes to text: gzip, byte order marks, encodings.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::finding::{Finding, FindingKind};

/// Largest file after decompression: a million objects with a record of a thousand bytes each.
pub(super) const FILE_MAX_BYTES: usize = 1 << 30;
/// Largest `ConfigMap` entry after decompression. The entry itself has at most a mebibyte, and a few bytes of gzip can
/// become a gigabyte.
pub(super) const CHUNK_MAX_BYTES: usize = 128 << 20;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const UTF8_MARK: char = '\u{feff}';

/// Why bytes are no text, and how many they were when that was seen: to unpack them has its price all the same.
pub(super) struct NoText {
    pub(super) findings: Vec<Finding>,
    pub(super) unpacked_bytes: usize,
}

/// The text of a source: decompressed when it begins like gzip, without a byte order mark.
pub(super) fn decode<'b>(name: &str, bytes: &'b [u8], max_bytes: usize) -> Result<Cow<'b, str>, NoText> {
    let (plain, broken) = if bytes.starts_with(&GZIP_MAGIC) {
        let (plain, broken) = decompress(name, bytes, max_bytes);
        (Cow::Owned(plain), broken)
    } else {
        (Cow::Borrowed(bytes), None)
    };
    let unpacked_bytes = plain.len();
    let no_text = |findings| NoText { findings, unpacked_bytes };
    if unpacked_bytes > max_bytes {
        return Err(no_text(too_large(name, max_bytes)));
    }
    if let Some(broken) = broken {
        return Err(no_text(vec![broken]));
    }
    text(name, plain).map_err(no_text)
}

fn text<'b>(name: &str, plain: Cow<'b, [u8]>) -> Result<Cow<'b, str>, Vec<Finding>> {
    match plain {
        Cow::Borrowed(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(name, bytes, error))?;
            Ok(Cow::Borrowed(text.trim_start_matches(UTF8_MARK)))
        }
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) if text.starts_with(UTF8_MARK) => {
                Ok(Cow::Owned(text.trim_start_matches(UTF8_MARK).to_owned()))
            }
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => Err(not_utf8(name, error.as_bytes(), error.utf8_error())),
        },
    }
}

/// At most one byte more than fit, and what is wrong with the rest.
fn decompress(name: &str, bytes: &[u8], max_bytes: usize) -> (Vec<u8>, Option<Finding>) {
    let mut plain = Vec::with_capacity(bytes.len().saturating_mul(4).min(max_bytes));
    let mut decoder = MultiGzDecoder::new(bytes).take(max_bytes as u64 + 1);
    let broken = decoder.read_to_end(&mut plain).err().map(|error| {
        let problem = format!("it begins like gzip and cannot be decompressed: {error}");
        let remedy = "the file may be cut off: write it again";
        Finding::new(FindingKind::Malformed, name, problem, remedy)
    });
    (plain, broken)
}

fn too_large(name: &str, max_bytes: usize) -> Vec<Finding> {
    let problem = format!("it holds more than {} MiB of text", max_bytes >> 20);
    vec![Finding::new(FindingKind::TooLarge, name, problem, "split it into several runs")]
}

fn not_utf8(name: &str, bytes: &[u8], error: std::str::Utf8Error) -> Vec<Finding> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let problem = "it is written in UTF-16";
        return vec![Finding::new(FindingKind::Malformed, name, problem, "save it as UTF-8")];
    }
    let at = error.valid_up_to();
    let (line, column) = position(bytes, at);
    let byte = bytes.get(at).copied().unwrap_or_default();
    let place = format!("{name} line {line} column {column}");
    let problem = format!("the byte 0x{byte:02x} is not UTF-8");
    vec![Finding::new(FindingKind::Malformed, place, problem, "save it as UTF-8")]
}

/// Line and column, both from 1, of the byte at this offset; the column counts bytes, as JSON readers do.
pub(super) fn position(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}
