//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging. Fails when the filter cannot be read.
pub(crate) fn init(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("ORCH_LOG `{filter}`: {error}"))?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.init(),
    }
    Ok(())
}
