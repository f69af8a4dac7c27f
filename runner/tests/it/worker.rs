//! A worker that does as it is told.

use std::collections::VecDeque;
use std::sync::Arc;

use orch_bus::{Bus, Member, Message, Outgoing, Producer};
use orch_wire::{Answer, AnswerKind, ReadyView};
use tokio::task::JoinHandle;

use super::world::{DEADLINE, World};

/// A ready record that a worker took.
#[derive(Debug, Clone)]
pub struct Job {
    pub message: Message,
    pub object: String,
    pub attempt: u32,
    pub run_uid: String,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    Started,
    Loaded,
    /// Loaded, with these outputs.
    Outputs(String),
    /// Failed, another attempt may help.
    Error,
    /// Failed for good.
    Failed,
}

/// See the module. It takes from one stage and answers by itself or when asked.
pub struct Worker {
    member: Box<dyn Member>,
    producer: Arc<dyn Producer>,
    taken: VecDeque<Job>,
}

impl Worker {
    pub async fn join(world: &World, stage: &str) -> Self {
        let (name, _) = world.stages.iter().find(|(name, _)| name.as_str() == stage).unwrap();
        let topic = world.names.ready(name);
        let bus = &world.bus.inner;
        let producer = bus.producer().await.unwrap().into();
        Self { member: bus.join(&topic, &topic).await.unwrap(), producer, taken: VecDeque::new() }
    }

    /// The next record.
    pub async fn take(&mut self) -> Job {
        while self.taken.is_empty() {
            let records = tokio::time::timeout(DEADLINE, self.member.next(16)).await;
            let records = records.expect("a ready record should come").unwrap();
            self.taken.extend(records.into_iter().map(job));
        }
        self.taken.pop_front().unwrap()
    }

    /// The next records, by object.
    pub async fn take_all<const N: usize>(&mut self, objects: [&str; N]) -> [Job; N] {
        let mut jobs = Vec::new();
        while jobs.len() < N {
            jobs.push(self.take().await);
        }
        objects.map(|id| {
            let found = jobs.iter().find(|job| job.object == id);
            found.unwrap_or_else(|| panic!("`{id}` should be among {jobs:?}")).clone()
        })
    }

    pub fn say(&self, job: &Job, say: &Say) {
        self.producer.send(vec![answer(job, say)]);
    }

    /// Answers and is done with the record.
    pub fn end(&self, job: &Job, say: &Say) {
        self.say(job, say);
        self.finish(job);
    }

    pub fn finish(&self, job: &Job) {
        self.member.finish(job.message.partition, job.message.offset);
    }

    /// What answers for the worker from elsewhere.
    pub fn voice(&self) -> Arc<dyn Producer> {
        self.producer.clone()
    }

    /// Loads whatever comes, until the task is aborted.
    pub fn load_everything(mut self) -> JoinHandle<()> {
        tokio::spawn(async move {
            while let Ok(records) = self.member.next(64).await {
                for job in records.into_iter().map(job) {
                    self.end(&job, &Say::Loaded);
                }
            }
        })
    }
}

fn job(message: Message) -> Job {
    let ready = ReadyView::decode(&message.value).unwrap();
    let object = std::str::from_utf8(&message.key).unwrap().to_owned();
    Job { object, attempt: ready.attempt, run_uid: ready.run_uid.into_owned(), message }
}

/// The record of an answer.
pub fn answer(job: &Job, say: &Say) -> Outgoing {
    let failed = |retryable| AnswerKind::Failed {
        reason: "WorkerError".into(),
        error: "it did not work".into(),
        retryable,
        retry_after_ms: None,
        log_tail: None,
    };
    let kind = match say {
        Say::Started => AnswerKind::Started,
        Say::Loaded => AnswerKind::Loaded { outputs: None },
        Say::Outputs(outputs) => AnswerKind::Loaded { outputs: Some(outputs.into()) },
        Say::Error => failed(true),
        Say::Failed => failed(false),
    };
    let answer = Answer {
        run_uid: job.run_uid.as_str().into(),
        object: job.object.as_str().into(),
        stage: None,
        attempt: job.attempt,
        worker: "w1".into(),
        elapsed_ms: None,
        kind,
    };
    Outgoing {
        topic: job.message.reply_topic.clone().unwrap(),
        partition: 0,
        key: job.object.clone().into(),
        value: answer.encode("default/test", 0).unwrap().into(),
        headers: orch_wire::Headers::default(),
        token: 0,
    }
}
