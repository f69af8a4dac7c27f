//! The Kubernetes operator around the runner: reconcile, status, scaling, leadership, metrics.
