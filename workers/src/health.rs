//! Whether a worker can do its work. No I/O.

use std::sync::{Arc, Mutex, PoisonError};

use orch_bus::Bus;

/// What a worker still waits for. Clones speak of the same worker.
#[derive(Clone)]
pub struct Health {
    bus: Arc<dyn Bus>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    joined: bool,
    control_read: bool,
    leaving: bool,
    trouble: Option<String>,
}

impl Health {
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus, state: Arc::default() }
    }

    /// Everything that keeps it from taking objects, in words; empty when it is ready.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.control_read {
            missing.push("the control topic is not read yet".to_owned());
        }
        if !state.joined {
            missing.push("it has not joined its consumer group yet".to_owned());
        }
        if state.leaving {
            missing.push("it is shutting down".to_owned());
        }
        missing.extend(state.trouble.clone());
        missing.extend(self.bus.trouble());
        missing
    }

    /// Whether it takes objects.
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }

    pub(crate) fn joined(&self) {
        self.change(|state| state.joined = true);
    }

    pub(crate) fn control_read(&self) {
        self.change(|state| state.control_read = true);
    }

    pub(crate) fn leaving(&self) {
        self.change(|state| state.leaving = true);
    }

    pub(crate) fn trouble(&self, trouble: Option<String>) {
        self.change(|state| state.trouble = trouble);
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
