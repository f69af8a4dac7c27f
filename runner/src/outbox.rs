//! What the actor writes: ready records, and records of its own that must not be lost. A ready record that the bus
//! gives up is the engine's business; a record of our own is kept until it is acknowledged, and sent again.

use std::collections::HashMap;
use std::time::Duration;

use orch_bus::{Bus, BusError, Outgoing, Producer, Undelivered};
use orch_core::id::ObjectIx;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tracing::warn;

/// A record of our own that the bus gave up is sent again after this.
const SEND_AGAIN: Duration = Duration::from_secs(1);
/// Marks the tokens of our own records.
const OWN: u64 = 1 << 63;

/// Whether a record is our own. That a ready record is written shows in its answer.
fn is_own(token: u64) -> bool {
    token & OWN != 0
}

/// What the bus says about a record comes back with one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The ready record of an object of the run with this number.
    Ready {
        /// Below 2^31.
        run: u32,
        /// Which object.
        object: ObjectIx,
    },
    /// A record of our own.
    Own(u64),
}

impl Token {
    pub(crate) fn encode(self) -> u64 {
        match self {
            Self::Ready { run, object } => u64::from(run) << 32 | u64::from(object.0),
            Self::Own(number) => OWN | number,
        }
    }

    fn decode(token: u64) -> Self {
        if is_own(token) {
            Self::Own(token & !OWN)
        } else {
            Self::Ready { run: (token >> 32) as u32, object: ObjectIx(token as u32) }
        }
    }
}

/// What became of records.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// They are written.
    Acknowledged(Vec<u64>),
    /// One was given up.
    GivenUp(Undelivered),
}

impl Delivery {
    /// The token of a record that was given up.
    pub(crate) fn token(undelivered: &Undelivered) -> Token {
        Token::decode(undelivered.token)
    }
}

/// A record of our own that is not acknowledged.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) record: Outgoing,
    /// Number of the run that it belongs to, if that is here.
    pub(crate) run: Option<u32>,
}

/// See the module.
pub(crate) struct Outbox {
    producer: Box<dyn Producer>,
    acknowledged: UnboundedReceiver<Vec<u64>>,
    undelivered: UnboundedReceiver<Undelivered>,
    next: u64,
    open: HashMap<u64, Own>,
    given_up: Vec<u64>,
    again_at: Option<Instant>,
}

impl Outbox {
    pub(crate) async fn open(bus: &dyn Bus) -> Result<Self, BusError> {
        let producer = bus.producer().await?;
        let taken = || BusError::Other("the producer's channels were taken before".to_owned());
        let acknowledged = producer.acknowledged(is_own).ok_or_else(taken)?;
        let undelivered = producer.undelivered().ok_or_else(taken)?;
        Ok(Self {
            producer,
            acknowledged,
            undelivered,
            next: 0,
            open: HashMap::new(),
            given_up: Vec::new(),
            again_at: None,
        })
    }

    /// Writes ready records: each brings its token.
    pub(crate) fn publish(&self, records: Vec<Outgoing>) {
        if !records.is_empty() {
            self.producer.send(records);
        }
    }

    /// Writes records of our own, in this order. The answer is the number of the last one.
    pub(crate) fn write(&mut self, run: Option<u32>, mut records: Vec<Outgoing>) -> u64 {
        for record in &mut records {
            self.next += 1;
            record.token = Token::Own(self.next).encode();
            self.open.insert(self.next, Own { record: record.clone(), run });
        }
        self.publish(records);
        self.next
    }

    /// What became of records, one after the other. Cancel-safe.
    pub(crate) async fn news(&mut self) -> Delivery {
        // Acknowledgements first: a record that is given up is not acknowledged, so neither waits for the other long.
        tokio::select! {
            biased;
            Some(tokens) = self.acknowledged.recv() => Delivery::Acknowledged(tokens),
            Some(undelivered) = self.undelivered.recv() => Delivery::GivenUp(undelivered),
            // The producer is ours: its channels last as long as this does.
            else => std::future::pending().await,
        }
    }

    /// The same, of what is known already.
    pub(crate) fn known_news(&mut self) -> Option<Delivery> {
        let given_up = |outbox: &mut Self| outbox.undelivered.try_recv().map(Delivery::GivenUp);
        self.acknowledged.try_recv().map(Delivery::Acknowledged).or_else(|_| given_up(self)).ok()
    }

    /// Forgets those of our own records that are acknowledged, and says which they were.
    pub(crate) fn close(&mut self, tokens: &[u64]) -> Vec<(u64, Own)> {
        let own = tokens.iter().map(|token| token & !OWN);
        own.filter_map(|number| self.open.remove(&number).map(|own| (number, own))).collect()
    }

    /// Has a record sent again later. One that no topic takes is dropped.
    pub(crate) fn postpone(&mut self, number: u64, error: &BusError) {
        let Some(own) = self.open.get(&number) else { return };
        warn!(topic = %own.record.topic, %error, "a record of the operator was not written");
        if matches!(error, BusError::TooLarge(_)) {
            self.open.remove(&number);
            return;
        }
        self.given_up.push(number);
        self.again_at.get_or_insert_with(|| Instant::now() + SEND_AGAIN);
    }

    /// When [`Outbox::send_again`] has something to do.
    pub(crate) fn again_at(&self) -> Option<Instant> {
        self.again_at
    }

    /// Sends what was given up again, where that still says what is so.
    pub(crate) fn send_again(&mut self, is_so: impl Fn(u64, &Own) -> bool) {
        if self.again_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.again_at = None;
        let mut records = Vec::new();
        self.given_up.sort_unstable();
        for number in std::mem::take(&mut self.given_up) {
            match self.open.get(&number) {
                Some(own) if is_so(number, own) => records.push(own.record.clone()),
                Some(_) => _ = self.open.remove(&number),
                None => {}
            }
        }
        self.publish(records);
    }

    /// Whether everything that belongs to a run is acknowledged.
    pub(crate) fn is_settled(&self, run: u32) -> bool {
        !self.open.values().any(|own| own.run == Some(run))
    }

    /// Nothing of a run is to be sent again.
    pub(crate) fn forget(&mut self, run: u32) {
        self.open.retain(|_, own| own.run != Some(run));
    }

    /// Waits until everything is acknowledged or given up.
    pub(crate) async fn flush(&self) -> Result<(), BusError> {
        self.producer.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        let ready = |run, object| Token::Ready { run, object: ObjectIx(object) };
        for token in
            [ready(0, 0), ready(7, u32::MAX), ready((1 << 31) - 1, 3), Token::Own(0), Token::Own(OWN - 1)]
        {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
