//! What an API server says, in words of this program.

use crate::error::CliError;

/// The error of a call to this server, with what to do about it.
pub(super) fn of(doing: String, error: kube::Error, server: &str) -> CliError {
    let hint = match &error {
        kube::Error::Api(status) => api_hint(status.code, &status.message).to_owned(),
        _ => format!(
            "is the cluster there? Its address is {server}; `kubectl cluster-info` asks the same server"
        ),
    };
    let source: Box<dyn std::error::Error + Send + Sync> = match error {
        // The server's own sentence, without the debug text around it.
        kube::Error::Api(status) => status.message.clone().into(),
        other => Box::new(other),
    };
    CliError::Cluster { doing, hint, source }
}

fn api_hint(code: u16, message: &str) -> &'static str {
    match code {
        401 => "log in again: the server does not accept this user's credentials",
        403 => "ask for a Role with the verb that the message names",
        404 if message.contains("could not find the requested resource")
            || message.contains("page not found") =>
        {
            "install the custom resources: helm install kafka-orchestrator-crds charts/kafka-orchestrator-crds"
        }
        404 => "`kubectl get pipelineruns -A` lists the runs of all namespaces",
        409 => "choose another name with --name",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_definition_and_a_missing_run_have_different_hints() {
        assert!(api_hint(404, "the server could not find the requested resource").contains("helm"));
        assert!(api_hint(404, r#"pipelineruns "x" not found"#).contains("kubectl get"));
    }
}
