//! Records that nobody should have written.

use std::time::Duration;

use orch_e2e::chance::Chance;
use orch_e2e::checker::Record;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::recovery::Mark;
use crate::scene::Scene;

/// Copies of each kind.
const COPIES: usize = 30;
/// Larger than a record may be, smaller than what a broker takes.
const TOO_LARGE: usize = 600 * 1024;

/// Writes as anybody with a Kafka client could.
struct Writer(BaseProducer);

impl Writer {
    fn new(scene: &Scene) -> Self {
        Self(ClientConfig::new().set("bootstrap.servers", scene.broker.bootstrap()).create().unwrap())
    }

    fn put(&self, topic: &str, key: &str, value: &[u8]) {
        self.0.send(BaseRecord::<str, [u8]>::to(topic).partition(0).key(key).payload(value)).unwrap();
    }

    fn say(&self, topic: &str, key: &str, value: &Value) {
        self.put(topic, key, value.to_string().as_bytes());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.flush(Duration::from_secs(10)).unwrap();
    }
}

impl Scene {
    /// The events topic of each set, with its last records, and its ready topics.
    fn sets(&self) -> Vec<(String, Vec<Record>, [String; 2])> {
        let of = |run: &str| {
            let topic = |end: &str| self.topic(run, end);
            let events = topic("events")?;
            Some((events.clone(), self.recorder.recent(&events), [topic("work")?, topic("quick")?]))
        };
        ["own", "sharing"].into_iter().filter_map(of).collect()
    }

    pub(crate) fn garbage(&mut self, chance: &mut Chance) -> Mark {
        let writer = Writer::new(self);
        let deep = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
        let noise: Vec<u8> = (0..200).map(|_| chance.number() as u8).collect();
        let values: [&[u8]; 7] = [
            b"no JSON",
            b"",
            b"null",
            deep.as_bytes(),
            &noise,
            br#"{"event_type": "ObjectReady", "attempt": "x"}"#,
            br#"{"event_type": "Nothing"}"#,
        ];
        for (events, _, ready) in self.sets() {
            for topic in ready.iter().chain([&events]) {
                for value in values {
                    writer.put(topic, "n0-0", value);
                }
            }
        }
        drop(writer);
        self.mark()
    }

    /// What was said lately is said once more: answers, and ready records.
    pub(crate) fn duplicates(&mut self, chance: &mut Chance) -> Mark {
        let writer = Writer::new(self);
        for (events, answers, ready) in self.sets() {
            let copy = |topic: &str, records: &[Record], chance: &mut Chance| {
                for _ in 0..COPIES.min(records.len()) {
                    let record = chance.one_of(records);
                    writer.put(topic, &record.key, record.value.as_bytes());
                }
            };
            // Of the last no one knows whether its attempt was answered: a copy would be another answer.
            copy(&events, &answers, chance);
            for topic in ready {
                copy(&topic, &self.recorder.recent(&topic), chance);
            }
        }
        drop(writer);
        self.mark()
    }

    /// Answers to attempts that are over or far away, and words of leaders whose term is over.
    pub(crate) fn stale(&mut self) -> Mark {
        let writer = Writer::new(self);
        for (events, answers, _) in self.sets() {
            for record in answers.iter().rev().take(COPIES) {
                let Ok(mut value) = serde_json::from_str::<Value>(&record.value) else { continue };
                let Some(attempt) = value["attempt"].as_u64() else { continue };
                value["attempt"] = json!(attempt + 40);
                writer.say(&events, &record.key, &value);
                value["attempt"] = json!(attempt);
                let expired = json!({
                    "event_type": "ObjectFailed", "id_objet": value["id_objet"], "run_uid": value["run_uid"],
                    "attempt": attempt, "epoch": 0, "worker": "operator", "reason": "HeartbeatLost",
                });
                writer.say(&events, &record.key, &expired);
            }
            for uid in self.uids() {
                let cancelled = json!({"event_type": "RunCancelled", "id_objet": null, "meta": null, "run": "chaos/x",
                                       "run_uid": uid, "epoch": 0, "reason": "Cancelled"});
                writer.say(&events, &uid, &cancelled);
            }
            let leader = json!({"event_type": "LeaderStarted", "id_objet": null, "meta": null, "epoch": 1, "leader": "old"});
            writer.say(&events, "", &leader);
        }
        drop(writer);
        self.mark()
    }

    pub(crate) fn oversized(&mut self) -> Mark {
        let writer = Writer::new(self);
        let pad = "x".repeat(TOO_LARGE);
        for (events, _, ready) in self.sets() {
            let asked = self.recorder.recent(&ready[0]);
            for record in asked.iter().rev().take(3) {
                let Ok(value) = serde_json::from_str::<Value>(&record.value) else { continue };
                let loaded = json!({
                    "event_type": "ObjectLoaded", "id_objet": value["id_objet"], "run_uid": value["run_uid"],
                    "attempt": value["attempt"], "outputs": {"pad": pad},
                });
                writer.say(&events, &record.key, &loaded);
            }
            for topic in &ready {
                writer.put(topic, "n0-0", pad.as_bytes());
            }
        }
        drop(writer);
        self.mark()
    }

    /// Of runs and objects that do not exist, and in the name of the wrong stage.
    pub(crate) fn foreign(&mut self) -> Mark {
        let writer = Writer::new(self);
        let loaded = |uid: &str, object: &Value, attempt: &Value, stage: Option<&str>| json!({"event_type": "ObjectLoaded", "id_objet": object, "run_uid": uid, "attempt": attempt, "stage": stage});
        for (events, _, ready) in self.sets() {
            for record in self.recorder.recent(&ready[0]).iter().rev().take(COPIES) {
                let Ok(value) = serde_json::from_str::<Value>(&record.value) else { continue };
                let (object, attempt) = (&value["id_objet"], &value["attempt"]);
                writer.say(&events, &record.key, &loaded("somebody-elses", object, attempt, None));
                let uid = value["run_uid"].as_str().unwrap_or_default();
                writer.say(&events, &record.key, &loaded(uid, object, attempt, Some("quick")));
                writer.say(&events, "nobody", &loaded(uid, &json!("nobody"), &json!(1), None));
                // No worker begins what no run is open for.
                let mut foreign = value.clone();
                foreign["run_uid"] = json!("somebody-elses");
                writer.say(&record.topic, &record.key, &foreign);
            }
        }
        drop(writer);
        self.mark()
    }
}
