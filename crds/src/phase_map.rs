//! The codec of `status.phaseMap`: one letter an object, compressed. Equal letters give equal text, so that an
//! unchanged status stays equal.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use orch_core::{grouped, limits};
use thiserror::Error;

use crate::status::PhaseMap;

/// How the letters are written.
const ENCODING: &str = "gzip+base64";
/// In which order they stand.
const ORDER: &str = "spec";

/// Why a phase map cannot be read.
#[derive(Debug, Error)]
pub enum InvalidPhaseMap {
    /// It is written in a way that this version does not know.
    #[error("a phaseMap with encoding `{0}` and order `{1}` is not known here; use a newer orch")]
    Unknown(String, String),
    /// It is damaged.
    #[error("the phaseMap is damaged: {0}")]
    Damaged(String),
}

impl PhaseMap {
    /// Packs the letters, in the order of the plan.
    pub fn encode(letters: &str) -> Self {
        let mut gzip = GzEncoder::new(Vec::with_capacity(letters.len() / 8), Compression::default());
        // Writing into memory cannot fail; should it, an empty map says so to every reader.
        let packed = gzip.write_all(letters.as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
        Self { encoding: ENCODING.to_owned(), order: ORDER.to_owned(), data: STANDARD.encode(packed) }
    }

    /// Unpacks the letters.
    pub fn decode(&self) -> Result<String, InvalidPhaseMap> {
        if self.encoding != ENCODING || self.order != ORDER {
            return Err(InvalidPhaseMap::Unknown(self.encoding.clone(), self.order.clone()));
        }
        let packed = STANDARD.decode(&self.data).map_err(|e| InvalidPhaseMap::Damaged(e.to_string()))?;
        let mut letters = String::new();
        GzDecoder::new(packed.as_slice())
            .take(limits::OBJECTS as u64 + 1)
            .read_to_string(&mut letters)
            .map_err(|e| InvalidPhaseMap::Damaged(e.to_string()))?;
        if letters.len() > limits::OBJECTS {
            let problem = format!("no run has more than {} objects", grouped(limits::OBJECTS));
            return Err(InvalidPhaseMap::Damaged(problem));
        }
        Ok(letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_survive_and_equal_letters_give_equal_text() {
        for letters in ["", "LLFB-X", &"PRQNTL".repeat(20_000)] {
            let map = PhaseMap::encode(letters);
            assert_eq!(map.decode().unwrap(), letters);
            assert_eq!(map, PhaseMap::encode(letters));
        }
    }

    /// A few bytes of gzip can become gigabytes, and somebody else may have written them.
    #[test]
    fn what_unpacks_to_more_than_a_run_may_have_is_refused() {
        let most = PhaseMap::encode(&"L".repeat(limits::OBJECTS));
        assert_eq!(most.decode().unwrap().len(), limits::OBJECTS);
        let more = PhaseMap::encode(&"L".repeat(limits::OBJECTS + 1)).decode().unwrap_err();
        assert_eq!(more.to_string(), "the phaseMap is damaged: no run has more than 1,000,000 objects");
    }

    /// The limit of objects follows from it: `orch_core::limits`.
    #[test]
    fn the_letters_of_the_largest_run_fit_into_a_status() {
        const LETTERS: &[u8] = b"PRQNTLCFBSX-";
        let mut seed = 1_u64;
        let letters = (0..limits::OBJECTS).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(LETTERS[(seed >> 33) as usize % LETTERS.len()])
        });
        let kib = PhaseMap::encode(&letters.collect::<String>()).data.len() >> 10;
        assert!(kib < 700, "{kib} KiB of 900");
    }

    #[test]
    fn what_is_damaged_or_unknown_is_refused() {
        let good = PhaseMap::encode("LLL");
        for data in ["%", "AAAA", ""] {
            let map = PhaseMap { data: data.to_owned(), ..good.clone() };
            assert!(matches!(map.decode(), Err(InvalidPhaseMap::Damaged(_))), "{data}");
        }
        let map = PhaseMap { encoding: "zstd".to_owned(), ..good };
        assert!(matches!(map.decode(), Err(InvalidPhaseMap::Unknown(..))));
    }
}
