//! What every part of the operator shares.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::warn;

use crate::api_server::ApiServer;
use crate::config::Config;
use crate::connection::Connections;
use crate::run::Plans;
use crate::stages::Registry;
use crate::status::{Turns, Writers};
use crate::telemetry::Metrics;

/// Longest note of an Event, in bytes (`events.k8s.io/v1`).
const MAX_NOTE: usize = 1_024;

/// Shared by reconciles, writers and servers.
pub(crate) struct Context {
    pub(crate) client: Client,
    /// For the Lease alone.
    pub(crate) lease: Client,
    pub(crate) config: Config,
    pub(crate) connections: Connections,
    pub(crate) registry: Registry,
    pub(crate) writers: Writers,
    pub(crate) turns: Arc<Turns>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) plans: Plans,
    recorder: Recorder,
}

impl Context {
    pub(crate) fn new(api_server: ApiServer, config: Config, connections: Connections) -> Arc<Self> {
        let reporter =
            Reporter { controller: "kafka-orchestrator".to_owned(), instance: Some(config.identity()) };
        let metrics = Arc::new(Metrics::new());
        let ApiServer { client, lease } = api_server;
        Arc::new(Self {
            recorder: Recorder::new(client.clone(), reporter),
            registry: Registry::default(),
            writers: Writers::default(),
            turns: Turns::start(config.status_bytes_per_second, metrics.clone()),
            metrics,
            plans: Plans::default(),
            client,
            lease,
            config,
            connections,
        })
    }

    /// Tells people by a Kubernetes Event. A refusal is logged: an Event is never worth failing for.
    pub(crate) async fn tell(&self, about: &ObjectReference, type_: EventType, reason: &str, note: &str) {
        // The API server counts bytes.
        let note = note[..note.floor_char_boundary(MAX_NOTE)].to_owned();
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: reason.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, about).await {
            warn!(%error, reason, "the Event was not written");
        }
    }
}
