//! Who wants to know what was acknowledged.

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// The receiver of [`Producer::acknowledged`](crate::Producer::acknowledged), as a producer sees it.
pub(crate) struct Listener {
    matters: fn(u64) -> bool,
    tokens: UnboundedSender<Vec<u64>>,
}

impl Listener {
    pub(crate) fn new(matters: fn(u64) -> bool) -> (Self, UnboundedReceiver<Vec<u64>>) {
        let (tokens, receiver) = mpsc::unbounded_channel();
        (Self { matters, tokens }, receiver)
    }

    /// Whether it is to be told of this token.
    pub(crate) fn hears(&self, token: u64) -> bool {
        (self.matters)(token)
    }

    /// Tells it of tokens that it hears.
    pub(crate) fn tell(&self, tokens: Vec<u64>) {
        if !tokens.is_empty() {
            // Nobody listens any more: nobody wants to know.
            let _ = self.tokens.send(tokens);
        }
    }
}
