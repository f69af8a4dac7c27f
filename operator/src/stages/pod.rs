//! The pod of a stage's workers: the user's template, and what ours must have. Merged by container name: `worker` is
//! ours. Pure.

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapKeySelector, ConfigMapProjection, Container, ContainerPort, EnvVar, EnvVarSource,
    HTTPGetAction, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretProjection, SecurityContext, Volume,
    VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Name of the container that is ours.
pub(crate) const WORKER: &str = "worker";
/// Where connection and `stage.json` are mounted.
const CONFIG_DIR: &str = "/etc/orchestrator";
const CONFIG_VOLUME: &str = "orchestrator-config";
const PORT: i32 = 8081;
/// The user and group that images of ours have.
const NONROOT: i64 = 65_532;

/// What the worker container gets, whatever the template says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Required {
    pub(crate) image: String,
    pub(crate) pull_policy: String,
    /// Set by us; a variable of the same name in the template gives way.
    pub(crate) env: Vec<EnvVar>,
    pub(crate) resources: Option<ResourceRequirements>,
    pub(crate) labels: Vec<(String, String)>,
    /// Secret with the Kafka connection.
    pub(crate) connection_secret: String,
    /// ConfigMap with `stage.json`.
    pub(crate) stage_config: String,
    pub(crate) grace_seconds: i64,
}

/// The template with what is required. What the user set stays, but for the labels, the variables and the mount that
/// the worker cannot do without.
pub(crate) fn merge(template: PodTemplateSpec, required: &Required) -> PodTemplateSpec {
    let PodTemplateSpec { metadata, spec } = template;
    let mut metadata = metadata.unwrap_or_default();
    metadata.labels.get_or_insert_default().extend(required.labels.iter().cloned());
    let mut spec = spec.unwrap_or_default();
    if !spec.containers.iter().any(|container| container.name == WORKER) {
        spec.containers.insert(0, Container { name: WORKER.to_owned(), ..Container::default() });
    }
    for container in &mut spec.containers {
        container.security_context.get_or_insert_with(restricted);
        if container.name == WORKER {
            complete(container, required);
        }
    }
    for container in spec.init_containers.iter_mut().flatten() {
        container.security_context.get_or_insert_with(restricted);
    }
    let volumes = spec.volumes.get_or_insert_default();
    volumes.retain(|volume| volume.name != CONFIG_VOLUME);
    volumes.push(config_volume(required));
    pod_defaults(&mut spec, required);
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

fn pod_defaults(spec: &mut PodSpec, required: &Required) {
    spec.termination_grace_period_seconds.get_or_insert(required.grace_seconds);
    spec.automount_service_account_token.get_or_insert(false);
    spec.enable_service_links.get_or_insert(false);
    spec.security_context.get_or_insert_with(|| PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(NONROOT),
        run_as_group: Some(NONROOT),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    });
}

/// What the Pod Security Standard `restricted` asks of a container.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn complete(container: &mut Container, required: &Required) {
    container.image.get_or_insert_with(|| required.image.clone());
    container.image_pull_policy.get_or_insert_with(|| required.pull_policy.clone());
    if container.resources.is_none() {
        container.resources.clone_from(&required.resources);
    }
    let env = container.env.get_or_insert_default();
    env.retain(|var| required.env.iter().all(|ours| ours.name != var.name));
    env.extend(required.env.iter().cloned());
    let mounts = container.volume_mounts.get_or_insert_default();
    mounts.retain(|mount| mount.name != CONFIG_VOLUME);
    mounts.push(VolumeMount {
        name: CONFIG_VOLUME.to_owned(),
        mount_path: CONFIG_DIR.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    let ports = container.ports.get_or_insert_default();
    if !ports.iter().any(|port| port.container_port == PORT) {
        ports.push(ContainerPort {
            container_port: PORT,
            name: Some("health".to_owned()),
            ..ContainerPort::default()
        });
    }
    container.readiness_probe.get_or_insert_with(|| probe("/readyz", 1));
    container.liveness_probe.get_or_insert_with(|| probe("/healthz", 10));
}

fn probe(path: &str, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(PORT),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(6),
        ..Probe::default()
    }
}

fn config_volume(required: &Required) -> Volume {
    let secret = VolumeProjection {
        secret: Some(SecretProjection {
            name: required.connection_secret.clone(),
            ..SecretProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let stage = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: required.stage_config.clone(),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    };
    Volume {
        name: CONFIG_VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![secret, stage]),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A variable with a value.
pub(crate) fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), ..EnvVar::default() }
}

/// A variable with a field of the pod.
pub(crate) fn env_field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value_from: Some(source), ..EnvVar::default() }
}

/// A variable with a value of a ConfigMap, as it is when the pod starts.
pub(crate) fn env_config(name: &str, config_map: &str, key: &str) -> EnvVar {
    let key = ConfigMapKeySelector { name: config_map.to_owned(), key: key.to_owned(), optional: None };
    let source = EnvVarSource { config_map_key_ref: Some(key), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value_from: Some(source), ..EnvVar::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(yaml: &str) -> PodSpec {
        let template: PodTemplateSpec = serde_json::from_str(yaml).unwrap();
        let required = Required {
            image: "ours".to_owned(),
            pull_policy: "IfNotPresent".to_owned(),
            env: vec![env("ORCH_STAGE", "ingest")],
            labels: vec![("stage".to_owned(), "ingest".to_owned())],
            ..Required::default()
        };
        merge(template, &required).spec.unwrap()
    }

    fn worker(spec: &PodSpec) -> &Container {
        spec.containers.iter().find(|container| container.name == WORKER).unwrap()
    }

    #[test]
    fn an_empty_template_gives_a_restricted_pod_with_our_image() {
        let spec = merged("{}");
        assert_eq!(worker(&spec).image.as_deref(), Some("ours"));
        assert_eq!(spec.security_context.as_ref().unwrap().run_as_non_root, Some(true));
        assert_eq!(worker(&spec).security_context.as_ref().unwrap().allow_privilege_escalation, Some(false));
    }

    #[test]
    fn own_image_env_and_volumes_stay() {
        let spec = merged(
            r#"{"spec": {"imagePullSecrets": [{"name": "pull"}], "volumes": [{"name": "data", "emptyDir": {}}],
                "containers": [{"name": "worker", "image": "mine", "env": [{"name": "A", "value": "1"}, {"name": "ORCH_STAGE", "value": "x"}],
                                "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}"#,
        );
        let worker = worker(&spec);
        assert_eq!(worker.image.as_deref(), Some("mine"));
        let value = |name: &str| {
            let env = worker.env.as_ref().unwrap();
            env.iter()
                .filter(|var| var.name == name)
                .map(|var| var.value.clone().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!((value("A"), value("ORCH_STAGE")), (vec!["1".to_owned()], vec!["ingest".to_owned()]));
        assert_eq!(worker.volume_mounts.as_ref().unwrap().len(), 2);
        assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "pull");
        assert_eq!(spec.volumes.unwrap().len(), 2);
    }

    #[test]
    fn a_side_car_stays_beside_the_worker() {
        let spec = merged(r#"{"spec": {"containers": [{"name": "side", "image": "python"}]}}"#);
        let names: Vec<_> = spec.containers.iter().map(|container| container.name.as_str()).collect();
        assert_eq!(names, [WORKER, "side"]);
        assert!(spec.containers[1].security_context.is_some());
    }
}
