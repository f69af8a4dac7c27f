//! The clock of an actor comes from outside: a test that chooses the time sees the same thing each time it runs.

use std::fmt;
use std::sync::Arc;

use orch_core::id::Millis;

/// What an actor takes for the time of day. How long it waits is measured by tokio's clock, which never jumps.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// A clock that says what `now_ms` says, in milliseconds since 1970.
    pub fn new(now_ms: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> Millis {
        (self.0)()
    }
}

/// This machine's clock.
impl Default for Clock {
    fn default() -> Self {
        Self::new(now_ms)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}

/// Milliseconds since 1970, by this machine's clock.
pub fn now_ms() -> Millis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_millis() as Millis)
}
