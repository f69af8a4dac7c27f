//! What a resource names and is not there.

/// Something is not there, or not as it must be. It is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Reason of the condition `Accepted`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}
