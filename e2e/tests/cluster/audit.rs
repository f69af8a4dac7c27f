//! The operator's rights compared with what it asked of the API server, both ways.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::command::json;

const NAMESPACE: &str = "kafka-orchestrator";
/// Server-side apply needs the right to create what it makes, and the audit log calls it `patch`.
const AUDITED_AS_PATCH: [(&str, &str, &str); 3] =
    [("apps", "deployments", "create"), ("", "configmaps", "create"), ("", "secrets", "create")];

type Right = (String, String, String);

pub(crate) fn rbac_is_what_the_operator_uses() {
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
    let used = used(&std::fs::read_to_string(log).unwrap());
    let granted = granted();
    let beyond: Vec<_> = used.difference(&granted).collect();
    assert!(beyond.is_empty(), "asked for and not granted: {beyond:?}");
    let exceptions: BTreeSet<Right> =
        AUDITED_AS_PATCH.iter().map(|(group, resource, verb)| right(group, resource, verb)).collect();
    let idle: Vec<_> = granted.difference(&used).filter(|right| !exceptions.contains(right)).collect();
    assert!(idle.is_empty(), "granted and never asked for: {idle:?}");
}

fn right(group: &str, resource: &str, verb: &str) -> Right {
    (group.to_owned(), resource.to_owned(), verb.to_owned())
}

/// What the operator's service account asked for.
fn used(log: &str) -> BTreeSet<Right> {
    let user = format!("system:serviceaccount:{NAMESPACE}:");
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["user"]["username"].as_str().is_some_and(|name| name.starts_with(&user)))
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

/// What the chart's roles grant it.
fn granted() -> BTreeSet<Right> {
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
    let mut rights = BTreeSet::new();
    for role in items(&roles).iter().chain(&items(&own)).filter(|role| !aggregated(role)) {
        for rule in role["rules"].as_array().into_iter().flatten() {
            let list = |key: &str| {
                let values = rule[key].as_array().cloned().unwrap_or_default();
                values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect::<Vec<_>>()
            };
            for group in list("apiGroups") {
                for resource in list("resources") {
                    rights.extend(list("verbs").iter().map(|verb| right(&group, &resource, verb)));
                }
            }
        }
    }
    rights
}
