//! The operator's rights compared with what it asked of the API server, both ways.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::command::json;
use crate::release::hooks;

const NAMESPACE: &str = "kafka-orchestrator";
/// Server-side apply needs the right to create what it makes, and the audit log calls it `patch`.
const AUDITED_AS_PATCH: [(&str, &str, &str); 3] =
    [("apps", "deployments", "create"), ("", "configmaps", "create"), ("", "secrets", "create")];
/// What an uninstall needs and the one here does not come to: a run with another Kafka, and a Lease that nobody had.
const RARE_WHEN_LEAVING: [(&str, &str, &str); 2] =
    [("", "secrets", "get"), ("coordination.k8s.io", "leases", "create")];

type Right = (String, String, String);

/// The rights of the operator and of its uninstall, as they are granted.
pub(crate) struct Granted {
    operator: BTreeSet<Right>,
    leaving: BTreeSet<Right>,
}

impl Granted {
    /// Reads them; to be done while the release is there.
    pub(crate) fn read() -> Self {
        let roles = json(
            "kubectl",
            &["get", "clusterroles", "-l", "app.kubernetes.io/name=kafka-orchestrator", "-o", "json"],
            &[0],
        );
        let own = json("kubectl", &["-n", NAMESPACE, "get", "roles", "-o", "json"], &[0]);
        let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
        let aggregated = |role: &Value| {
            let labels = role["metadata"]["labels"].as_object().cloned().unwrap_or_default();
            labels.keys().any(|label| label.starts_with("rbac.authorization.k8s.io/aggregate-to-"))
        };
        let roles = [items(&roles), items(&own)].concat();
        let operator = roles.iter().filter(|role| !aggregated(role)).flat_map(rights).collect();
        Self { operator, leaving: hooks().iter().flat_map(rights).collect() }
    }

    /// Compares them with what was asked for, both ways.
    pub(crate) fn is_what_was_used(&self) {
        let log = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../local/.run/node/log/audit.log"));
        if !log.exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "there is no audit log, and with CI set nothing may be skipped"
            );
            println!(
                "skipped: RBAC against the audit log (this cluster keeps none: only the node of local/node does)"
            );
            return;
        }
        let log = std::fs::read_to_string(log).unwrap();
        compare(&self.operator, &used(&log, "kafka-orchestrator"), &AUDITED_AS_PATCH);
        compare(&self.leaving, &used(&log, "kafka-orchestrator-leave"), &RARE_WHEN_LEAVING);
    }
}

fn compare(granted: &BTreeSet<Right>, used: &BTreeSet<Right>, exceptions: &[(&str, &str, &str)]) {
    assert!(!used.is_empty(), "the audit log has nothing of it");
    let beyond: Vec<_> = used.difference(granted).collect();
    assert!(beyond.is_empty(), "asked for and not granted: {beyond:?}");
    let exceptions: BTreeSet<Right> =
        exceptions.iter().map(|(group, resource, verb)| right(group, resource, verb)).collect();
    let idle: Vec<_> = granted.difference(used).filter(|right| !exceptions.contains(right)).collect();
    assert!(idle.is_empty(), "granted and never asked for: {idle:?}");
}

/// What the rules of a role allow; nothing for what is no role.
fn rights(role: &Value) -> Vec<Right> {
    let list = |rule: &Value, key: &str| {
        let values = rule[key].as_array().cloned().unwrap_or_default();
        values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                rights.extend(list(rule, "verbs").iter().map(|verb| right(&group, &resource, verb)));
            }
        }
    }
    rights
}

fn right(group: &str, resource: &str, verb: &str) -> Right {
    (group.to_owned(), resource.to_owned(), verb.to_owned())
}

/// What a service account asked for.
fn used(log: &str, account: &str) -> BTreeSet<Right> {
    let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["user"]["username"] == *user)
        .filter_map(|event| {
            let reference = &event["objectRef"];
            let resource = reference["resource"].as_str()?;
            let resource = match reference["subresource"].as_str() {
                Some(sub) => format!("{resource}/{sub}"),
                None => resource.to_owned(),
            };
            let group = reference["apiGroup"].as_str().unwrap_or_default();
            Some(right(group, &resource, event["verb"].as_str()?))
        })
        .collect()
}
