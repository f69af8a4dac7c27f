//! How fast a bus is: `cargo run -p orch-bus --example throughput [BOOTSTRAP_SERVERS]`. Without servers: in memory.
//!
//! Objects go to a group's member, which answers each; both directions are read by one task, as a run does it.

use std::time::Instant;

use bytes::Bytes;
use orch_bus::memory::MemoryBus;
use orch_bus::{Bus, BusError, Outgoing, TopicSpec};

const OBJECTS: u64 = 200_000;
const STEPS: u64 = 1_000;
const WINDOW: u64 = 4_096;

#[cfg(feature = "kafka")]
fn kafka(servers: &str) -> Result<Box<dyn Bus>, BusError> {
    let config = orch_bus::kafka::KafkaConfig::plain(servers);
    for (name, value) in config.effective()? {
        println!("{name}={value}");
    }
    Ok(Box::new(orch_bus::kafka::KafkaBus::new(config)?))
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &str) -> Result<Box<dyn Bus>, BusError> {
    Err(BusError::Config("built without Kafka".to_owned()))
}

fn record(topic: &str, token: u64) -> Outgoing {
    // As long as a record of ours usually is.
    let value = Bytes::from(format!("{token:0300}"));
    let key = Bytes::from(token.to_string());
    Outgoing { topic: topic.into(), partition: 0, key, value, headers: Vec::new(), token }
}

/// Answers every object until it is aborted.
async fn work(bus: &dyn Bus, ready: &str, events: &str) -> Result<(), BusError> {
    let producer = bus.producer().await?;
    let mut member = bus.join(ready, ready).await?;
    loop {
        let records = member.next(4_096).await?;
        producer.send(records.iter().map(|message| record(events, message.offset as u64)).collect());
        for message in records {
            member.finish(message.partition, message.offset);
        }
    }
}

/// Sends `count` objects, at most `window` of them unanswered.
async fn run(
    bus: &dyn Bus,
    topics: (&str, &str),
    from: i64,
    count: u64,
    window: u64,
) -> Result<f64, BusError> {
    let (ready, events) = topics;
    let producer = bus.producer().await?;
    let mut reader = bus.read(events, 0, from..from).await?;
    let since = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        let next = count.min(answered + window);
        producer.send((sent..next).map(|token| record(ready, token)).collect());
        sent = next;
        answered += reader.next().await?.len() as u64;
    }
    Ok(since.elapsed().as_secs_f64())
}

async fn measure(bus: &dyn Bus, ready: &str, events: &str) -> Result<(), BusError> {
    let warm = run(bus, (ready, events), 0, 10, 1).await?;
    let steps = run(bus, (ready, events), 10, STEPS, 1).await?;
    let from = 10 + STEPS as i64;
    let many = run(bus, (ready, events), from, OBJECTS, WINDOW).await?;
    println!("first ten steps {warm:.3} s, then {:.3} ms a step", steps * 1e3 / STEPS as f64);
    println!("{:.0} objects/s with {WINDOW} outstanding", OBJECTS as f64 / many);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BusError> {
    let bus: Box<dyn Bus> = match std::env::args().nth(1) {
        Some(servers) => kafka(&servers)?,
        None => Box::new(MemoryBus::new()),
    };
    let run = format!("throughput.{}", std::process::id());
    let (ready, events) = (format!("{run}.ready"), format!("{run}.events"));
    let spec = |name: &String| TopicSpec {
        name: name.clone(),
        partitions: 1,
        replication_factor: None,
        config: vec![("message.timestamp.type", "LogAppendTime".to_owned())],
    };
    bus.ensure_topics(&[spec(&ready), spec(&events)], true).await?;
    let outcome = tokio::select! {
        ended = work(&*bus, &ready, &events) => ended,
        measured = measure(&*bus, &ready, &events) => measured,
    };
    bus.delete_topics(&[ready, events]).await?;
    outcome
}
