//! The bus of a local run: memory, or a real broker.

use std::path::PathBuf;
use std::sync::Arc;

use orch_bus::Bus;
use orch_bus::memory::MemoryBus;

use crate::error::CliError;

/// How to reach a broker.
#[derive(Debug, Clone)]
pub(crate) struct KafkaAddress {
    /// `HOST:PORT`, or several with commas.
    pub servers: String,
    /// A folder with `client.properties` and certificates, as the operator and the workers have it.
    pub folder: Option<PathBuf>,
}

/// Memory, unless there is an address.
pub(crate) fn connect(kafka: Option<&KafkaAddress>) -> Result<Arc<dyn Bus>, CliError> {
    match kafka {
        None => Ok(Arc::new(MemoryBus::new())),
        Some(address) => broker(address),
    }
}

#[cfg(feature = "kafka")]
fn broker(address: &KafkaAddress) -> Result<Arc<dyn Bus>, CliError> {
    use orch_bus::kafka::{KafkaBus, KafkaConfig};
    let failed = |source| CliError::Bus { doing: format!("cannot use Kafka at {}", address.servers), source };
    let config = KafkaConfig::load(address.folder.as_deref(), Some(&address.servers)).map_err(failed)?;
    Ok(Arc::new(KafkaBus::new(config).map_err(failed)?))
}

#[cfg(not(feature = "kafka"))]
fn broker(address: &KafkaAddress) -> Result<Arc<dyn Bus>, CliError> {
    let folder =
        address.folder.as_ref().map_or_else(String::new, |folder| format!(" with {}", folder.display()));
    let problem = format!("this build of orch cannot talk to Kafka at {}{folder}", address.servers);
    Err(CliError::usage(problem, "build it with the feature `kafka`, or leave --kafka out"))
}
