use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    time::Duration,
};

use serde_json::Value;

use super::{FoxyAi, delivery::WebhookHosts};
use crate::{
    signature::{HeaderToken, SecretSet},
    simulate::Retries,
};

/// Builds a [`FoxyAi`].
#[derive(Debug)]
#[must_use]
pub struct FoxyAiBuilder {
    settings: Settings,
}

/// What does not change while the service runs.
#[derive(Debug)]
pub(super) struct Settings {
    /// None: requests need no key.
    pub(super) api_key: Option<HeaderToken>,
    pub(super) processing_time: Duration,
    pub(super) retries: Retries,
    pub(super) max_failures: NonZeroU32,
    pub(super) hosts: WebhookHosts,
    /// The annotations of models. Samples for all others.
    pub(super) results: HashMap<String, Value>,
    pub(super) failing: HashSet<String>,
}

impl FoxyAiBuilder {
    pub(super) fn new() -> Self {
        let settings = Settings {
            api_key: None,
            processing_time: Duration::ZERO,
            retries: Retries::default(),
            max_failures: NonZeroU32::MIN.saturating_add(99),
            hosts: WebhookHosts::default(),
            results: HashMap::new(),
            failing: HashSet::new(),
        };
        Self { settings }
    }

    /// Requires `Authorization: Bearer` with this key. Default: requests need no key.
    pub fn api_key(mut self, key: impl Into<SecretSet>) -> Self {
        self.settings.api_key = Some(HeaderToken::bearer(key));
        self
    }

    /// Sets the time of each model run. The runs of an image follow each other; images are processed at the same time.
    /// Default: 0.
    pub fn processing_time(mut self, time: Duration) -> Self {
        self.settings.processing_time = time;
        self
    }

    /// Sets when posts are retried. Default: that of [`Retries`]. FoxyAI publishes no numbers.
    pub fn retries(mut self, retries: Retries) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Sets the number of failures in a row after which a server, a host and port, is unhealthy. Its posts are then not
    /// retried, and later snapshots are not posted to it. Default: 100. FoxyAI publishes no number.
    pub fn max_failures(mut self, failures: NonZeroU32) -> Self {
        self.settings.max_failures = failures;
        self
    }

    /// Allows webhooks on this host, without a port. Default: loopback addresses and `localhost` only, because any client
    /// can name a webhook.
    pub fn webhook_host(mut self, host: impl AsRef<str>) -> Self {
        self.settings.hosts.add(host.as_ref());
        self
    }

    /// Sets the annotations of a model, a list. Default: a sample.
    pub fn result(mut self, model: impl Into<String>, annotations: Value) -> Self {
        self.settings.results.insert(model.into(), annotations);
        self
    }

    /// Lets every run of a model fail.
    pub fn failing_model(mut self, model: impl Into<String>) -> Self {
        self.settings.failing.insert(model.into());
        self
    }

    /// Creates the service.
    #[must_use]
    pub fn build(self) -> FoxyAi {
        FoxyAi::new(self.settings)
    }
}
