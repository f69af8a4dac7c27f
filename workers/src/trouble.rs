//! Trouble with the bus: logged once per change, tried again for ever.

use std::future::Future;
use std::time::Duration;

use orch_bus::BusError;
use tracing::{info, warn};

/// Waits between tries: the first short, because a topic that was just made needs a moment to be seen.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The newest trouble with one thing.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: &'static str,
    last: Option<String>,
    wait: Duration,
}

impl Trouble {
    /// `what` goes into the log: "the control topic".
    pub(crate) fn with(what: &'static str) -> Self {
        Self { what, last: None, wait: FIRST_WAIT }
    }

    /// Logs the trouble if it is another than before, and says how long to wait before the next try.
    pub(crate) fn report(&mut self, error: &str) -> Duration {
        if self.last.as_deref() != Some(error) {
            warn!(error, "trouble with {}; trying again", self.what);
            self.last = Some(error.to_owned());
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(LONGEST_WAIT);
        wait
    }

    /// All is well; logged if it was not so before, which is what it returns.
    pub(crate) fn clear(&mut self) -> bool {
        self.wait = FIRST_WAIT;
        let was_there = self.last.take().is_some();
        if was_there {
            info!("{} is back", self.what);
        }
        was_there
    }

    /// Tries until it succeeds. Only settings that cannot work are an error.
    pub(crate) async fn until_ok<T, F>(&mut self, mut attempt: impl FnMut() -> F) -> Result<T, BusError>
    where
        F: Future<Output = Result<T, BusError>>,
    {
        loop {
            match attempt().await {
                Ok(value) => {
                    self.clear();
                    return Ok(value);
                }
                Err(error @ BusError::Config(_)) => return Err(error),
                Err(error) => tokio::time::sleep(self.report(&error.to_string())).await,
            }
        }
    }
}
