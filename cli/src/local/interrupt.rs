//! Ctrl-C, SIGTERM and SIGHUP.

use std::time::Duration;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Signals that come so close together are one request: `timeout` tells its child, and then the group of both.
const TOGETHER: Duration = Duration::from_millis(200);

/// Requests to stop, from the moment this exists: one that comes while nobody waits is not lost.
pub(super) struct Interrupts {
    #[cfg(unix)]
    signals: Vec<Signal>,
    /// When somebody asked last.
    heard: Option<Instant>,
}

impl Interrupts {
    pub(super) fn new() -> Self {
        #[cfg(unix)]
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()].into_iter().chain(hangup());
        Self {
            #[cfg(unix)]
            signals: kinds.filter_map(|kind| signal(kind).ok()).collect(),
            heard: None,
        }
    }

    /// Ends when somebody asks to stop. Cancel-safe.
    pub(super) async fn next(&mut self) {
        loop {
            self.wait().await;
            let now = Instant::now();
            let is_another = self.heard.is_none_or(|before| now - before > TOGETHER);
            self.heard = Some(now);
            if is_another {
                return;
            }
        }
    }

    /// Whether somebody has asked already.
    pub(super) fn any(&self) -> bool {
        self.heard.is_some()
    }

    /// What the work gives, unless it takes longer than this, or somebody asks a second time.
    pub(super) async fn allow<T>(&mut self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let again = async {
            if !self.any() {
                self.next().await;
            }
            self.next().await;
        };
        tokio::select! {
            done = work => Some(done),
            () = again => None,
            () = tokio::time::sleep(limit) => None,
        }
    }

    #[cfg(unix)]
    async fn wait(&mut self) {
        std::future::poll_fn(|context| {
            // Each is asked: one that is not asked does not wake us.
            let asked = self.signals.iter_mut().map(|signal| signal.poll_recv(context).is_ready());
            if asked.fold(false, |any, asked| any | asked) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }

    #[cfg(not(unix))]
    async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the signal nobody can ask: the run ends by itself.
            std::future::pending::<()>().await;
        }
    }
}

/// The end of the terminal, unless whoever started us wants us to outlive it: `nohup` ignores the signal, and listening
/// would undo that. Where nobody says what is ignored, the signal is left alone.
#[cfg(unix)]
fn hangup() -> Option<SignalKind> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    is_heeded(&status, SignalKind::hangup()).then(SignalKind::hangup)
}

/// Whether a signal is not among those that a process ignores, by its `/proc/PID/status` (proc_pid_status(5)).
#[cfg(unix)]
fn is_heeded(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored >> (kind.as_raw_value() - 1) & 1 == 0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_nohup_ignores_is_left_alone() {
        let heeded =
            |mask: &str| is_heeded(&format!("Name:\torch\n{mask}SigCgt:\t0\n"), SignalKind::hangup());
        assert!(heeded("SigIgn:\t0000000000001000\n"));
        assert!(!heeded("SigIgn:\t0000000000001001\n"));
        assert!(!heeded(""), "nobody says");
    }
}
