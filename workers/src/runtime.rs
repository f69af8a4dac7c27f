//! A worker: what it is made of, and how it begins.

use std::sync::Arc;

use orch_bus::{Bus, BusError};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::control::ControlFeed;
use crate::health::Health;
use crate::membership::Membership;
use crate::outbox::{Counters, Outbox};
use crate::trouble::Trouble;
use crate::work_loop::{Channels, Outside, WorkLoop};
use crate::{Processors, Settings};

/// A worker on any bus.
///
/// It takes at most [`Settings::concurrency`] objects at a time, does nothing for runs that are not open, and finishes
/// a ready record only after its answer is acknowledged.
pub struct Worker {
    bus: Arc<dyn Bus>,
    settings: Settings,
    processors: Processors,
    health: Health,
    counters: Counters,
}

impl Worker {
    /// A worker that has not begun.
    pub fn new(bus: Arc<dyn Bus>, settings: Settings, processors: Processors) -> Self {
        let health = Health::new(bus.clone());
        Self { bus, settings, processors, health, counters: Counters::default() }
    }

    /// Tells whether it can do its work.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Tells what it has done.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Works until `shutdown`, then drains and leaves its group. While the bus is away it keeps trying; only settings
    /// that cannot work are an error.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), BusError> {
        let stop = shutdown.clone();
        tokio::select! {
            begun = self.begin(shutdown) => begun?.run().await,
            () = stop.cancelled() => {}
        }
        Ok(())
    }

    async fn begin(self, shutdown: CancellationToken) -> Result<WorkLoop, BusError> {
        let Self { bus, settings, processors, health, counters } = self;
        if let Some(problem) = processors.stage_problem() {
            error!(error = %problem, "the stage's processor is wrong: its objects will fail");
        }
        // Reads while we join.
        let control = ControlFeed::start(bus.clone(), settings.control_topic.clone());
        let producer = Trouble::with("the producer").until_ok(|| bus.producer()).await?;
        let acknowledged = producer.acknowledged(Outbox::is_waited_for);
        let (Some(acknowledged), Some(undelivered)) = (acknowledged, producer.undelivered()) else {
            return Err(BusError::Other("somebody else listens to the producer of this worker".to_owned()));
        };
        let (group, topic) = (&settings.group, &settings.ready_topic);
        let member = Membership::join(bus.clone(), group, topic, health.clone()).await?;
        let outbox = Outbox::new(producer, settings.worker.clone(), &settings.events_topic, counters.clone());
        let channels = Channels { control, member, acknowledged, undelivered };
        Ok(WorkLoop::new(
            bus,
            (settings, processors),
            Outside { health, counters },
            channels,
            outbox,
            shutdown,
        ))
    }
}
