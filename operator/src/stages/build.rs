//! What the cluster shall hold for a set of stages. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, PodTemplateSpec, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use orch_core::drain::Drain;
use orch_core::finding::Finding;
use orch_core::id::StageName;
use orch_crds::stage::StageSpec;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::StageSet;
use super::pod::{Required, env, env_config, env_field, merge};

/// Names the set that something was made for.
pub(crate) const OWNER_LABEL: &str = "kafka-orchestrator.dev/owner";
/// Names the stage of the set that something was made for.
pub(crate) const STAGE_LABEL: &str = "kafka-orchestrator.dev/stage";

/// Longest name of a Deployment: its pods get labels with it.
const MAX_NAME: usize = 63;
/// A worker that is told to stop has at most this long, where its pod template does not say otherwise.
const MAX_GRACE: Duration = Duration::from_mins(10);

/// Where the filter of a worker's log stands in its ConfigMap. Not in the pod template: a change holds for the pods that
/// start from then on, and replaces none that works.
const LOG_KEY: &str = "log";

/// Settings of the operator that reach the workers.
#[derive(Debug, Clone)]
pub(crate) struct WorkerDefaults {
    pub(crate) image: String,
    pub(crate) pull_policy: String,
    pub(crate) log: String,
    /// Where Kafka is, for programs that read no `client.properties`.
    pub(crate) bootstrap_servers: String,
}

/// What the cluster shall hold.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// `stage.json` of each stage.
    pub(crate) config_maps: Vec<ConfigMap>,
    /// The operator's own connection for the workers; `None` when the set names a Secret.
    pub(crate) secret: Option<Secret>,
    /// A Deployment a stage; none for stages of the processor `external`. Without replicas: scaling sets those.
    pub(crate) deployments: Vec<(StageName, Deployment)>,
}

/// Builds everything for `set`. `connection` is the operator's own, by key. The findings say what is no pod template.
pub(crate) fn build(
    set: &StageSet,
    connection: &BTreeMap<String, Vec<u8>>,
    defaults: &WorkerDefaults,
) -> Result<Prepared, Vec<Finding>> {
    let own_workers = || set.stages.iter().filter(|stage| !stage.is_external());
    let secret = set.secret.is_none().then(|| Secret {
        metadata: metadata(set, set.name.clone(), None),
        data: Some(connection.iter().map(|(key, value)| (key.clone(), ByteString(value.clone()))).collect()),
        ..Secret::default()
    });
    let (mut deployments, mut findings) = (Vec::new(), Vec::new());
    for (i, stage) in set.stages.iter().enumerate().filter(|(_, stage)| !stage.is_external()) {
        let Ok(name) = StageName::parse(&stage.name) else { continue };
        let worker = stage.worker.clone().unwrap_or_default();
        match worker.pod_template(&format_args!("spec.stages[{i}].worker")) {
            Ok(template) => {
                deployments.push((name, deployment(set, stage, template, (connection, defaults))));
            }
            Err(wrong) => findings.extend(wrong),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(Prepared {
        config_maps: own_workers().map(|stage| config_map(set, stage, &defaults.log)).collect(),
        secret: secret.filter(|_| own_workers().next().is_some()),
        deployments,
    })
}

/// `<set>-<stage>`, cut and made unique by a hash where it is too long.
pub(crate) fn deployment_name(set: &str, stage: &str) -> String {
    let full = format!("{set}-{stage}");
    if full.len() <= MAX_NAME {
        return full;
    }
    let hash = hex(&Sha256::digest(full.as_bytes())[..4]);
    // All of these names are ASCII: DNS labels.
    format!("{}-{hash}", full[..MAX_NAME - 9].trim_end_matches('-'))
}

/// Labels of everything that is made for a set, or for one stage of it.
pub(crate) fn labels(set: &str, stage: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        ("app.kubernetes.io/managed-by".to_owned(), "kafka-orchestrator".to_owned()),
        ("app.kubernetes.io/name".to_owned(), "kafka-orchestrator-worker".to_owned()),
        (OWNER_LABEL.to_owned(), set.to_owned()),
    ]);
    if let Some(stage) = stage {
        labels.insert(STAGE_LABEL.to_owned(), stage.to_owned());
    }
    labels
}

fn metadata(set: &StageSet, name: String, stage: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(set.namespace.clone()),
        labels: Some(labels(&set.name, stage)),
        owner_references: Some(vec![set.owner.clone()]),
        ..ObjectMeta::default()
    }
}

