//! Objects in immutable ConfigMaps, as JSON arrays compressed with gzip.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::entry::Entries;
use crate::error::CliError;

/// The key that holds the objects.
pub(super) const KEY: &str = "objects.json.gz";

/// A chunk is closed when it has so many compressed bytes: with what is still in the compressor and as base64 it stays
/// below the 256 KiB that `kubectl apply` can keep in its annotation, and far below the 1 MiB of a ConfigMap.
const FULL_BYTES: usize = 160 << 10;
/// The compressor is emptied, and its output measured, after so many bytes of JSON.
const MEASURE_BYTES: usize = 16 << 10;
/// A chunk is closed when it has so many bytes of JSON: whoever reads it unpacks it in memory.
const FULL_TEXT_BYTES: usize = 16 << 20;
/// What one ConfigMap may hold.
const MAX_BYTES: usize = 1_000 << 10;

/// The ConfigMaps of a run's objects, in order. A name ends in the checksum of what it holds: other objects never meet
/// an immutable ConfigMap of the same name.
pub(super) fn config_maps(run: &str, entries: &Entries<'_>) -> Result<Vec<ConfigMap>, CliError> {
    let mut maps = Vec::new();
    let mut chunk = Chunk::new();
    for json in entries.json() {
        chunk.push(&json?)?;
        if chunk.is_full() {
            let full = std::mem::replace(&mut chunk, Chunk::new());
            maps.push(config_map(run, maps.len(), full.finish()?)?);
        }
    }
    if chunk.text_bytes > 0 {
        maps.push(config_map(run, maps.len(), chunk.finish()?)?);
    }
    Ok(maps)
}

fn config_map(run: &str, at: usize, gzip: Vec<u8>) -> Result<ConfigMap, CliError> {
    if gzip.len() > MAX_BYTES {
        let problem = format!("an object near the end of chunk {at} is too large for a ConfigMap of 1 MiB");
        return Err(CliError::usage(problem, "keep large values outside and name them in `params`"));
    }
    // A gzip member ends in the CRC-32 of its text and the length of the text (RFC 1952).
    let checksum =
        gzip.last_chunk::<8>().map_or(0, |end| u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    Ok(ConfigMap {
        metadata: ObjectMeta {
            name: Some(format!("{run}-objects-{at}-{checksum:08x}")),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        binary_data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(gzip))])),
        data: None,
    })
}

struct Chunk {
    gzip: GzEncoder<Vec<u8>>,
    text_bytes: usize,
    unmeasured_bytes: usize,
}

impl Chunk {
    fn new() -> Self {
        Self { gzip: GzEncoder::new(Vec::new(), Compression::default()), text_bytes: 0, unmeasured_bytes: 0 }
    }

    fn push(&mut self, json: &str) -> Result<(), CliError> {
        let separator: &[u8] = if self.text_bytes == 0 { b"[" } else { b",\n" };
        self.gzip
            .write_all(separator)
            .and_then(|()| self.gzip.write_all(json.as_bytes()))
            .map_err(in_memory)?;
        self.text_bytes += json.len() + separator.len();
        self.unmeasured_bytes += json.len();
        if self.unmeasured_bytes >= MEASURE_BYTES {
            self.gzip.flush().map_err(in_memory)?;
            self.unmeasured_bytes = 0;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.gzip.get_ref().len() >= FULL_BYTES || self.text_bytes >= FULL_TEXT_BYTES
    }

    fn finish(mut self) -> Result<Vec<u8>, CliError> {
        self.gzip.write_all(b"]").map_err(in_memory)?;
        self.gzip.finish().map_err(in_memory)
    }
}

fn in_memory(source: std::io::Error) -> CliError {
    CliError::Write { what: "a compressed chunk in memory".to_owned(), source }
}
