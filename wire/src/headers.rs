//! CloudEvents headers in binary mode, and the ones of our own.

use std::borrow::Cow;

use orch_core::id::Millis;

use crate::time::rfc3339;

/// On `ObjectReady`: where the answer goes.
pub const HEADER_REPLY_TOPIC: &str = "reply_topic";

/// Headers of a record, in order.
pub type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// The CloudEvents 1.0 attributes of a record.
///
/// `ce_id` is `<run uid>/<object>/<attempt>/<type>`: unique, and the same again when the record is sent again.
pub fn event_headers(
    event_type: &str,
    run: &str,
    run_uid: &str,
    object: &str,
    attempt: u32,
    time: Millis,
) -> Headers {
    vec![
        ("ce_id", format!("{run_uid}/{object}/{attempt}/{event_type}").into()),
        ("ce_type", ce_type(event_type)),
        ("ce_source", format!("/kafka-orchestrator/{run}").into()),
        ("ce_subject", object.to_owned().into()),
        ("ce_time", rfc3339(time).into()),
        ("ce_specversion", "1.0".into()),
    ]
}

/// Of records that come by the hundred thousand it is no text of its own.
fn ce_type(event_type: &str) -> Cow<'static, str> {
    match event_type {
        "ObjectReady" => Cow::Borrowed("dev.kafka-orchestrator.ObjectReady"),
        "ObjectLoaded" => Cow::Borrowed("dev.kafka-orchestrator.ObjectLoaded"),
        rare => Cow::Owned(format!("dev.kafka-orchestrator.{rare}")),
    }
}
