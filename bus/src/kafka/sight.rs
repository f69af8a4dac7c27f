//! Clients that have lost sight of all brokers.
//!
//! A broker that its controller has fenced, as after a pause that was longer than its session, answers a question about
//! topics by naming no broker at all. librdkafka then forgets all brokers that it knows, those of `bootstrap.servers`
//! too, and never asks anybody again (confluentinc/librdkafka issue 5301, in all versions since 2.10). It is told of
//! them anew here: decision 18.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::{Client, ClientContext};
use rdkafka::statistics::Statistics;

use super::native;

/// Whether a client knows a broker; a part of its context.
#[derive(Default)]
pub(super) struct Sight {
    lost: AtomicBool,
}

impl Sight {
    /// From the client's statistics, which come every few seconds.
    pub(super) fn look(&self, statistics: &Statistics) {
        // The others are places in a group's protocol, without an address of their own.
        let has_address = |source: &str| matches!(source, "configured" | "learned");
        let sees_one = statistics.brokers.values().any(|broker| has_address(&broker.source));
        self.lost.store(!sees_one, Ordering::Release);
    }

    /// Tells the client of the bootstrap servers when it sees no broker any more.
    pub(super) fn restore<C: ClientContext>(&self, client: &Client<C>, servers: &str) {
        if !self.lost.swap(false, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(servers, "the Kafka client has lost sight of all brokers; it is told of them anew");
        // The client took the same text as `bootstrap.servers`.
        let Ok(servers) = CString::new(servers) else { return };
        native::add_brokers(client, &servers);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    fn is_lost_with(sources: &[&str]) -> bool {
        let broker = |source: &&str| Broker { source: (*source).to_owned(), ..Broker::default() };
        let mut statistics = Statistics::default();
        statistics.brokers.extend(sources.iter().map(|source| ((*source).to_owned(), broker(source))));
        let sight = Sight::default();
        sight.look(&statistics);
        sight.lost.into_inner()
    }

    #[test]
    fn a_client_without_a_broker_that_has_an_address_is_lost() {
        assert!(is_lost_with(&[]));
        assert!(is_lost_with(&["logical", "internal"]));
        assert!(!is_lost_with(&["logical", "configured"]));
        assert!(!is_lost_with(&["learned"]));
    }
}
