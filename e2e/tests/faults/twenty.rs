//! 2,000 objects and twenty kills, and at the end the books are right.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use orch_crds::status::RunPhase;
use orch_e2e::api::until;
use orch_e2e::broker::Broker;
use orch_e2e::chance::Chance;
use orch_e2e::executions::{self, now_ms, times};
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::process::Process;
use orch_e2e::setup::{LIMIT, Setup};

use crate::judge::{Death, Evidence, Outage};
use crate::{RUN, manifest, until_ended};

const LEVELS: usize = 40;
const WIDTH: usize = 50;
const WORK: Duration = Duration::from_millis(20);

/// Who dies next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Operator,
    Worker,
    Broker,
}

/// Twenty victims in any order, each with the number of executions after which it dies.
fn schedule(chance: &mut Chance) -> Vec<(usize, Victim)> {
    let mut victims = [[Victim::Operator; 9], [Victim::Worker; 9]].concat();
    victims.extend([Victim::Broker; 2]);
    chance.shuffle(&mut victims);
    let objects = LEVELS * WIDTH;
    let mut points: Vec<usize> =
        victims.iter().map(|_| objects / 50 + chance.below(objects * 24 / 25)).collect();
    points.sort_unstable();
    points.into_iter().zip(victims).collect()
}

/// Everything that can die.
struct Scene {
    setup: Setup,
    broker: Broker,
    operator: Process,
    operators: usize,
    deaths: Vec<Death>,
    /// The broker answered again when the next one began, or at the end.
    outages: Vec<Outage>,
}

/// A lead that is not renewed is over after this; the least that the operator takes.
const LEASE: [(&str, &str); 1] = [("ORCH_LEASE_SECONDS", "3")];

impl Scene {
    async fn new() -> Self {
        let broker = Broker::spare("twenty");
        let setup = Setup::with_kafka("twenty", broker.bootstrap()).await;
        let operator = setup.operator_with("operator-0", &LEASE);
        Self { setup, broker, operator, operators: 1, deaths: Vec::new(), outages: Vec::new() }
    }

    fn log(&self) -> PathBuf {
        self.setup.folder.path().join("executions")
    }

    async fn kill(&mut self, victim: Victim, chance: &mut Chance) {
        // In its place, as a kubelet does it, or under another name, as when a node is lost.
        let in_place = chance.below(3) > 0;
        match victim {
            Victim::Operator => {
                self.operator.kill();
                self.operators += usize::from(!in_place);
                self.operator = self.setup.operator_with(&format!("operator-{}", self.operators), &LEASE);
            }
            Victim::Worker => {
                let names = self.setup.kubelet.names();
                let name = &names[chance.below(names.len())];
                let at_ms = now_ms();
                let kubelet = &self.setup.kubelet;
                let lives =
                    if in_place { kubelet.kill_and_restart(name) } else { kubelet.kill_and_replace(name) };
                self.deaths.push(Death { worker: lives.ended, at_ms });
            }
            Victim::Broker => {
                let from_ms = now_ms();
                self.broker.kill();
                self.broker.start();
                self.until_broker_answers().await;
                self.outages.push(Outage { from_ms, until_ms: now_ms() });
            }
        }
    }

    async fn until_broker_answers(&self) {
        let answers = async || if self.broker.answers() { Ok(()) } else { Err("silent".to_owned()) };
        until("the broker answers again", LIMIT, answers).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_and_repeat_only_what_a_dead_worker_had_in_hand() {
    let seed = Chance::seed("ORCH_TEST_SEED");
    println!("ORCH_TEST_SEED={seed} repeats these choices");
    let mut chance = Chance::new(seed);
    let schedule = schedule(&mut chance);
    println!("{schedule:?}");
    let mut scene = Scene::new().await;
    let graph = layered(LEVELS, WIDTH, 2);
    scene.setup.config_map("objects", &objects_json(&graph)).await;
    let log = scene.log();
    let run = scene.setup.create(&manifest(&log, WORK).to_string()).await;
    let began = Instant::now();
    for (after, victim) in schedule {
        until_ended(&log, after).await;
        println!("{:5.1} s: {after} executions ended, the {victim:?} dies", began.elapsed().as_secs_f64());
        scene.kill(victim, &mut chance).await;
    }
    let status = scene.setup.end_of(RUN).await.status.unwrap();
    println!("{:5.1} s: {:?}", began.elapsed().as_secs_f64(), status.phase);
    let story = scene.setup.story(&run).await;
    let executions = executions::read(&log);
    story.assert_complete(&graph);
    story.assert_order(&graph);
    assert_eq!((status.phase, status.counts.loaded as usize), (RunPhase::Succeeded, story.loaded().len()));
    assert_eq!(
        (status.counts.total as usize, status.phase_map.unwrap().decode().unwrap()),
        (graph.len(), "L".repeat(graph.len()))
    );
    let evidence = Evidence {
        executions: &executions,
        answers: &story.answers,
        deaths: &scene.deaths,
        outages: &scene.outages,
    };
    let times = times(&executions);
    assert!(
        graph.iter().all(|(id, _)| times.contains_key(&(id.as_str(), 1))),
        "an object was never executed"
    );
    println!("{} executions of {} attempts", executions.len(), times.len());
    let repeated = evidence.repeated_without_excuse();
    assert!(
        repeated.is_empty(),
        "executed again without an excuse: {repeated:?}; {:?} {:?}",
        scene.deaths,
        scene.outages
    );
    scene.setup.kubelet.stop();
}
