//! The work of an object in the fault tests, started by the processor `exec`: writes down in a file that it begins and
//! that it ends. `orch-e2e-job LOG MILLISECONDS`; it does not end while its object is held.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::File;
use std::io::{Read, Write};
use std::process::id;
use std::time::Duration;

use orch_e2e::executions::{Step, held, now_ms};
use orch_e2e::kubelet::LIFE;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, log, milliseconds] = &arguments[..] else { panic!("orch-e2e-job LOG MILLISECONDS") };
    let worker = std::env::var(LIFE).unwrap().parse().unwrap();
    let mut record = String::new();
    std::io::stdin().read_to_string(&mut record).unwrap();
    // A worker that dies before it has written the record starts nothing.
    let Ok(record) = serde_json::from_str::<serde_json::Value>(&record) else { return };
    let mut step = Step {
        ends: false,
        worker,
        job: id(),
        time_ms: now_ms(),
        attempt: record["attempt"].as_u64().unwrap(),
        object: record["id_objet"].as_str().unwrap().to_owned(),
    };
    // One write a line: the lines of many processes do not mix.
    let mut file = File::options().create(true).append(true).open(log).unwrap();
    file.write_all(format!("{step}\n").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
    let held = held(log.as_ref(), &step.object);
    while held.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    (step.ends, step.time_ms) = (true, now_ms());
    file.write_all(format!("{step}\n").as_bytes()).unwrap();
}
