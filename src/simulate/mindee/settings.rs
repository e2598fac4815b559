use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use http::header::AUTHORIZATION;
use serde_json::Value;

use super::{Mindee, Product, Webhook, search::ListedModel};
use crate::signature::{HeaderToken, SecretSet};

/// Builds a [`Mindee`].
#[derive(Debug)]
#[must_use]
pub struct MindeeBuilder {
    pub(super) settings: Settings,
    pub(super) webhooks: Vec<Webhook>,
}

/// What does not change while the service runs.
#[derive(Debug)]
pub(super) struct Settings {
    /// None: any key.
    pub(super) api_key: Option<HeaderToken>,
    pub(super) processing_time: Duration,
    pub(super) storage: Duration,
    pub(super) delete_when_fetched: bool,
    /// The results of models, before they get the ids of a job.
    pub(super) results: HashMap<String, Value>,
    /// None: a sample of the product.
    pub(super) default_result: Option<Value>,
    pub(super) failing: HashSet<String>,
    pub(super) models: Vec<ListedModel>,
}

impl MindeeBuilder {
    pub(super) fn new() -> Self {
        let settings = Settings {
            api_key: None,
            processing_time: Duration::ZERO,
            storage: Duration::from_secs(12 * 60 * 60),
            delete_when_fetched: false,
            results: HashMap::new(),
            default_result: None,
            failing: HashSet::new(),
            models: Vec::new(),
        };
        Self { settings, webhooks: Vec::new() }
    }

    /// Adds a webhook endpoint. A later one with the same id replaces it.
    pub fn webhook(mut self, webhook: Webhook) -> Self {
        self.webhooks.push(webhook);
        self
    }

    /// Sets the API key. Default: any key is accepted, but a missing one is not.
    pub fn api_key(mut self, key: impl Into<SecretSet>) -> Self {
        self.settings.api_key = Some(HeaderToken::new(AUTHORIZATION, key));
        self
    }

    /// Sets the time from enqueuing to the result. Default: 0.
    pub fn processing_time(mut self, time: Duration) -> Self {
        self.settings.processing_time = time;
        self
    }

    /// Sets the time for which results are stored, from the end of processing. Default: 12 h, as at Mindee.
    pub fn storage(mut self, time: Duration) -> Self {
        self.settings.storage = time;
        self
    }

    /// Deletes a result when it is fetched, and when its webhooks were called and one of them has accepted it. Default: it
    /// is kept. Mindee does not document the case of several webhooks.
    pub fn delete_when_fetched(mut self) -> Self {
        self.settings.delete_when_fetched = true;
        self
    }

    /// Sets the result of all other models. Default: a sample of the product.
    pub fn default_result(mut self, result: Value) -> Self {
        self.settings.default_result = Some(result);
        self
    }

    /// Sets the result of a model. It gets the ids and the file name of each job where it has such members. Default: the
    /// [default result](Self::default_result).
    pub fn result(mut self, model_id: impl Into<String>, result: Value) -> Self {
        self.settings.results.insert(model_id.into(), result);
        self
    }

    /// Adds a model to those that the search finds. Jobs of other models are accepted too. Default: none.
    pub fn model(
        mut self,
        id: impl Into<String>,
        name: impl Into<String>,
        product: Product,
    ) -> Self {
        self.settings.models.push(ListedModel { id: id.into(), name: name.into(), product });
        self
    }

    /// Lets every job of a model fail.
    pub fn failing_model(mut self, model_id: impl Into<String>) -> Self {
        self.settings.failing.insert(model_id.into());
        self
    }

    /// Creates the service.
    #[must_use]
    pub fn build(self) -> Mindee {
        Mindee::new(self)
    }
}
