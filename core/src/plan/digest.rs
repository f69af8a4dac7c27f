//! The digest that pins a plan: two plans with the same one run the same objects in the same way.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Object, Policies, RunPlan};
use crate::graph::Graph;
use crate::id::ObjectIx;
use crate::spec::{FailurePolicy, RetryPolicy, StageSpec, Timeouts, UndefinedPolicy};

/// Changes whenever the bytes below are laid out otherwise.
const LAYOUT: &str = "plan/v1";

/// `sha256:<hex>` over stages, policies, and of each object id, stage, dependencies, overrides, meta and whether it is
/// needed. Not in it: names for people, partitions and workers, which decide how fast a run is and not what it runs.
/// JSON counts by its bytes. Every text is preceded by its length, so that no two plans give the same bytes.
pub(super) fn of(plan: &RunPlan, stages: &[StageSpec]) -> String {
    let mut sink = Sink { hasher: Sha256::new(), buffer: Vec::with_capacity(Sink::FLUSH + 4096) };
    sink.text(LAYOUT);
    sink.number(plan.stages.len() as u64);
    for (stage, spec) in plan.stages.iter().zip(stages) {
        sink.text(stage.name.as_str());
        sink.text(&stage.processor);
        sink.policies(spec.retry, spec.timeouts);
    }
    sink.byte(match plan.failure_policy {
        FailurePolicy::ContinueIndependent => 0,
        FailurePolicy::FailFast => 1,
    });
    sink.byte(match plan.undefined_dependencies {
        UndefinedPolicy::Reject => 0,
        UndefinedPolicy::AssumeLoaded => 1,
        UndefinedPolicy::Run => 2,
    });
    sink.number(plan.objects.len() as u64);
    for (ix, object) in plan.indices().zip(&plan.objects) {
        let stage = &stages[object.stage.usize()];
        sink.object(object, stage, plan.is_needed(ix));
        sink.dependencies(&plan.graph, ix);
    }
    sink.finish()
}

/// Gathers small pieces, because the hash takes large ones much faster.
struct Sink {
    hasher: Sha256,
    buffer: Vec<u8>,
}

impl Sink {
    const FLUSH: usize = 64 * 1024;

    fn object(&mut self, object: &Object, stage: &StageSpec, needed: bool) {
        self.text(object.id.as_str());
        self.bytes(&object.stage.0.to_le_bytes());
        let policies = *object.policies;
        let own_policies = policies != Policies { retry: stage.retry, timeouts: stage.timeouts };
        let flags =
            [needed, object.assumed, own_policies, object.params.is_some(), object.processor.is_some()];
        self.byte(flags.iter().fold(0, |byte, flag| byte << 1 | u8::from(*flag)));
        if own_policies {
            self.policies(policies.retry, policies.timeouts);
        }
        self.text(&object.meta);
        for text in [&object.params, &object.processor].into_iter().flatten() {
            self.text(text);
        }
    }

    fn dependencies(&mut self, graph: &Graph, ix: ObjectIx) {
        let dependencies = graph.dependencies(ix);
        self.number(dependencies.len() as u64);
        for dependency in dependencies {
            self.bytes(&dependency.0.to_le_bytes());
        }
    }

    fn policies(&mut self, retry: RetryPolicy, timeouts: Timeouts) {
        self.number(u64::from(retry.max_attempts));
        for ms in [retry.initial_delay_ms, retry.max_delay_ms, timeouts.heartbeat_ms] {
            self.bytes(&ms.to_le_bytes());
        }
        for part in [retry.factor, retry.jitter] {
            self.bytes(&part.to_le_bytes());
        }
        for ms in [timeouts.queue_ms, timeouts.run_ms] {
            self.byte(u8::from(ms.is_some()));
            self.bytes(&ms.unwrap_or_default().to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u32).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= Self::FLUSH {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    fn finish(mut self) -> String {
        self.hasher.update(&self.buffer);
        let mut text = String::from("sha256:");
        for byte in self.hasher.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}
