//! `RunSnapshot`: a run's state as records of the events topic, so that recovery need not begin at the run's first one.
//!
//! First a *mark*, which has nothing but an id: its offset is the exact place in the log that the state is of. When the
//! leader reads it back it writes the state as it is then, packed, in *parts* that name that offset.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{Read, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use orch_core::id::Epoch;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::Malformed;
use crate::answer::{Text, epoch, required};

/// Packed bytes of one part: as base64, and with what stands around it, below the size of a record.
const PART_BYTES: usize = 360 * 1024;
/// A state of a million objects takes a tenth of it.
const MAX_PARTS: u32 = 512;
/// Unpacked. What is larger was not written by us.
const MAX_TEXT_BYTES: u64 = 1024 * 1024 * 1024;

/// A `RunSnapshot` as it is read.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    /// Uid of the run.
    pub run_uid: Cow<'a, str>,
    /// Term of the leader.
    pub epoch: Epoch,
    /// Which one: what the mark and its parts share.
    pub id: Cow<'a, str>,
    /// `None`: this is the mark.
    pub part: Option<Part<'a>>,
}

/// One part of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Offset of the mark.
    pub at: i64,
    /// From 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// `sha256:<hex>` of all parts together, packed.
    pub digest: Cow<'a, str>,
    /// Packed bytes as base64.
    pub data: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Form<'a> {
    #[serde(borrow)]
    run_uid: Option<Text<'a>>,
    epoch: Option<Epoch>,
    #[serde(borrow)]
    snapshot: Option<Text<'a>>,
    at: Option<i64>,
    part: Option<u32>,
    parts: Option<u32>,
    #[serde(borrow)]
    digest: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

/// Reads a `RunSnapshot`. Rare, so it has a form of its own: the other records are read faster without its fields.
pub(crate) fn decode<'a>(value: &'a [u8]) -> Result<Snapshot<'a>, Malformed> {
    let form: Form<'a> = serde_json::from_slice(value)?;
    let part = match form.at {
        None => None,
        Some(at) => {
            let (number, of) = form.part.zip(form.parts).ok_or(Malformed::Missing("part"))?;
            if at < 0 || of > MAX_PARTS || number >= of {
                return Err(Malformed::Invalid("part"));
            }
            let (digest, data) = (required(form.digest, "digest")?, required(form.data, "data")?);
            Some(Part { at, number, of, digest, data })
        }
    };
    Ok(Snapshot {
        run_uid: required(form.run_uid, "run_uid")?,
        epoch: epoch(form.epoch)?,
        id: required(form.snapshot, "snapshot")?,
        part,
    })
}

/// Packs the text of a state into the parts of the snapshot whose mark is at `at`.
pub fn pack(text: &str, at: i64) -> Vec<Part<'static>> {
    // Writing to memory cannot fail.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let _ = packed.write_all(text.as_bytes());
    let packed = packed.finish().unwrap_or_default();
    let digest = digest(&packed);
    let pieces = packed.chunks(PART_BYTES);
    let of = pieces.len() as u32;
    let part = |(number, piece): (u32, &[u8])| Part {
        at,
        number,
        of,
        digest: digest.clone().into(),
        data: STANDARD.encode(piece).into(),
    };
    (0..).zip(pieces).map(part).collect()
}

fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Why parts are no state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokenSnapshot {
    /// Parts of different states have the same mark.
    #[error("its parts do not belong together")]
    Mixed,
    /// No base64.
    #[error("part {0} is not base64")]
    Base64(u32),
    /// A part was changed.
    #[error("its parts together are not what they say")]
    Digest,
    /// No gzip, no text, or far too large.
    #[error("it cannot be unpacked: {0}")]
    Packing(String),
}

/// Gathers the parts of one snapshot, in whatever order they come.
#[derive(Debug, Clone)]
pub struct Assembly {
    id: String,
    at: i64,
    digest: String,
    parts: Vec<Option<Vec<u8>>>,
}

impl Assembly {
    /// Nothing was read but the mark.
    pub fn new(id: &str, at: i64) -> Self {
        Self { id: id.to_owned(), at, digest: String::new(), parts: Vec::new() }
    }

