//! The way to Kafka: of the operators, of the workers, or of both.

use orch_e2e::chance::Chance;
use orch_e2e::proxy::Link;

use crate::recovery::{Mark, between, lasts};
use crate::scene::Scene;

impl Scene {
    /// What was written stands there, and nobody knows.
    pub(crate) async fn acks_dropped(&mut self, chance: &mut Chance) -> Mark {
        self.link(Link::Deaf, chance, (1_000, 5_000)).await
    }

    pub(crate) async fn links_slow(&mut self, chance: &mut Chance) -> Mark {
        let delay = between(chance, 50, 400);
        self.link(Link::Slow(delay), chance, (3_000, 6_000)).await
    }

    pub(crate) async fn links_cut(&mut self, chance: &mut Chance) -> Mark {
        self.link(Link::Cut, chance, (500, 6_000)).await
    }

    async fn link(&mut self, link: Link, chance: &mut Chance, (from_ms, to_ms): (u64, u64)) -> Mark {
        let ways: Vec<usize> = chance.one_of(&[vec![0], vec![1], vec![0, 1]]).clone();
        for way in &ways {
            self.links[*way].set(link);
        }
        lasts(between(chance, from_ms, to_ms)).await;
        for way in ways {
            self.links[way].set(Link::Open);
        }
        self.mark()
    }
}