fn stage_json(stage: &StageSpec) -> String {
    json!({"stage": stage.name, "processor": stage.processor}).to_string()
}

fn config_map(set: &StageSet, stage: &StageSpec, log: &str) -> ConfigMap {
    ConfigMap {
        metadata: metadata(set, deployment_name(&set.name, &stage.name), Some(&stage.name)),
        data: Some(BTreeMap::from([
            ("stage.json".to_owned(), stage_json(stage)),
            (LOG_KEY.to_owned(), log.to_owned()),
        ])),
        ..ConfigMap::default()
    }
}

fn deployment(
    set: &StageSet,
    stage: &StageSpec,
    template: PodTemplateSpec,
    (connection, defaults): (&BTreeMap<String, Vec<u8>>, &WorkerDefaults),
) -> Deployment {
    let name = deployment_name(&set.name, &stage.name);
    let labels = labels(&set.name, Some(&stage.name));
    let worker = stage.worker.clone().unwrap_or_default();
    let own_grace = template.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    let grace_seconds = own_grace.unwrap_or_else(|| default_grace_seconds(stage));
    let ours = worker_env(set, stage, worker.concurrency, grace_seconds, defaults);
    let env = once_each(worker.env.iter().map(Into::into).chain(ours));
    let required = Required {
        image: defaults.image.clone(),
        pull_policy: defaults.pull_policy.clone(),
        env,
        resources: worker.resources.as_ref().map(Into::into),
        labels: labels.clone().into_iter().collect(),
        connection_secret: set.secret.clone().unwrap_or_else(|| set.name.clone()),
        stage_config: name.clone(),
        grace_seconds,
    };
    let mut template = merge(template, &required);
    let digest = config_digest(stage, connection);
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert("kafka-orchestrator.dev/config".to_owned(), digest);
    Deployment {
        metadata: metadata(set, name, Some(&stage.name)),
        spec: DeploymentSpec {
            selector: LabelSelector { match_labels: Some(labels), ..LabelSelector::default() },
            strategy: Some(DeploymentStrategy {
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
                type_: Some("RollingUpdate".to_owned()),
            }),
            template,
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

/// Work within its run timeout ends before the pod is killed.
fn default_grace_seconds(stage: &StageSpec) -> i64 {
    let run_timeout = stage.timeouts.as_ref().and_then(|timeouts| timeouts.run.as_ref());
    let run_timeout_ms = run_timeout.and_then(|timeout| timeout.millis().ok());
    let run_timeout = run_timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let grace = run_timeout.map_or(MAX_GRACE, |timeout| Drain::grace_for(timeout).min(MAX_GRACE));
    grace.as_millis().div_ceil(1_000) as i64
}

fn worker_env(
    set: &StageSet,
    stage: &StageSpec,
    concurrency: u32,
    grace_seconds: i64,
    defaults: &WorkerDefaults,
) -> Vec<EnvVar> {
    // A name that is none never gets here: the run was refused.
    let ready = StageName::parse(&stage.name).map_or_else(|_| String::new(), |name| set.names.ready(&name));
    vec![
        env("ORCH_CONFIG_DIR", "/etc/orchestrator"),
        env("ORCH_BOOTSTRAP_SERVERS", defaults.bootstrap_servers.clone()),
        env("ORCH_READY_TOPIC", ready.clone()),
        env("ORCH_EVENTS_TOPIC", set.names.events()),
        env("ORCH_CONTROL_TOPIC", set.names.control()),
        env("ORCH_GROUP", ready),
        env("ORCH_CONCURRENCY", concurrency.to_string()),
        env("ORCH_STAGE", stage.name.clone()),
        env_config("ORCH_LOG", &deployment_name(&set.name, &stage.name), LOG_KEY),
        env("ORCH_DRAIN_SECONDS", grace_seconds.max(0).to_string()),
        env_field("POD_NAME", "metadata.name"),
    ]
}

/// The last of each name, so ours over the user's: the API server takes no Deployment with a name twice.
fn once_each(variables: impl Iterator<Item = EnvVar>) -> Vec<EnvVar> {
    let mut once: Vec<EnvVar> = Vec::new();
    for variable in variables {
        once.retain(|other| other.name != variable.name);
        once.push(variable);
    }
    once
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Into a String: cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Workers restart when their settings or their connection change.
fn config_digest(stage: &StageSpec, connection: &BTreeMap<String, Vec<u8>>) -> String {
    let mut digest = Sha256::new();
    digest.update(stage_json(stage));
    for (key, value) in connection {
        digest.update(key);
        digest.update(value);
    }
    hex(&digest.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use orch_crds::PipelineRun;
    use orch_wire::TopicPrefix;

    use super::*;

    fn built(log: &str, image: &str) -> (ConfigMap, Deployment) {
        built_of(&json!({}), log, image)
    }

    /// `more` goes into the stage.
    fn built_of(more: &serde_json::Value, log: &str, image: &str) -> (ConfigMap, Deployment) {
        let mut stage = json!({"name": "ingest", "processor": {"simulate": {}}});
        stage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let run: PipelineRun = serde_json::from_value(json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun",
            "metadata": {"name": "sales", "namespace": "default", "uid": "3f2a91c0"},
            "spec": {"stages": [stage], "objects": [{"id": "a"}]},
        }))
        .unwrap();
        let set = StageSet::of_run(&run, &TopicPrefix::default()).unwrap();
        let defaults = WorkerDefaults {
            image: image.to_owned(),
            pull_policy: "IfNotPresent".to_owned(),
            log: log.to_owned(),
            bootstrap_servers: "kafka:9092".to_owned(),
        };
        let mut prepared = build(&set, &BTreeMap::new(), &defaults).unwrap();
        (prepared.config_maps.remove(0), prepared.deployments.remove(0).1)
    }

    #[test]
    fn another_log_level_replaces_no_pod() {
        let ((quiet_map, quiet), (loud_map, loud)) = (built("info", "a"), built("debug", "a"));
        assert_eq!(quiet, loud);
        assert_ne!(quiet_map, loud_map);
        assert_ne!(quiet, built("info", "b").1, "another image does");
    }

    /// Such a Deployment was refused with "duplicate entries for key", and no worker ever came.
    #[test]
    fn a_variable_that_is_given_twice_or_is_one_of_ours_stands_once() {
        let variable = |name: &str, value: &str| json!({"name": name, "value": value});
        let given = [variable("A", "1"), variable("ORCH_STAGE", "mine"), variable("A", "2")];
        let (_, deployment) = built_of(&json!({"worker": {"env": given}}), "info", "a");
        let pod = deployment.spec.template.spec.unwrap();
        let values = |name: &str| {
            let env = pod.containers[0].env.iter().flatten().filter(|var| var.name == name);
            env.map(|var| var.value.clone().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!((values("A"), values("ORCH_STAGE")), (vec!["2".to_owned()], vec!["ingest".to_owned()]));
    }

    /// The grace of a stage's pods, and what its workers are told of it.
    fn grace(more: &serde_json::Value) -> (i64, String) {
        let (_, deployment) = built_of(more, "info", "a");
        let pod = deployment.spec.template.spec.unwrap();
        let env = pod.containers[0].env.iter().flatten();
        let told = env.filter(|var| var.name == "ORCH_DRAIN_SECONDS").map(|var| var.value.clone().unwrap());
        (pod.termination_grace_period_seconds.unwrap(), told.collect::<Vec<_>>().join(" "))
    }

    /// A worker of a shorter grace was killed while it believed that it had time: that cost its objects an attempt.
    #[test]
    fn workers_are_told_the_grace_that_their_pods_have() {
        assert_eq!(grace(&json!({})), (600, "600".to_owned()));
        assert_eq!(grace(&json!({"timeouts": {"run": "1500ms"}})), (13, "13".to_owned()));
        assert_eq!(grace(&json!({"timeouts": {"run": "2h"}})), (600, "600".to_owned()));
        for own in [0, 20, 7_200] {
            let template = json!({"spec": {"terminationGracePeriodSeconds": own}});
            let worker = json!({"worker": {"podTemplate": template}, "timeouts": {"run": "30s"}});
            assert_eq!(grace(&worker), (own, own.to_string()));
        }
    }

    #[test]
    fn names_are_cut_and_stay_unique() {
        assert_eq!(deployment_name("sales-3f2a91", "ingest"), "sales-3f2a91-ingest");
        let set = "s".repeat(55);
        let (a, b) =
            (deployment_name(&set, &"a".repeat(40)), deployment_name(&set, &format!("{}b", "a".repeat(39))));
        assert!(a.len() <= MAX_NAME && b.len() <= MAX_NAME && a != b, "{a} {b}");
    }
}
