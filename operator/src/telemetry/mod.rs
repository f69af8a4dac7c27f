//! What the process tells about itself: logs, metrics, health.

mod logs;
mod metrics;
mod server;

pub(crate) use logs::init;
pub(crate) use metrics::Metrics;
pub(crate) use server::serve;
