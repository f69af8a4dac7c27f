//! The bus of a local run: memory, or a real broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_bus::memory::MemoryBus;
use orch_bus::{Bus, Obstacle};

use crate::error::CliError;

/// How to reach a broker.
#[derive(Debug, Clone)]
pub(crate) struct KafkaAddress {
    /// `HOST:PORT`, or several with commas.
    pub servers: String,
    /// A folder with `client.properties` and certificates, as the operator and the workers have it.
    pub folder: Option<PathBuf>,
}

impl KafkaAddress {
    /// The address, unless nobody could mean it: librdkafka would take it, and wait.
    pub(crate) fn new(servers: String, folder: Option<PathBuf>) -> Result<Self, CliError> {
        for server in servers.split(',') {
            if let Some(problem) = fault(server.trim()) {
                let problem = format!("--kafka `{servers}`: {problem}");
                return Err(CliError::usage(
                    problem,
                    "write HOST:PORT, or several with commas: `--kafka localhost:9092`",
                ));
            }
        }
        Ok(Self { servers, folder })
    }

    /// The error with what to do about it, where the broker is the cause.
    pub(crate) fn explain(&self, error: CliError) -> CliError {
        match error {
            CliError::Bus { doing, source, .. } => {
                let hint = source.obstacle().map(|obstacle| hint(obstacle, self.folder.as_deref()));
                CliError::Bus { doing, hint: hint.unwrap_or_default(), source }
            }
            other => other,
        }
    }
}

/// What is wrong with `HOST:PORT`.
fn fault(server: &str) -> Option<String> {
    if server.is_empty() {
        return Some("an address is missing".to_owned());
    }
    if server.contains(['/', '@']) || server.contains(char::is_whitespace) {
        return Some(format!(
            "`{server}` is more than a host and a port; TLS and logins are settings, see --kafka-config"
        ));
    }
    let Some((host, port)) = server.rsplit_once(':') else {
        return Some(format!("`{server}` has no port"));
    };
    let is_ipv6 = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !is_ipv6) {
        return Some(format!("`{server}` has no host, or one that needs brackets, as in `[::1]:9092`"));
    }
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    (!is_port).then(|| format!("`{port}` is no port: a number from 1 to 65535"))
}

/// What is set wrong, and where.
fn hint(obstacle: Obstacle, folder: Option<&Path>) -> String {
    let Some(folder) = folder else { return without_settings(obstacle).to_owned() };
    let file = |name: &str| format!("`{}`", folder.join(name).display());
    let properties = file("client.properties");
    match obstacle {
        Obstacle::Login => {
            format!("correct sasl.username, sasl.password and sasl.mechanism in {properties}")
        }
        Obstacle::BrokerCertificate => format!(
            "{} has to hold the authority that signed the broker's certificate, and the certificate has to name the \
             host that --kafka names",
            file("ca.crt")
        ),
        Obstacle::ClientCertificate => format!(
            "the broker does not take the certificate in {}: it may be missing, expired, or of an authority that the \
             broker does not know",
            file("tls.crt")
        ),
        Obstacle::Protocol => format!(
            "security.protocol in {properties} has to be that of the broker's listener: PLAINTEXT, SSL, \
             SASL_PLAINTEXT or SASL_SSL"
        ),
        Obstacle::Name | Obstacle::Silence => without_settings(obstacle).to_owned(),
    }
}

fn without_settings(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Name => {
            "the host has no address on this machine: correct --kafka, or what the broker advertises (advertised.listeners)"
        }
        Obstacle::Silence => {
            "check the address, and that the broker runs and advertises an address that this machine reaches"
        }
        Obstacle::Login | Obstacle::BrokerCertificate | Obstacle::ClientCertificate | Obstacle::Protocol => {
            "the listener seems to want TLS or a login: --kafka-config DIR names a folder with client.properties"
        }
    }
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
    use orch_bus::kafka::{CLIENT_PROPERTIES, KafkaBus, KafkaConfig};
    let failed = |source| CliError::bus(format!("cannot use Kafka at {}", address.servers), source);
    if let Some(folder) = &address.folder
        && !folder.join(CLIENT_PROPERTIES).is_file()
    {
        let problem = format!("--kafka-config {}: there is no {CLIENT_PROPERTIES} in it", folder.display());
        return Err(CliError::usage(problem, "it holds librdkafka's settings, one `name=value` a line"));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["localhost:9092", "a.example:1, b.example:65535", "[::1]:9092", "10.0.0.1:9092"] {
            assert!(KafkaAddress::new(good.to_owned(), None).is_ok(), "{good}");
        }
    }
}
