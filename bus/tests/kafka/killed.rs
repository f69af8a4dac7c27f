//! What a killed process leaves behind: what it had finished and committed does not run again.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use orch_bus::Bus;
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::suite::{finished, soon, topic, write};

const RECORDS: i64 = 3_000;
/// How the process below is told what to do: bootstrap servers, topic, number of offsets that it never finishes, and its
/// place in the group or nothing.
const TASK: &str = "ORCH_TEST_MEMBER";

/// The process that is killed: this very program, started for this test alone. It prints `done OFFSET` when it has
/// finished a record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by a_killed_process_repeats_nothing_that_was_committed"]
async fn member_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let task: Vec<&str> = task.split(' ').collect();
    let &[servers, topic, held, place] = &task[..] else { panic!("{task:?}") };
    let held: i64 = held.parse().unwrap();
    let config = KafkaConfig::plain(servers);
    let config = if place.is_empty() { config } else { config.with_place(place) };
    let bus = KafkaBus::new(config).unwrap();
    let mut member = bus.join(topic, topic).await.unwrap();
    loop {
        for record in member.next(8).await.unwrap() {
            if record.offset < held {
                continue;
            }
            // The work.
            tokio::time::sleep(Duration::from_millis(1)).await;
            member.finish(record.partition, record.offset);
            let mut out = std::io::stdout().lock();
            writeln!(out, "\ndone {}", record.offset).unwrap();
            out.flush().unwrap();
        }
    }
}

/// That process.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(servers: &str, topic: &str, held: i64, place: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::member_process", "--ignored", "--nocapture"])
            .env(TASK, format!("{servers} {topic} {held} {place}"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next record that it finished; `None` when it is dead.
    pub(crate) async fn done(&mut self) -> Option<i64> {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if let Some(offset) = line.strip_prefix("done ") {
                return Some(offset.parse().unwrap());
            }
        }
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_repeats_nothing_that_was_committed() {
    let servers = crate::servers();
    let bus = KafkaBus::new(KafkaConfig::plain(&servers)).unwrap();
    let topic = topic(&bus, &crate::prefix("killed"), "work", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..RECORDS as u64).await;

    // One long object at the beginning: everything above it is known to be finished by the bitmap alone.
    let mut first = Process::start(&servers, &topic, 1, "");
    let mut by_first = BTreeSet::new();
    while by_first.len() < 1_000 {
        assert!(by_first.insert(soon("the first process", first.done()).await.unwrap()));
    }
    let committed = finished(&bus, &topic, &topic, 0).await;
    // SIGKILL.
    first.child.start_kill().unwrap();
    while let Some(offset) = soon("what it had printed", first.done()).await {
        by_first.insert(offset);
    }
    assert!(committed.len() > 300 && committed.is_subset(&by_first), "{} committed", committed.len());

    let mut second = Process::start(&servers, &topic, 0, "");
    let mut by_second = BTreeSet::new();
    let all: BTreeSet<i64> = (0..RECORDS).collect();
    while &by_first | &by_second != all {
        assert!(by_second.insert(soon("the second process", second.done()).await.unwrap()));
    }
    let repeated: Vec<&i64> = by_second.intersection(&committed).collect();
    assert!(repeated.is_empty(), "committed and run again: {repeated:?}");
    let uncommitted = by_first.intersection(&by_second).count();
    println!(
        "{} finished by the first, {} of them committed in time, {uncommitted} ran again",
        by_first.len(),
        committed.len()
    );
    second.child.kill().await.unwrap();
    bus.delete_topics(&[topic]).await.unwrap();
}
