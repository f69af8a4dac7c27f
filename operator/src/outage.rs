//! Whether Kafka answers, as something that can be waited for: runs that are live say so when it does not.

use std::sync::Arc;
use std::time::Duration;

use orch_bus::Bus;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::status::Condition;

/// How often the bus is looked at; it asks the broker by itself when there is a suspicion.
const LOOK: Duration = Duration::from_millis(500);

/// An outage is over when the bus has answered for so long: a broker that starts answers and falls silent again.
const CALM: Duration = Duration::from_secs(2);

/// The condition `TopicsReady` while Kafka is away, as `describe` makes it of the client's words; `None` while it
/// answers. Looks until the last receiver is gone.
pub(crate) fn follow(
    bus: Arc<dyn Bus>,
    describe: impl Fn(String) -> Condition + Send + 'static,
) -> watch::Receiver<Option<Condition>> {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let mut silent = Instant::now();
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let found = bus.trouble().map(&describe);
            if found.is_some() {
                silent = Instant::now();
            } else if silent.elapsed() < CALM {
                continue;
            }
            sender.send_if_modified(|known| renew(known, found));
        }
    });
    receiver
}

/// The client's words change with every attempt to connect. As long as the reason is the same the first ones stay: a
/// status is not written again and again for them.
fn renew(known: &mut Option<Condition>, found: Option<Condition>) -> bool {
    let reason = |condition: &Option<Condition>| condition.as_ref().map(|condition| condition.reason);
    if reason(known) == reason(&found) {
        return false;
    }
    *known = found;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_taken_back() {
        let trouble = |reason, text: &str| Some(Condition::new("TopicsReady", "False", reason, text));
        let mut known = None;
        assert!(!renew(&mut known, None));
        assert!(renew(&mut known, trouble("KafkaUnreachable", "connection refused")));
        assert!(!renew(&mut known, trouble("KafkaUnreachable", "timed out")));
        assert_eq!(known, trouble("KafkaUnreachable", "connection refused"));
        assert!(renew(&mut known, trouble("KafkaAuthenticationFailed", "wrong password")));
        assert!(renew(&mut known, None));
    }
}
