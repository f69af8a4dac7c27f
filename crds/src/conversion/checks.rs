//! Collects everything that is wrong with a resource.

use std::fmt::Display;

use orch_core::finding::{Finding, FindingKind};
use orch_core::id::Millis;

use crate::field::Duration;

/// The findings so far. A place and a field together name what is wrong: `spec.stages[0].retry` and `factor`; they
/// become text only when something is.
#[derive(Debug, Default)]
pub(super) struct Checks {
    findings: Vec<Finding>,
}

impl Checks {
    /// The result, unless something was refused.
    pub(super) fn finish<T>(self, result: T) -> Result<T, Vec<Finding>> {
        if self.findings.is_empty() { Ok(result) } else { Err(self.findings) }
    }

    /// Notes what is wrong with a place.
    pub(super) fn refuse(&mut self, place: impl Into<String>, problem: impl Into<String>, remedy: &str) {
        self.findings.push(Finding::new(FindingKind::Malformed, place, problem, remedy));
    }

    /// Notes findings of another check.
    pub(super) fn add_all(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    /// A duration in milliseconds; 0 when it is none.
    pub(super) fn millis(&mut self, place: &dyn Display, field: &str, duration: &Duration) -> Millis {
        duration.millis().unwrap_or_else(|error| {
            self.refuse(format!("{place}.{field}"), error.to_string(), "");
            0
        })
    }

    /// A duration that must be longer than nothing.
    pub(super) fn timeout(
        &mut self,
        place: &dyn Display,
        field: &str,
        duration: Option<&Duration>,
    ) -> Option<Millis> {
        let duration = duration?;
        let valid = duration.millis().is_ok();
        let millis = self.millis(place, field, duration);
        if valid && millis == 0 {
            self.refuse(
                format!("{place}.{field}"),
                "a timeout must be longer than 0s",
                "leave it out for none",
            );
        }
        Some(millis)
    }

    /// Notes a part of something that is no part: less than nothing, or more than all.
    pub(super) fn share(&mut self, place: &dyn Display, field: &str, share: Option<f64>) {
        if let Some(share) = share
            && !(0.0..=1.0).contains(&share)
        {
            self.refuse(format!("{place}.{field}"), format!("{share} is not between 0 and 1"), "");
        }
    }
}
