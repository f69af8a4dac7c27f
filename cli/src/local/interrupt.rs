//! Ctrl-C and SIGTERM.

/// Waits for the next request to stop.
pub(super) struct Interrupts {
    #[cfg(unix)]
    term: Option<tokio::signal::unix::Signal>,
}

impl Interrupts {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(unix)]
            term: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok(),
        }
    }

    /// Ends when somebody asks to stop. Cancel-safe.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(term) = &mut self.term {
            tokio::select! {
                _ = term.recv() => {}
                () = ctrl_c() => {}
            }
            return;
        }
        ctrl_c().await;
    }
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without the signal nobody can ask: the run ends by itself.
        std::future::pending::<()>().await;
    }
}
