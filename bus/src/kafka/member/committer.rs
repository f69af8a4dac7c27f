//! Commits what is finished, as soon as it is: what is finished and not committed runs again when the process dies.
//!
//! On a thread of its own: librdkafka tells the outcome only to a call that waits for it, and reading must not wait.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::Shared;
use super::shares::Commit;
use crate::BusError;

/// Pause between commits: at most a hundred a second, whatever is finished in them.
const PACE: Duration = Duration::from_millis(10);
/// The same after one that failed.
const PACE_FAILED: Duration = Duration::from_millis(50);

/// The thread. Dropping this ends it, after the commit that is under way: the consumer must not be in use when it is
/// closed.
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start<C: ConsumerContext + 'static>(
        shared: Arc<Shared>,
        consumer: Arc<BaseConsumer<C>>,
        topic: String,
    ) -> Result<Self, BusError> {
        let seen = shared.clone();
        let work = move || {
            while let Some(commits) = due(&seen) {
                let began = Instant::now();
                let outcome = consumer.commit(&positions(&topic, &commits), CommitMode::Sync);
                let code = outcome.err().map(|error| error.rdkafka_error_code());
                ended(&seen, began, &commits, code.map(|code| code.unwrap_or(RDKafkaErrorCode::Unknown)));
                if let Some(code) = code {
                    tracing::debug!(topic, ?code, "a commit failed; it is repeated");
                }
                std::thread::sleep(if code.is_some() { PACE_FAILED } else { PACE });
            }
        };
        let thread = std::thread::Builder::new().name("kafka-commit".to_owned()).spawn(work);
        let thread = thread.map_err(|error| BusError::Other(format!("thread kafka-commit: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.state().commits.end = true;
        self.shared.finished.notify_all();
        if let Some(thread) = self.thread.take() {
            // It ended by a panic: there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

/// Waits until there is something to commit; `None` at the end.
fn due(shared: &Shared) -> Option<Vec<Commit>> {
    let mut state = shared.state();
    loop {
        if state.commits.end {
            return None;
        }
        let commits = state.shares.commits();
        if !commits.is_empty() {
            state.commits.under_way = true;
            return Some(commits);
        }
        state = shared.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

fn ended(shared: &Shared, began: Instant, commits: &[Commit], failed: Option<RDKafkaErrorCode>) {
    let mut state = shared.state();
    state.commits.under_way = false;
    let Some(code) = failed else {
        return commits.iter().for_each(|commit| state.shares.is_committed(commit.partition));
    };
    for commit in commits {
        state.shares.commit_again(commit.partition);
    }
    // While the group is joined anew its number changes under a commit: that says nothing.
    let steady = state.commits.hand_over.is_some_and(|since| since < began);
    let refused = matches!(
        code,
        RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::FencedInstanceId
    );
    state.commits.expelled |= steady && refused;
}

fn positions(topic: &str, commits: &[Commit]) -> TopicPartitionList {
    let mut positions = TopicPartitionList::with_capacity(commits.len());
    for commit in commits {
        let mut element = positions.add_partition(topic, commit.partition);
        // Positions are never negative.
        let _ = element.set_offset(Offset::Offset(commit.position));
        element.set_metadata(&commit.metadata);
    }
    positions
}
