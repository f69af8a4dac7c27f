//! Answers of the API server that an operator would rather not have.

use orch_e2e::chance::Chance;
use orch_e2e::gateway::Trouble;

use crate::recovery::{Mark, between, lasts};
use crate::scene::Scene;

impl Scene {
    pub(crate) async fn conflicts(&mut self, chance: &mut Chance) -> Mark {
        self.trouble(Trouble::Conflict, chance).await
    }

    pub(crate) async fn versions_gone(&mut self, chance: &mut Chance) -> Mark {
        self.trouble(Trouble::Gone, chance).await
    }

    pub(crate) async fn too_many_requests(&mut self, chance: &mut Chance) -> Mark {
        self.trouble(Trouble::TooMany, chance).await
    }

    pub(crate) async fn api_unavailable(&mut self, chance: &mut Chance) -> Mark {
        self.trouble(Trouble::Unavailable, chance).await
    }

    pub(crate) async fn api_answers_lost(&mut self, chance: &mut Chance) -> Mark {
        self.trouble(Trouble::AnswersLost, chance).await
    }

    /// Sometimes past the Lease.
    async fn trouble(&mut self, trouble: Trouble, chance: &mut Chance) -> Mark {
        self.gateway.set(trouble);
        lasts(between(chance, 2_000, 7_000)).await;
        self.gateway.set(Trouble::None);
        self.mark()
    }
}
