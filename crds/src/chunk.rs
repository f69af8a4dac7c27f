//! A ConfigMap's share of the objects of a run.

use k8s_openapi::api::core::v1::ConfigMap;
use thiserror::Error;

use crate::condition::accepted;
use crate::object::{ObjectsConfigMap, ObjectsFormat};
use crate::pipeline_run::PipelineRunSpec;

/// The objects of one entry of `objectsFrom`, as they were fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it came from, for people: `configMap sales-objects/objects.json`.
    pub source: String,
    /// Form of the text.
    pub format: ObjectsFormat,
    /// JSON text, plain or compressed with gzip.
    pub bytes: Vec<u8>,
}

/// Why a chunk is not there. All of these can be mended without changing the run, so they are waited for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkMissing {
    /// There is no such ConfigMap.
    #[error("the ConfigMap `{0}` of objectsFrom does not exist in this namespace")]
    ConfigMap(String),
    /// The ConfigMap can still be changed.
    #[error(
        "the ConfigMap `{0}` of objectsFrom must be `immutable: true`: the graph of a run does not change"
    )]
    NotImmutable(String),
    /// The ConfigMap has no such key.
    #[error("the ConfigMap `{0}` of objectsFrom has no key `{1}`")]
    Key(String, String),
}

impl ChunkMissing {
    /// The reason of the condition `Accepted`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ConfigMap(_) => accepted::CONFIG_MAP_NOT_FOUND,
            Self::NotImmutable(_) => accepted::CONFIG_MAP_NOT_IMMUTABLE,
            Self::Key(..) => accepted::CONFIG_MAP_KEY_NOT_FOUND,
        }
    }
}

impl Chunk {
    /// Takes the entry's key out of the ConfigMap, which `None` says is not there.
    pub fn take(entry: &ObjectsConfigMap, map: Option<&ConfigMap>) -> Result<Self, ChunkMissing> {
        let map = map.ok_or_else(|| ChunkMissing::ConfigMap(entry.name.clone()))?;
        if map.immutable != Some(true) {
            return Err(ChunkMissing::NotImmutable(entry.name.clone()));
        }
        let text = map.data.as_ref().and_then(|data| data.get(&entry.key)).map(String::as_bytes);
        let binary = map.binary_data.as_ref().and_then(|data| data.get(&entry.key)).map(|bytes| &bytes.0[..]);
        let bytes =
            text.or(binary).ok_or_else(|| ChunkMissing::Key(entry.name.clone(), entry.key.clone()))?.to_vec();
        Ok(Self { source: format!("configMap {}/{}", entry.name, entry.key), format: entry.format, bytes })
    }

    /// The chunks of a run, in the order of `objectsFrom`; `find` looks a ConfigMap up by name.
    pub fn take_all<'a>(
        run: &PipelineRunSpec,
        find: impl Fn(&str) -> Option<&'a ConfigMap>,
    ) -> Result<Vec<Self>, ChunkMissing> {
        let entries = run.objects_from.iter().flatten().map(|entry| &entry.config_map);
        entries.map(|entry| Self::take(entry, find(&entry.name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(yaml: &str) -> ConfigMap {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn entry() -> ObjectsConfigMap {
        ObjectsConfigMap {
            name: "sales".to_owned(),
            key: "o.json".to_owned(),
            format: ObjectsFormat::Objects,
        }
    }

    #[test]
    fn text_and_binary_keys_are_found() {
        for yaml in
            ["{immutable: true, data: {o.json: '[]'}}", "{immutable: true, binaryData: {o.json: W10=}}"]
        {
            let chunk = Chunk::take(&entry(), Some(&config_map(yaml))).unwrap();
            assert_eq!(chunk.bytes, b"[]");
            assert_eq!(chunk.source, "configMap sales/o.json");
        }
    }

    #[test]
    fn what_is_missing_has_its_reason() {
        let reason = |map: Option<&ConfigMap>| Chunk::take(&entry(), map).unwrap_err().reason();
        assert_eq!(reason(None), accepted::CONFIG_MAP_NOT_FOUND);
        assert_eq!(reason(Some(&config_map("{data: {o.json: '[]'}}"))), accepted::CONFIG_MAP_NOT_IMMUTABLE);
        assert_eq!(reason(Some(&config_map("{immutable: true}"))), accepted::CONFIG_MAP_KEY_NOT_FOUND);
    }
}
