//! The bus as one process sees it.

use std::ops::Range;

use async_trait::async_trait;
use orch_bus::{
    Bounds, Bus, BusError, Committed, Member, Message, Outgoing, Producer, Reader, TopicMismatch, TopicSpec,
    Undelivered,
};
use tokio::sync::mpsc;

use super::world::{Shared, lock, wait};

/// The connection of one process.
#[derive(Clone)]
pub struct Connection {
    pub world: Shared,
    pub process: usize,
}

fn unreachable() -> BusError {
    BusError::Unreachable { servers: "nowhere".to_owned(), reason: "it is away".to_owned() }
}

fn unused() -> BusError {
    BusError::Other("an actor has no need of this".to_owned())
}

impl Connection {
    /// A question takes a while, and so does its answer.
    async fn travel(&self) -> Result<(), BusError> {
        let delay = lock(&self.world).delay();
        wait(&self.world, delay).await;
        self.thaw().await;
        let world = lock(&self.world);
        if world.elapsed() < world.broker_back_at { Err(unreachable()) } else { Ok(()) }
    }

    /// Waits while the process stands still; for ever when it is dead.
    pub async fn thaw(&self) {
        loop {
            let left = {
                let world = lock(&self.world);
                let process = &world.processes[self.process];
                process.alive.then(|| process.frozen_until - world.elapsed())
            };
            match left {
                None => std::future::pending().await,
                Some(left) if left > 0 => wait(&self.world, left).await,
                Some(_) => return,
            }
        }
    }
}

#[async_trait]
impl Bus for Connection {
    async fn ensure_topics(&self, _: &[TopicSpec], _: bool) -> Result<Vec<TopicMismatch>, BusError> {
        Err(unused())
    }

    async fn delete_topics(&self, _: &[String]) -> Result<(), BusError> {
        Err(unused())
    }

    async fn list_topics(&self, _: &str) -> Result<Vec<String>, BusError> {
        Err(unused())
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError> {
        self.travel().await?;
        let bounds = {
            let mut world = lock(&self.world);
            let mut ends = world.ends(topic);
            let chance = world.scenario.weather.stale_bounds;
            if world.goes_wrong(chance) {
                // A broker that leads since a moment ago. No end is below what an operator has read and kept: what was
                // read once is on every broker that may lead (KIP-207).
                let is_events = *topic == world.scenario.names.events();
                let kept = if is_events { world.api.furthest_start() } else { 0 };
                for end in &mut ends {
                    *end -= world.dice.between(0, (*end - kept).clamp(0, 4));
                }
                world.note(&format!("process-{} is told stale ends of {topic}: {ends:?}", self.process));
                world.processes[self.process].saw_stale_end.insert(topic.into());
            }
            ends.into_iter().map(|high| Bounds { low: 0, high }).collect()
        };
        self.travel().await?;
        Ok(bounds)
    }

    async fn truncate(&self, _: &str, _: i32, _: i64) -> Result<(), BusError> {
        Err(unused())
    }

    async fn committed(&self, _: &str, topic: &str) -> Result<Vec<Option<Committed>>, BusError> {
        self.travel().await?;
        let committed = lock(&self.world).committed(topic);
        self.travel().await?;
        Ok(committed)
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        stretch: Range<i64>,
    ) -> Result<Box<dyn Reader>, BusError> {
        self.travel().await?;
        let place = (topic.into(), partition);
        let number = lock(&self.world).open_reader(self.process, place, stretch.start, stretch.end);
        Ok(Box::new(SimulatedReader { connection: self.clone(), number }))
    }

    async fn producer(&self) -> Result<Box<dyn Producer>, BusError> {
        self.travel().await?;
        Ok(Box::new(SimulatedProducer(self.clone())))
    }

    async fn join(&self, _: &str, _: &str) -> Result<Box<dyn Member>, BusError> {
        Err(unused())
    }

    fn trouble(&self) -> Option<String> {
        let world = lock(&self.world);
        (world.elapsed() < world.broker_back_at).then(|| unreachable().to_string())
    }
}

struct SimulatedReader {
    connection: Connection,
    number: usize,
}

#[async_trait]
impl Reader for SimulatedReader {
    async fn next(&mut self) -> Result<Vec<Message>, BusError> {
        let notify = lock(&self.connection.world).reader(self.number).notify.clone();
        loop {
            if let Some(batch) = lock(&self.connection.world).give(self.number) {
                return Ok(batch);
            }
            notify.notified().await;
        }
    }
}

struct SimulatedProducer(Connection);

#[async_trait]
impl Producer for SimulatedProducer {
    fn send(&self, records: Vec<Outgoing>) {
        lock(&self.0.world).send(self.0.process, records);
    }

    async fn flush(&self) -> Result<(), BusError> {
        while !lock(&self.0.world).is_flushed(self.0.process) {
            wait(&self.0.world, 20).await;
        }
        Ok(())
    }

    fn acknowledged(&self, matters: fn(u64) -> bool) -> Option<mpsc::UnboundedReceiver<Vec<u64>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.0.world).processes[self.0.process].listener = Some((matters, sender));
        Some(receiver)
    }

    fn undelivered(&self) -> Option<mpsc::UnboundedReceiver<Undelivered>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.0.world).processes[self.0.process].undelivered = Some(sender);
        Some(receiver)
    }
}
