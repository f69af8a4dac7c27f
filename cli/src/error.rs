//! Why a command did not do what it was asked to, with what a person does next.

use std::io;
use std::path::PathBuf;

use orch_bus::BusError;
use orch_core::counted;
use orch_core::finding::{Finding, FindingKind};
use thiserror::Error;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done; a run succeeded.
    Succeeded,
    /// It was not done; a run failed or was cancelled.
    Failed,
    /// The arguments or the input are not usable.
    Invalid,
}

impl Exit {
    /// The exit status.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::Invalid => 2,
        }
    }
}

/// What went wrong.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The arguments do not fit each other or the input.
    #[error("{problem}")]
    Usage {
        /// What does not fit.
        problem: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// The input has faults: at least one.
    #[error("`{input}` is refused: {}", counted(findings.len(), "finding"))]
    Refused {
        /// The file or resource.
        input: String,
        /// Everything that is wrong with it.
        findings: Vec<Finding>,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something cannot be written.
    #[error("cannot write {what}")]
    Write {
        /// What was to be written.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The bus did not do its part.
    #[error("{doing}")]
    Bus {
        /// What was being done.
        doing: String,
        /// What to do; may be empty.
        hint: String,
        /// Why it failed.
        source: BusError,
    },
    /// There is no usable kubeconfig.
    #[cfg(feature = "cluster")]
    #[error("no cluster can be used")]
    NoCluster {
        /// What to do.
        hint: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Kubernetes API server refused something or did not answer.
    #[cfg(feature = "cluster")]
    #[error("{doing}")]
    Cluster {
        /// What was being done.
        doing: String,
        /// What to do; may be empty.
        hint: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else ended the command.
    #[error("{problem}")]
    Broken {
        /// What happened.
        problem: String,
        /// What to do; may be empty.
        hint: String,
    },
}

impl CliError {
    /// Arguments that do not fit.
    pub(crate) fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: hint.into() }
    }

    /// Something else that ended the command.
    pub(crate) fn broken(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Broken { problem: problem.into(), hint: hint.into() }
    }

    /// The bus did not do its part.
    pub(crate) fn bus(doing: impl Into<String>, source: BusError) -> Self {
        Self::Bus { doing: doing.into(), hint: String::new(), source }
    }

    /// Findings of an input.
    pub(crate) fn refused(input: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self::Refused { input: input.into(), findings }
    }

    /// How the program ends because of it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::Refused { .. }
            | Self::Read { .. }
            | Self::Bus { source: BusError::Config(_), .. } => Exit::Invalid,
            Self::Write { .. } | Self::Bus { .. } | Self::Broken { .. } => Exit::Failed,
            #[cfg(feature = "cluster")]
            Self::NoCluster { .. } => Exit::Invalid,
            #[cfg(feature = "cluster")]
            Self::Cluster { .. } => Exit::Failed,
        }
    }

    /// An error of a cluster with one more thing that a person should know.
    #[cfg(feature = "cluster")]
    pub(crate) fn with_hint(mut self, more: &str) -> Self {
        if let Self::Cluster { hint, .. } | Self::NoCluster { hint, .. } = &mut self {
            let separator = if hint.is_empty() { "" } else { "; " };
            *hint = format!("{hint}{separator}{more}");
        }
        self
    }

    /// What to do about it; empty when the message says it.
    pub(crate) fn hint(&self) -> &str {
        match self {
            Self::Usage { hint, .. } | Self::Broken { hint, .. } | Self::Bus { hint, .. } => hint,
            #[cfg(feature = "cluster")]
            Self::Cluster { hint, .. } | Self::NoCluster { hint, .. } => hint,
            Self::Refused { findings, .. }
                if findings.iter().any(|f| f.kind == FindingKind::UnknownDependency) =>
            {
                "`--undefined assume-loaded` or `--undefined run` sets the policy for this command"
            }
            Self::Refused { .. } | Self::Read { .. } | Self::Write { .. } => "",
        }
    }
}
