//! The two ways to the API server.

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::limit::ConcurrencyLimitLayer;

/// Requests on their way at a time. The API server applies the schema to the whole resource with each of them: four keep
/// two of its processors busy, and more would only have people wait behind them.
const AT_A_TIME: usize = 4;

/// See the module.
pub(crate) struct ApiServer {
    /// For everything that runs and Pipelines need, few requests at a time. One that watches takes no room once it has
    /// begun.
    pub(crate) client: Client,
    /// For the Lease, which waits behind nobody.
    pub(crate) lease: Client,
}

impl ApiServer {
    /// By the kubeconfig, or as a pod.
    pub(crate) async fn connect() -> Result<Self, String> {
        let refused = |error: &dyn std::fmt::Display| format!("the API server: {error}");
        let config = Config::infer().await.map_err(|error| refused(&error))?;
        let lease = Client::try_from(config.clone()).map_err(|error| refused(&error))?;
        let builder = ClientBuilder::try_from(config).map_err(|error| refused(&error))?;
        Ok(Self { client: builder.with_layer(&ConcurrencyLimitLayer::new(AT_A_TIME)).build(), lease })
    }
}
