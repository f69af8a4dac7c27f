//! Processes that die, or stand still.

use orch_e2e::chance::Chance;
use orch_e2e::control_plane::Daemon;
use orch_e2e::gateway::Trouble;
use std::time::Duration;

use crate::recovery::{Mark, between, lasts};
use crate::scene::{LEASE, Scene};

/// Another operator holds another Lease for so long; the others leave the topics to it for half a minute.
const BOTH: Duration = Duration::from_secs(12);

impl Scene {
    pub(crate) fn broker_killed(&mut self) -> Mark {
        self.broker.kill();
        let mark = self.mark();
        self.broker.start();
        mark
    }

    /// For longer than the sessions of workers.
    pub(crate) async fn broker_stopped(&mut self, chance: &mut Chance) -> Mark {
        self.broker.pause();
        lasts(between(chance, 3_000, 12_000)).await;
        self.broker.resume();
        self.mark()
    }

    /// In its place, as a kubelet does it, or under another name, as when a node is lost.
    pub(crate) async fn leader_killed(&mut self, chance: &mut Chance) -> Mark {
        let position = self.leader().await;
        let mut operator = self.operators.swap_remove(position);
        operator.process.kill();
        let mark = self.mark();
        let name = if chance.below(2) == 0 { operator.identity } else { self.name("operator") };
        self.start_operator(&name);
        mark
    }

    /// Past its Lease: another one leads when it goes on.
    pub(crate) async fn leader_stopped(&mut self, chance: &mut Chance) -> Mark {
        let position = self.leader().await;
        self.operators[position].process.signal("STOP");
        lasts(LEASE + between(chance, 1_000, 4_000)).await;
        self.operators[position].process.signal("CONT");
        self.mark()
    }

    pub(crate) fn operators_killed(&mut self) -> Mark {
        for operator in &mut self.operators {
            operator.process.kill();
        }
        let mark = self.mark();
        let names: Vec<String> = self.operators.iter().map(|operator| operator.identity.clone()).collect();
        for name in names {
            self.start_operator(&name);
        }
        mark
    }

    /// One with a Lease of its own, to which the API server tells everything late, and a run that both want to begin.
    pub(crate) async fn two_operators(&mut self, chance: &mut Chance) -> Mark {
        self.other_gateway.set(Trouble::LateWatches(between(chance, 500, 2_000)));
        let kubeconfig = self.other_gateway.kubeconfig();
        let identity = self.name("another");
        let mut other =
            self.operator(&identity, &[("KUBECONFIG", &kubeconfig), ("ORCH_LEASE_NAME", &identity)]);
        self.until_leads(&identity).await;
        let run = self.small_run("both", serde_json::json!({})).await;
        lasts(BOTH).await;
        other.kill();
        let mark = self.mark();
        self.keep(&run).await;
        mark
    }

    pub(crate) fn worker_killed(&mut self, chance: &mut Chance) -> Mark {
        let name = self.worker(chance);
        self.setup.kubelet.kill_and_restart(&name);
        self.mark()
    }

    /// Another one comes in its place: its partitions wait until its session is over.
    pub(crate) fn worker_lost(&mut self, chance: &mut Chance) -> Mark {
        let name = self.worker(chance);
        self.setup.kubelet.kill_and_replace(&name);
        self.mark()
    }

    /// For longer than a heartbeat, and mostly than its session.
    pub(crate) async fn worker_stopped(&mut self, chance: &mut Chance) -> Mark {
        let name = self.worker(chance);
        self.setup.kubelet.signal(&name, "STOP");
        lasts(between(chance, 4_000, 12_000)).await;
        self.setup.kubelet.signal(&name, "CONT");
        self.mark()
    }

    pub(crate) fn workers_killed(&mut self) -> Mark {
        for name in self.setup.kubelet.names() {
            self.setup.kubelet.kill_and_restart(&name);
        }
        self.mark()
    }

    pub(crate) fn api_killed(&mut self) -> Mark {
        self.control_plane.signal(Daemon::ApiServer, "KILL");
        let mark = self.mark();
        self.start_api();
        mark
    }

    /// Past the Lease.
    pub(crate) async fn api_stopped(&mut self, chance: &mut Chance) -> Mark {
        self.control_plane.signal(Daemon::ApiServer, "STOP");
        lasts(LEASE + between(chance, 0, 4_000)).await;
        self.control_plane.signal(Daemon::ApiServer, "CONT");
        self.mark()
    }

    pub(crate) fn etcd_killed(&mut self) -> Mark {
        self.control_plane.signal(Daemon::Etcd, "KILL");
        let mark = self.mark();
        self.start_api();
        mark
    }

    fn start_api(&self) {
        // The script waits until it answers.
        tokio::task::block_in_place(|| self.control_plane.start());
    }
}
