//! Reads topics as they grow, keeps every record in a file, and knows what is asked and not answered.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::checker::{Record, write_record};

/// How often it looks for new topics.
const LOOK: Duration = Duration::from_millis(500);
/// What has heard nothing for so long is replaced. librdkafka forgets all brokers when one that had stood still names
/// none, never asks anybody again, and does not say so (confluentinc/librdkafka issue 5301).
const QUIET: Duration = Duration::from_secs(2);
/// So many of the last records are kept in memory.
const RECENT: usize = 500;

type Partition = (String, i32);

/// See the module. It reads on a thread of its own until it is dropped.
pub struct Recorder {
    known: Arc<Mutex<Known>>,
    stop: Arc<AtomicBool>,
    dump: PathBuf,
    bootstrap: String,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Known {
    /// By attempt: its run's uid and its name.
    waiting: HashMap<u64, (String, String)>,
    answered: HashSet<u64>,
    recent: VecDeque<Record>,
    /// The next offset of each partition.
    next: BTreeMap<Partition, i64>,
    /// Topics whose records begin anew.
    forgotten: Vec<String>,
}

impl Recorder {
    /// Reads the topics that begin with `prefix`.
    pub fn start(bootstrap: &str, prefix: &str, dump: &Path) -> Self {
        let (known, stop) = (Arc::new(Mutex::new(Known::default())), Arc::new(AtomicBool::new(false)));
        let reader = Reader {
            known: known.clone(),
            stop: stop.clone(),
            bootstrap: bootstrap.to_owned(),
            prefix: prefix.to_owned(),
            dump: BufWriter::new(File::create(dump).unwrap()),
        };
        let thread = Some(std::thread::spawn(move || reader.read()));
        Self { known, stop, dump: dump.to_path_buf(), bootstrap: bootstrap.to_owned(), thread }
    }

    /// Attempts of these runs that are asked for and not answered, each with its name.
    pub fn waiting(&self, uids: &[String]) -> HashMap<u64, String> {
        let known = self.known.lock().unwrap();
        let own = known.waiting.iter().filter(|(_, (uid, _))| uids.contains(uid));
        own.map(|(attempt, (_, name))| (*attempt, name.clone())).collect()
    }

    /// Those of them that are still not answered.
    pub fn still_waiting(&self, attempts: &HashMap<u64, String>) -> Vec<String> {
        let known = self.known.lock().unwrap();
        let open = attempts.iter().filter(|(attempt, _)| !known.answered.contains(attempt));
        open.map(|(_, name)| name.clone()).collect()
    }

    /// The last records of topics that end so.
    pub fn recent(&self, end: &str) -> Vec<Record> {
        let known = self.known.lock().unwrap();
        known.recent.iter().filter(|record| record.topic.ends_with(end)).cloned().collect()
    }

    /// A topic was deleted: one of the same name begins anew.
    pub fn forget(&self, topic: &str) {
        self.known.lock().unwrap().forgotten.push(topic.to_owned());
    }

    /// Whether it has read everything that stands in these topics by now.
    pub fn has_read_all(&self) -> Result<(), String> {
        let next = self.known.lock().unwrap().next.clone();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .create()
            .map_err(|error| error.to_string())?;
        for ((topic, partition), next) in next {
            let bounds = consumer.fetch_watermarks(&topic, partition, Duration::from_secs(5));
            let (_, high) = bounds.map_err(|error| error.to_string())?;
            // A compacted topic may end before its end; of what is asked and answered none is.
            if next < high && !topic.ends_with(".control") {
                return Err(format!("{topic}/{partition} is read to {next} of {high}"));
            }
        }
        Ok(())
    }

    /// Ends, and says where the records are.
    pub fn finish(mut self) -> PathBuf {
        self.end();
        self.dump.clone()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the recorder broke");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

struct Reader {
    known: Arc<Mutex<Known>>,
    stop: Arc<AtomicBool>,
    bootstrap: String,
    prefix: String,
    dump: BufWriter<File>,
}

impl Reader {
    fn read(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.read_with_one_consumer();
        }
    }

    /// Until a topic is new, for a consumer knows a topic by more than its name, or nothing has come for a while.
    fn read_with_one_consumer(&mut self) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "recorder")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .unwrap();
        let mut assigned = HashSet::new();
        let (mut look_at, mut heard) = (Instant::now(), Instant::now());
        while !self.stop.load(Ordering::Relaxed) && heard.elapsed() < QUIET {
            if Instant::now() >= look_at {
                let is_forgotten = self.forget();
                let found = self.find(&consumer);
                if is_forgotten
                    || found.as_ref().is_some_and(|found| *found != assigned && !assigned.is_empty())
                {
                    return;
                }
                if let Some(found) = found.filter(|_| assigned.is_empty()) {
                    assigned = self.assign(&consumer, found);
                }
                look_at = Instant::now() + LOOK;
            }
            // Errors say that the broker is away: it comes back.
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                heard = Instant::now();
                self.take(Record::of(&message));
            }
        }
    }

    /// The partitions that there are; `None` when the broker does not answer.
    fn find(&self, consumer: &BaseConsumer) -> Option<HashSet<Partition>> {
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(1)).ok()?;
        let ours = metadata.topics().iter().filter(|topic| topic.name().starts_with(&self.prefix));
        let partitions = ours.flat_map(|topic| {
            topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id()))
        });
        Some(partitions.collect())
    }

    fn assign(&self, consumer: &BaseConsumer, found: HashSet<Partition>) -> HashSet<Partition> {
        let mut known = self.known.lock().unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in &found {
            let next = *known.next.entry(partition.clone()).or_insert(0);
            assignment.add_partition_offset(&partition.0, partition.1, Offset::Offset(next)).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        found
    }

    fn forget(&self) -> bool {
        let mut known = self.known.lock().unwrap();
        let forgotten = std::mem::take(&mut known.forgotten);
        known.next.retain(|(topic, _), _| !forgotten.contains(topic));
        !forgotten.is_empty()
    }

    fn take(&mut self, record: Record) {
        write_record(&mut self.dump, &record).unwrap();
        let mut known = self.known.lock().unwrap();
        known.next.insert((record.topic.clone(), record.partition), record.offset + 1);
        known.note(&record);
        known.recent.push_back(record);
        if known.recent.len() > RECENT {
            known.recent.pop_front();
        }
    }
}

impl Known {
    fn note(&mut self, record: &Record) {
        let value: Value = serde_json::from_str(&record.value).unwrap_or_default();
        let (Some(uid), Some(attempt)) = (value["run_uid"].as_str(), value["attempt"].as_u64()) else {
            return;
        };
        let mut hasher = DefaultHasher::new();
        (uid, &record.key, attempt).hash(&mut hasher);
        let key = hasher.finish();
        match value["event_type"].as_str() {
            Some("ObjectReady") if !self.answered.contains(&key) => {
                let name = format!("{} #{attempt} in {}/{}", record.key, record.topic, record.partition);
                self.waiting.insert(key, (uid.to_owned(), name));
            }
            Some("ObjectLoaded" | "ObjectFailed") => {
                self.answered.insert(key);
                self.waiting.remove(&key);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
