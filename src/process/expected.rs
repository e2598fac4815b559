//! Results that are due: recorded as deliveries of an archive of their own, and settled by the arrival of the result.
//!
//! Both sides append the same delivery, which has the id of the request as its message id. Whoever comes second finds
//! the first, so that a result may arrive before it is recorded that it is due.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, request::Parts};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{
    archive::{Append, Appended, Archive, ArchiveError, Release},
    delivery::{Delivery, DeliveryId, Digest, ModelName, Outcome, Redaction, StateKind},
    log_limit::LogLimit,
    signature::Proof,
};

/// The status of an expectation whose result arrived by itself.
const ARRIVED: u16 = 200;

/// The lease under which an expectation is recorded or settled.
const LEASE: Duration = Duration::from_secs(30);

/// How often, and after which time, an arrival looks again for an expectation that is leased: being recorded or fetched.
const LOOKS: u32 = 6;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

static NOT_SETTLED_LOG: LogLimit = LogLimit::new(10, Duration::from_secs(10));

/// What is stored of an expectation: the body of its delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// The id that the provider gave to the request.
    pub(crate) id: String,
    /// The name of the model.
    pub(crate) model: String,
    /// The path at which the result is expected.
    pub(crate) path: String,
    /// When it is overdue, in milliseconds since 1970.
    pub(crate) due_at_ms: u64,
}

impl Expectation {
    fn new(model: &ModelName, path: &str, id: &str, now: SystemTime, within: Duration) -> Self {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let since = since.saturating_add(within);
        Self {
            id: id.to_owned(),
            model: model.to_string(),
            path: path.to_owned(),
            due_at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn due_at(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.due_at_ms))
    }
}

/// Whether a result is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// The result has not arrived.
    Waiting,
    /// The result has arrived already.
    Arrived,
}

/// The expectations in an archive. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedResults {
    archive: Arc<dyn Archive>,
    /// The models whose results are expected. None: all.
    models: Option<BTreeSet<ModelName>>,
}

impl ExpectedResults {
    pub(crate) fn new(archive: Arc<dyn Archive>) -> Self {
        Self { archive, models: None }
    }

    pub(crate) fn set_models(&mut self, models: impl IntoIterator<Item = ModelName>) {
        self.models = Some(models.into_iter().collect());
    }

    pub(crate) fn includes(&self, model: &ModelName) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(model))
    }

    pub(crate) fn archive(&self) -> &Arc<dyn Archive> {
        &self.archive
    }

    /// Records that a result is due. Durable on return. The time starts again if it was recorded before.
    pub(crate) async fn expect(
        &self,
        model: &ModelName,
        path: &str,
        id: &str,
        now: SystemTime,
        within: Duration,
    ) -> Result<Expected, ArchiveError> {
        let expectation = Expectation::new(model, path, id, now, within);
        let Appended { lease, state, .. } = self.append(model, &expectation, now).await?;
        match lease {
            Some(lease) => {
                self.archive.release(lease, Release::After(within)).await?;
                Ok(Expected::Waiting)
            }
            None if state.kind() == StateKind::Processed => Ok(Expected::Arrived),
            None => Ok(Expected::Waiting),
        }
    }

    /// Settles the expectation of a result that has arrived, or records the arrival if there is none yet. If that fails,
    /// the result is fetched when it is overdue, and recognized as a repeat.
    pub(crate) async fn arrived(&self, model: &ModelName, path: &str, id: &str, now: SystemTime) {
        if let Err(error) = self.settle(model, path, id, now).await
            && let Some(suppressed) = NOT_SETTLED_LOG.admit()
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                %model,
                id,
                error,
                suppressed,
                "the arrival of an expected result could not be recorded; it will be fetched again"
            );
        }
    }

    async fn settle(
        &self,
        model: &ModelName,
        path: &str,
        id: &str,
        now: SystemTime,
    ) -> Result<(), ArchiveError> {
        let arrival = Expectation::new(model, path, id, now, Duration::ZERO);
        for look in 0..LOOKS {
            let appended = self.append(model, &arrival, now).await?;
            if let Some(lease) = appended.lease {
                return self
                    .archive
                    .settle(lease, Outcome::processed(ARRIVED), Duration::ZERO)
                    .await;
            }
            if appended.state.kind() != StateKind::Leased {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN * 2_u32.pow(look)).await;
        }
        // It is being fetched. What is fetched settles it.
        Ok(())
    }

    async fn append(
        &self,
        model: &ModelName,
        expectation: &Expectation,
        now: SystemTime,
    ) -> Result<Appended, ArchiveError> {
        let delivery = delivery(model, expectation, now);
        self.archive.append(Append::new(delivery).leased_for(LEASE)).await
    }
}

/// The name under which expectations of a model are stored and counted. Other deliveries of the model have its own name.
pub(crate) fn expected_name(model: &ModelName) -> ModelName {
    format!("expected:{model}").parse().unwrap_or_else(|_| model.clone())
}

/// The path of the deliveries that are expectations of a model.
pub(crate) fn expected_path(model: &ModelName) -> String {
    format!("/expected/{}", utf8_percent_encode(model.as_str(), NON_ALPHANUMERIC))
}

/// The delivery that is an expectation. Its fingerprint depends on the model and the id only.
fn delivery(model: &ModelName, expectation: &Expectation, now: SystemTime) -> Delivery {
    // Serializing strings and a number cannot fail.
    let body = serde_json::to_vec(expectation).unwrap_or_default();
    let proof = Proof::new("expected", "none", "raw")
        .with_message_id(&expectation.id)
        .with_signed_digest(Digest::of(expectation.id.as_bytes()));
    Delivery::received(
        DeliveryId::new(),
        expected_name(model),
        &json_head(&expected_path(model)),
        Bytes::from(body),
        now,
        proof,
        &Redaction::default(),
    )
}

/// The head of a POST of JSON that no sender has sent.
pub(crate) fn json_head(path: &str) -> Parts {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert(http::header::CONTENT_TYPE, json);
    request.into_parts().0
}
