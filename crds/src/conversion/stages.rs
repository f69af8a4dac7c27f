//! Stages and what objects may override of them. Names, ranges and policies are checked by the plan, which takes the
//! last look; here stands what only the resource knows.

use std::fmt::Display;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use orch_core::finding::{Finding, FindingKind};
use orch_core::spec as core;

use super::checks::Checks;
use crate::stage::{EnvVar, ProcessorSpec, RetrySpec, StageSpec, TimeoutsSpec, WorkerSpec};
use crate::strict::{Fault, Text};

/// All stages.
pub(super) fn stages(stages: &[StageSpec], place: &str, checks: &mut Checks) -> Vec<core::StageSpec> {
    stages.iter().enumerate().map(|(i, spec)| stage(spec, &format_args!("{place}[{i}]"), checks)).collect()
}

fn stage(stage: &StageSpec, place: &dyn Display, checks: &mut Checks) -> core::StageSpec {
    check_processor(&stage.processor, &format_args!("{place}.processor"), checks);
    if stage.is_external() && stage.worker.is_some() {
        let problem = "a stage with the processor external has no workers of ours";
        checks.refuse(format!("{place}.worker"), problem, "leave worker out");
    }
    for (i, var) in stage.worker.iter().flat_map(|worker| &worker.env).enumerate() {
        check_variable(var, &format_args!("{place}.worker.env[{i}]"), checks);
    }
    if let Some(worker) = &stage.worker {
        checks.add_all(worker.pod_template(&format_args!("{place}.worker")).err().unwrap_or_default());
    }
    let retry = stage.retry.as_ref().map(|own| retry(own, place, checks)).unwrap_or_default();
    let timeouts = stage.timeouts.as_ref().map(|own| timeouts(own, place, checks)).unwrap_or_default();
    core::StageSpec {
        name: stage.name.clone(),
        id_range: stage.id_range.map(|range| (range.from, range.to)),
        processor: to_json(&stage.processor, place, checks),
        worker: stage.worker_policy(),
        partitions: stage.partitions(),
        retry: retry.over(core::RetryPolicy::default()),
        timeouts: timeouts.over(core::Timeouts::default()),
    }
}

impl WorkerSpec {
    /// The pod template. The schema takes any object; here stands everything that is none of a pod template, at this place.
    pub fn pod_template(&self, place: &dyn Display) -> Result<PodTemplateSpec, Vec<Finding>> {
        let Some(template) = &self.pod_template else { return Ok(PodTemplateSpec::default()) };
        // An object of JSON always serialises.
        let text = serde_json::to_string(template).unwrap_or_default();
        Text::Json(&text).strict().map_err(|faults| {
            let finding = |fault: Fault| {
                let place = fault.place(&format!("{place}.podTemplate"));
                let remedy = "it is what `spec.template` of a Deployment holds";
                Finding::new(FindingKind::Malformed, place, fault.problem, remedy)
            };
            faults.into_iter().map(finding).collect()
        })
    }

    /// How many workers of which width.
    pub fn policy(&self) -> core::WorkerPolicy {
        core::WorkerPolicy {
            concurrency: self.concurrency,
            min_replicas: self.min_replicas,
            max_replicas: self.max_replicas,
            idle_seconds: self.idle_seconds,
        }
    }
}

/// What is wrong with a processor.
pub(super) fn check_processor(spec: &ProcessorSpec, place: &dyn Display, checks: &mut Checks) {
    let set = [spec.simulate.is_some(), spec.exec.is_some(), spec.http.is_some(), spec.external.is_some()];
    if set.into_iter().filter(|set| *set).count() != 1 {
        let problem = "a processor is exactly one of simulate, exec, http and external";
        checks.refuse(place.to_string(), problem, "");
    }
    if let Some(simulate) = &spec.simulate {
        if let Some(duration) = &simulate.duration {
            checks.millis(place, "simulate.duration", duration);
        }
        checks.share(place, "simulate.jitter", simulate.jitter);
        checks.share(place, "simulate.failureRate", simulate.failure_rate);
    }
    if spec.exec.as_ref().is_some_and(|exec| exec.command.first().is_none_or(String::is_empty)) {
        checks.refuse(format!("{place}.exec.command"), "the command is empty", "");
    }
    if let Some(http) = &spec.http {
        let rest = http.url.strip_prefix("http://").or_else(|| http.url.strip_prefix("https://"));
        let has_gap = http.url.contains(|c: char| c.is_whitespace() || c.is_control());
        if has_gap || rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
            let problem = format!("`{}` is no http or https address", http.url);
            checks.refuse(format!("{place}.http.url"), problem, "");
        }
        checks.timeout(place, "http.timeout", http.timeout.as_ref());
        for (name, value) in http.headers.iter().flatten() {
            check_header(name, value, &format_args!("{place}.http.headers"), checks);
        }
    }
}

/// A field of an HTTP message (RFC 9110, 5.1 and 5.5). The value may be a secret, and is not repeated.
fn check_header(name: &str, value: &str, place: &dyn Display, checks: &mut Checks) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        let problem = format!("`{name}` is no name of a header");
        checks.refuse(
            place.to_string(),
            problem,
            "a name has letters, digits and dashes, and no spaces or colons",
        );
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        let problem = "the value has a line break or another control character";
        checks.refuse(format!("{place}.{name}"), problem, "leave it out: `|-` instead of `|` in YAML");
    }
}

fn check_variable(var: &EnvVar, place: &dyn Display, checks: &mut Checks) {
    let Some(source) = &var.value_from else { return };
    if var.value.is_some() {
        checks.refuse(place.to_string(), "an environment variable has either value or valueFrom", "");
    }
    if source.secret_key_ref.is_some() == source.config_map_key_ref.is_some() {
        let problem = "valueFrom is exactly one of secretKeyRef and configMapKeyRef";
        checks.refuse(format!("{place}.valueFrom"), problem, "");
    }
}

/// JSON text; a value that has none is a finding.
pub(super) fn to_json(value: &impl serde::Serialize, place: &dyn Display, checks: &mut Checks) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        checks.refuse(place.to_string(), error.to_string(), "");
        String::new()
    })
}

/// What the policy says; `place` is that of the stage or object.
pub(super) fn retry(spec: &RetrySpec, place: &dyn Display, checks: &mut Checks) -> core::RetryOverride {
    core::RetryOverride {
        max_attempts: spec.max_attempts,
        initial_delay_ms: spec.initial_delay.as_ref().map(|d| checks.millis(place, "retry.initialDelay", d)),
        factor: spec.factor,
        max_delay_ms: spec.max_delay.as_ref().map(|d| checks.millis(place, "retry.maxDelay", d)),
        jitter: spec.jitter,
    }
}

/// What the timeouts say; `place` is that of the stage or object.
pub(super) fn timeouts(
    spec: &TimeoutsSpec,
    place: &dyn Display,
    checks: &mut Checks,
) -> core::TimeoutsOverride {
    core::TimeoutsOverride {
        queue_ms: checks.timeout(place, "timeouts.queue", spec.queue.as_ref()),
        run_ms: checks.timeout(place, "timeouts.run", spec.run.as_ref()),
        heartbeat_ms: checks.timeout(place, "timeouts.heartbeat", spec.heartbeat.as_ref()),
    }
}
