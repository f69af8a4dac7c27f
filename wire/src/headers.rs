//! CloudEvents headers in binary mode, and the one of our own.

use std::fmt::Write as _;
use std::sync::Arc;

use orch_core::id::{Attempt, Millis, RunUid};

use crate::time::rfc3339;

/// On `ObjectReady`: where the answer goes.
pub const HEADER_REPLY_TOPIC: &str = "reply_topic";

/// The headers of a record, kept as what they say. Texts are made of them where a record leaves the process: records come
/// by the hundred thousand, and a bus in memory needs none.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    event: Option<Attributes>,
    reply_topic: Option<Arc<str>>,
}

/// What the CloudEvents 1.0 attributes are made of, beside the record's key.
#[derive(Debug, Clone)]
struct Attributes {
    event_type: &'static str,
    run: Arc<str>,
    run_uid: Option<RunUid>,
    attempt: Attempt,
    time: Millis,
    /// See [`Headers::told_apart_by`].
    part: Option<Box<str>>,
}

impl Headers {
    /// The attributes of an event of a run; `run` is `<namespace>/<name>`. What belongs to no run has neither.
    pub fn event(
        event_type: &'static str,
        run: &Arc<str>,
        run_uid: Option<&RunUid>,
        attempt: Attempt,
        time: Millis,
    ) -> Self {
        let (run, run_uid) = (run.clone(), run_uid.cloned());
        let event = Attributes { event_type, run, run_uid, attempt, time, part: None };
        Self { event: Some(event), reply_topic: None }
    }

    /// With where the answer goes.
    #[must_use]
    pub fn with_reply_topic(self, topic: &Arc<str>) -> Self {
        Self { reply_topic: Some(topic.clone()), ..self }
    }

    /// With this in the id in place of object and attempt: several records of a run are of one type and have its key.
    #[must_use]
    pub fn told_apart_by(mut self, part: &str) -> Self {
        if let Some(event) = &mut self.event {
            event.part = Some(part.into());
        }
        self
    }

    /// Where the answer goes.
    pub fn reply_topic(&self) -> Option<&Arc<str>> {
        self.reply_topic.as_ref()
    }

    /// Shows names and values in order, for a record with this key.
    ///
    /// `ce_id` is `<run uid>/<object>/<attempt>/<type>`: unique, and the same again when the record is sent again.
    pub fn each(&self, key: &str, mut see: impl FnMut(&'static str, &str)) {
        if let Some(Attributes { event_type, run, run_uid, attempt, time, part }) = &self.event {
            let mut text = String::with_capacity(128);
            let mut show = |name, value: std::fmt::Arguments<'_>| {
                text.clear();
                // A `String` takes everything.
                let _ = text.write_fmt(value);
                see(name, &text);
            };
            let run_uid = run_uid.as_ref().map_or("", RunUid::as_str);
            match part {
                Some(part) => show("ce_id", format_args!("{run_uid}/{part}/{event_type}")),
                None => show("ce_id", format_args!("{run_uid}/{key}/{attempt}/{event_type}")),
            }
            show("ce_type", format_args!("dev.kafka-orchestrator.{event_type}"));
            show("ce_source", format_args!("/kafka-orchestrator/{run}"));
            see("ce_subject", key);
            see("ce_time", &rfc3339(*time));
            see("ce_specversion", "1.0");
        }
        if let Some(topic) = &self.reply_topic {
            see(HEADER_REPLY_TOPIC, topic);
        }
    }
}
