//! temp
use orch_bus::{Bus, Outgoing, TopicSpec, memory::MemoryBus};
use orch_wire::*;
use orch_workers::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
#[tokio::main]
async fn main() {
    let concurrency: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let t = |n: &str| TopicSpec { name: n.into(), partitions: 1, replication_factor: None, config: vec![] };
    bus.ensure_topics(&[t("r"), t("e"), t("c")], true).await.unwrap();
    let p = bus.producer().await.unwrap();
    let out = |topic: &str, key: String, value: Vec<u8>| Outgoing {
        topic: topic.into(),
        partition: 0,
        key: key.into(),
        value: value.into(),
        headers: vec![],
        token: 0,
    };
    p.send(vec![out("c", "u".into(), ControlRecord { run_uid: "u".into(), state: RunGate::Open }.encode())]);
    let n = 300_000;
    for i in 0..n {
        let id = format!("{i}");
        let r = Ready {
            object: &id,
            meta_json: "{\"id\":\"x\"}",
            run: "default/sales",
            run_uid: "u",
            stage: "s",
            attempt: 1,
            epoch: 1,
            run_timeout_ms: None,
            heartbeat_ms: 30000,
            params_json: None,
            processor_json: None,
        };
        p.send(vec![out("r", id.clone(), r.encode(std::iter::empty(), 0))]);
    }
    let s = Settings {
        worker: "w".into(),
        ready_topic: "r".into(),
        events_topic: "e".into(),
        control_topic: "c".into(),
        group: "r".into(),
        concurrency,
        drain: Duration::ZERO,
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let begin = Instant::now();
    let mut reader = bus.read("e", 0, 0).await.unwrap();
    let w = tokio::spawn(
        Worker::new(bus.clone(), s, Registry::builtin().for_stage("{\"simulate\":{}}")).run(stop.clone()),
    );
    let mut got = 0;
    while got < n {
        got += reader.next().await.unwrap().len();
    }
    println!("concurrency {concurrency}: {:.0} objects/s", n as f64 / begin.elapsed().as_secs_f64());
    stop.cancel();
    w.await.unwrap().unwrap();
}
