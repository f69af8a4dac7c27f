//! The processor `simulate`: waits, and fails when told to. Everything that looks like chance is a hash of the
//! attempt, so that the same run gives the same result again.

use std::time::Duration;

use async_trait::async_trait;
use orch_core::{chance, duration};
use serde::Deserialize;

use crate::{Outputs, Processor, Progress, Work, WorkFailure};

const REASON: &str = "SimulatedFailure";

/// Settings of `simulate`, and the processor itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Simulate {
    /// How long an object takes, such as `500ms`. Default: no time.
    pub duration: Option<String>,
    /// Part of the duration that is spread: 0.2 means 80 % to 120 %.
    pub jitter: f64,
    /// Objects that fail for good.
    pub fail_ids: Vec<String>,
    /// Part of the attempts that fail and may be tried again.
    pub failure_rate: f64,
    #[serde(skip)]
    speed: f64,
    /// From `duration`, by [`Simulate::checked`].
    #[serde(skip)]
    base: Duration,
}

impl Default for Simulate {
    fn default() -> Self {
        let base = Duration::ZERO;
        Self { duration: None, jitter: 0.0, fail_ids: Vec::new(), failure_rate: 0.0, speed: 1.0, base }
    }
}

impl Simulate {
    /// `speed` times as fast. Infinity takes no time at all; what is no positive number changes nothing.
    #[must_use]
    pub fn with_speed(mut self, speed: f64) -> Self {
        if speed > 0.0 {
            self.speed = speed;
        }
        self
    }

    /// The processor, if the settings make sense.
    pub fn checked(mut self) -> Result<Self, String> {
        let part = |name: &str, value: f64| {
            let within = (0.0..=1.0).contains(&value);
            within.then_some(()).ok_or_else(|| format!("{name} is {value}, it goes from 0 to 1"))
        };
        part("jitter", self.jitter)?;
        part("failureRate", self.failure_rate)?;
        if let Some(text) = &self.duration {
            let ms = duration::parse(text).map_err(|error| error.to_string())?;
            self.base = Duration::from_millis(ms.max(0) as u64);
        }
        self.fail_ids.sort_unstable();
        Ok(self)
    }

    fn delay(&self, work: &Work) -> Duration {
        if self.base.is_zero() {
            return self.base;
        }
        let spread = match self.jitter {
            0.0 => 1.0,
            jitter => 1.0 + jitter * (2.0 * unit("jitter", work) - 1.0),
        };
        let seconds = self.base.as_secs_f64() * spread / self.speed;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    fn outcome(&self, work: &Work) -> Result<Outputs, WorkFailure> {
        let id = work.object().as_str();
        if self.fail_ids.binary_search_by(|fails| fails.as_str().cmp(id)).is_ok() {
            return Err(WorkFailure::terminal(REASON, format!("object {id} is set to fail")));
        }
        if self.failure_rate > 0.0 && unit("failure", work) < self.failure_rate {
            let error = format!(
                "attempt {} at object {id} failed by failureRate {}",
                work.attempt(),
                self.failure_rate
            );
            return Err(WorkFailure::new(REASON, error));
        }
        Ok(Outputs::none())
    }
}

#[async_trait]
impl Processor for Simulate {
    async fn process(&self, work: &Work, _: &Progress) -> Result<Outputs, WorkFailure> {
        tokio::time::sleep(self.delay(work)).await;
        self.outcome(work)
    }

    fn process_now(&self, work: &Work) -> Option<Result<Outputs, WorkFailure>> {
        self.delay(work).is_zero().then(|| self.outcome(work))
    }
}

/// From 0 up to but not including 1, the same for the same attempt and purpose.
fn unit(purpose: &str, work: &Work) -> f64 {
    let (run, object) = (work.run_uid().as_str(), work.object().as_str());
    chance::unit(&[purpose.as_bytes(), run.as_bytes(), object.as_bytes(), &work.attempt().to_le_bytes()])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn work(object: &str, attempt: u32) -> Work {
        let value = serde_json::json!({
            "event_type": "ObjectReady", "id_objet": object, "meta": null, "run": "default/sales", "run_uid": "u-1",
            "stage": "ingest", "attempt": attempt, "epoch": 1, "heartbeat_ms": 30_000,
        });
        Work::decode(object.as_bytes(), &Bytes::from(value.to_string()), None).unwrap()
    }

    fn simulate(settings: &str) -> Simulate {
        serde_json::from_str::<Simulate>(settings).unwrap().checked().unwrap()
    }

    #[test]
    fn an_id_that_is_set_to_fail_fails_for_good() {
        let simulate = simulate(r#"{"failIds":["2007","2005"]}"#);
        let failure = simulate.process_now(&work("2005", 1)).unwrap().unwrap_err();
        assert_eq!(
            (failure.reason.as_ref(), failure.error.as_str()),
            ("SimulatedFailure", "object 2005 is set to fail")
        );
        assert!(!failure.retryable);
        assert_eq!(simulate.process_now(&work("2006", 1)), Some(Ok(Outputs::none())));
    }

    #[test]
    fn the_failure_rate_holds_and_repeats() {
        let simulate = simulate(r#"{"failureRate":0.25}"#);
        let failed = || (0..4_000).filter(|n| simulate.outcome(&work(&n.to_string(), 1)).is_err());
        let count = failed().count();
        assert!((900..1_100).contains(&count), "{count}");
        assert_eq!(failed().count(), count);
        let first = failed().next().unwrap().to_string();
        assert!(simulate.outcome(&work(&first, 1)).unwrap_err().retryable);
        assert!(
            (2..12).any(|attempt| simulate.outcome(&work(&first, attempt)).is_ok()),
            "another attempt, another throw"
        );
    }

    #[test]
    fn jitter_spreads_and_speed_shortens() {
        let plain = simulate(r#"{"duration":"1s","jitter":0.2}"#);
        let delays: Vec<Duration> = (0..1_000).map(|n| plain.delay(&work(&n.to_string(), 1))).collect();
        assert!(delays.iter().all(|d| (800..=1_200).contains(&d.as_millis())));
        assert!(delays.iter().any(|d| d.as_millis() < 850) && delays.iter().any(|d| d.as_millis() > 1_150));
        let fast = plain.clone().with_speed(10.0);
        assert_eq!(fast.delay(&work("1", 1)).as_millis(), delays[1].as_millis() / 10);
        let at_once = plain.clone().with_speed(f64::INFINITY);
        assert!(at_once.process_now(&work("1", 1)).is_some());
        assert_eq!(plain.with_speed(0.0).delay(&work("1", 1)), delays[1]);
    }
}
