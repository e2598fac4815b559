use std::{fmt, num::NonZeroU32, time::Duration};

use serde_json::{Value, json};

use crate::{
    provider::mindee::signature,
    signature::{HmacBody, SecretSet},
    simulate::Target,
};

/// A webhook endpoint of the simulated account: an id, a receiver, and a signing secret.
///
/// ```
/// use tower_inbox::{Secret, simulate::{Target, Webhook}};
///
/// let target = Target::url("http://127.0.0.1:3000/hooks/invoices")?;
/// let webhook = Webhook::new("w1", target, Secret::new("correct horse"));
/// # let _ = webhook;
/// # Ok::<(), tower_inbox::simulate::TargetError>(())
/// ```
#[derive(Clone)]
pub struct Webhook {
    id: String,
    /// None: all models.
    model_id: Option<String>,
    pub(super) target: Target,
    pub(super) scheme: HmacBody,
    pub(super) attempts: NonZeroU32,
    pub(super) retry_delay: Duration,
    pub(super) is_lost: bool,
}

impl Webhook {
    /// Creates an endpoint that posts to `target`, signed with the secret.
    pub fn new(id: impl Into<String>, target: Target, secret: impl Into<SecretSet>) -> Self {
        Self {
            id: id.into(),
            model_id: None,
            target,
            scheme: signature(secret),
            attempts: NonZeroU32::MIN,
            retry_delay: Duration::from_secs(1),
            is_lost: false,
        }
    }

    /// Sets the maximum number of attempts to deliver a result, and the delay between them. Default: one attempt, because
    /// Mindee publishes no retries.
    pub fn attempts(mut self, attempts: NonZeroU32, delay: Duration) -> Self {
        (self.attempts, self.retry_delay) = (attempts, delay);
        self
    }

    /// Lists the webhook with this model only in the search. Requests for other models can still name it. Default: it is
    /// listed with every model.
    pub fn of_model(mut self, model_id: impl Into<String>) -> Self {
        self.model_id = Some(model_id.into());
        self
    }

    /// Posts nothing: each call is recorded as failed, as if the receiver was down. For tests of receivers that poll
    /// missing results.
    pub fn lost(mut self) -> Self {
        self.is_lost = true;
        self
    }

    /// Returns the id, which a client names in `webhook_ids`.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_of_model(&self, model_id: &str) -> bool {
        self.model_id.as_deref().is_none_or(|id| id == model_id)
    }

    /// The webhook as it is listed with a model.
    pub(super) fn json(&self) -> Value {
        json!({"id": self.id, "name": self.id, "url": self.target.full_url()})
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