    /// Offset of the mark.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Takes a part; one of another snapshot is passed over. With the last one it gives all of them together, packed.
    pub fn take(&mut self, id: &str, part: &Part<'_>) -> Result<Option<Vec<u8>>, BrokenSnapshot> {
        if id != self.id || part.at != self.at {
            return Ok(None);
        }
        if self.parts.is_empty() {
            self.digest = part.digest.clone().into_owned();
            self.parts = vec![None; part.of as usize];
        }
        if self.digest != part.digest || self.parts.len() != part.of as usize {
            return Err(BrokenSnapshot::Mixed);
        }
        let bytes = STANDARD.decode(part.data.as_bytes()).map_err(|_| BrokenSnapshot::Base64(part.number))?;
        let Some(place) = self.parts.get_mut(part.number as usize) else { return Err(BrokenSnapshot::Mixed) };
        *place = Some(bytes);
        let Some(pieces) = self.parts.iter().map(Option::as_deref).collect::<Option<Vec<&[u8]>>>() else {
            return Ok(None);
        };
        let packed = pieces.concat();
        if digest(&packed) == self.digest { Ok(Some(packed)) } else { Err(BrokenSnapshot::Digest) }
    }
}

/// The text that was packed.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, BrokenSnapshot> {
    let mut text = Vec::new();
    let mut reader = GzDecoder::new(packed).take(MAX_TEXT_BYTES + 1);
    reader.read_to_end(&mut text).map_err(|error| BrokenSnapshot::Packing(error.to_string()))?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(BrokenSnapshot::Packing(format!("more than {MAX_TEXT_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that does not shrink much.
    fn text(bytes: usize) -> String {
        let mut state = 1_u64;
        let letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b' ' + (state >> 58) as u8)
        };
        (0..bytes).map(letter).collect()
    }

    fn assembled(parts: &[Part<'_>]) -> Result<Option<Vec<u8>>, BrokenSnapshot> {
        let mut assembly = Assembly::new("1.1", 7);
        let mut all = Ok(None);
        for part in parts {
            all = assembly.take("1.1", part);
        }
        all
    }

    #[test]
    fn parts_come_back_together_in_any_order_and_more_than_once() {
        let text = text(1_500_000);
        let mut parts = pack(&text, 7);
        assert!(parts.len() > 2, "{}", parts.len());
        assert!(parts.iter().all(|part| part.data.len() < crate::MAX_RECORD_BYTES - 4_096));
        parts.reverse();
        parts.insert(1, parts[0].clone());
        let packed = assembled(&parts).unwrap().unwrap();
        assert_eq!(unpack(&packed).unwrap(), text.as_bytes());
        assert_eq!(assembled(&parts[..parts.len() - 1]).unwrap(), None, "one is missing");
        let mut others = Assembly::new("1.2", 7);
        assert!(parts.iter().all(|part| others.take("1.1", part) == Ok(None)), "of another snapshot");
    }

    #[test]
    fn parts_that_are_not_as_they_were_written_are_refused() {
        let parts = pack(&text(1_500_000), 7);
        let with = |change: fn(&mut Part<'_>)| {
            let mut changed = parts.clone();
            change(&mut changed[1]);
            assembled(&changed[..2]).err().or_else(|| assembled(&changed).err())
        };
        assert_eq!(with(|part| part.data = "*".into()), Some(BrokenSnapshot::Base64(1)));
        assert_eq!(with(|part| part.data = "AAAA".into()), Some(BrokenSnapshot::Digest));
        assert_eq!(with(|part| part.of += 1), Some(BrokenSnapshot::Mixed));
        assert_eq!(with(|part| part.digest = "sha256:0".into()), Some(BrokenSnapshot::Mixed));
        assert!(matches!(unpack(b"junk"), Err(BrokenSnapshot::Packing(_))));
    }

    #[test]
    fn fields_that_make_no_sense_are_malformed() {
        let decoded = |part: &str| {
            decode(format!(r#"{{"run_uid":"u","epoch":1,"snapshot":"1.1"{part}}}"#).as_bytes()).map(|_| ())
        };
        assert!(decoded("").is_ok());
        assert!(decoded(r#","at":7,"part":0,"parts":1,"digest":"d","data":"AA==""#).is_ok());
        for wrong in [
            r#","at":-1,"part":0,"parts":1,"digest":"d","data":"AA==""#,
            r#","at":7,"part":1,"parts":1,"digest":"d","data":"AA==""#,
            r#","at":7,"part":0,"parts":4294967295,"digest":"d","data":"AA==""#,
            r#","at":7,"part":0,"parts":1,"digest":"d""#,
            r#","at":7,"part":-1,"parts":1,"digest":"d","data":"AA==""#,
            r#","at":7,"digest":"d","data":"AA==""#,
        ] {
            assert!(decoded(wrong).is_err(), "{wrong}");
        }
    }
}
