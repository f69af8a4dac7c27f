//! What is sent for a status: the fields that differ from what stands there. Pure.

use std::collections::BTreeMap;

use orch_crds::status::PipelineRunStatus;
use serde::Serialize;
use serde_json::value::RawValue;

/// The fields of a status as JSON, by their names.
type Fields = BTreeMap<String, Box<RawValue>>;

/// The body of a merge patch.
#[derive(Debug, Serialize)]
pub(super) struct StatusPatch {
    metadata: Version,
    status: BTreeMap<String, Option<Box<RawValue>>>,
    /// Bytes of the whole status as it is afterwards.
    #[serde(skip)]
    pub(super) bytes: usize,
}

/// Only this version is patched.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: Option<String>,
}

impl StatusPatch {
    /// Makes `new` of `old`, which stands in this version of the resource.
    pub(super) fn between(
        old: &PipelineRunStatus,
        new: &PipelineRunStatus,
        resource_version: Option<String>,
    ) -> serde_json::Result<Self> {
        let ((old, _), (new, bytes)) = (fields(old)?, fields(new)?);
        let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), None));
        let differs = |key: &str, value: &RawValue| old.get(key).map(|old| old.get()) != Some(value.get());
        let mut status: BTreeMap<_, _> = gone.collect();
        status.extend(
            new.into_iter().filter(|(key, value)| differs(key, value)).map(|(key, value)| (key, Some(value))),
        );
        Ok(Self { metadata: Version { resource_version }, status, bytes })
    }
}

/// The fields, and the bytes of all together.
fn fields(status: &PipelineRunStatus) -> serde_json::Result<(Fields, usize)> {
    let text = serde_json::to_string(status)?;
    Ok((serde_json::from_str(&text)?, text.len()))
}

#[cfg(test)]
mod tests {
    use orch_crds::status::{Counts, RunPhase};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_equal_is_not_sent_and_what_is_gone_is_null() {
        let old = PipelineRunStatus {
            phase: RunPhase::Running,
            progress: Some("1/2".to_owned()),
            epoch: Some(3),
            plan_digest: Some("sha256:0".to_owned()),
            ..PipelineRunStatus::default()
        };
        let counts = Counts { total: 2, loaded: 2, ..Counts::default() };
        let new = PipelineRunStatus { counts, progress: Some("2/2".to_owned()), epoch: None, ..old.clone() };
        let patch = StatusPatch::between(&old, &new, Some("7".to_owned())).unwrap();
        let expected = json!({
            "metadata": {"resourceVersion": "7"},
            "status": {"counts": counts, "progress": "2/2", "epoch": null},
        });
        assert_eq!(json!(patch), expected);
        assert_eq!(patch.bytes, json!(new).to_string().len());
    }
}
