#![expect(clippy::expect_used, reason = "an invalid sample is a bug in a test, which should fail")]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use crate::{
    delivery::{Delivery, DeliveryId, Head, ModelName},
    signature::Proof,
};

/// Builds deliveries for tests.
///
/// ```
/// use tower_inbox::testing::Sample;
///
/// let delivery = Sample::of("/hooks/invoices").header("x-kind", b"a").body("{}").delivery();
/// assert_eq!(delivery.body(), "{}");
/// ```
#[derive(Clone, Debug)]
pub struct Sample {
    model: ModelName,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    host: Option<String>,
    body: Bytes,
    received_at: SystemTime,
}

impl Sample {
    /// Creates a sample: a `POST` for this model, received now, with an empty body.
    ///
    /// # Panics
    ///
    /// If the model name is invalid.
    pub fn of(model: &str) -> Self {
        Self {
            model: model.parse().expect("the name of a model"),
            uri: Uri::from_static("/hooks/sample?page=1"),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            host: Some("inbox.example.com:8443".to_owned()),
            body: Bytes::new(),
            received_at: SystemTime::now(),
        }
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If the name or the value is invalid.
    pub fn header(mut self, name: &str, value: &[u8]) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the name of a header");
        self.headers.append(name, HeaderValue::from_bytes(value).expect("the value of a header"));
        self
    }

    /// Sets the HTTP version. Default: 1.1.
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Sets the host. `None` removes it.
    pub fn host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    /// Sets the path and query.
    pub fn uri(mut self, uri: Uri) -> Self {
        self.uri = uri;
        self
    }

    /// Sets the time of receipt, as the time since the Unix epoch.
    pub fn received_at(mut self, since_epoch: Duration) -> Self {
        self.received_at = SystemTime::UNIX_EPOCH + since_epoch;
        self
    }

    /// Creates a delivery with a new id.
    pub fn delivery(&self) -> Delivery {
        let head = Head::from_archive(
            Method::POST,
            self.uri.clone(),
            self.version,
            self.headers.clone(),
            self.host.clone(),
            Some(([192, 0, 2, 7], 4711).into()),
        );
        let proof = Proof::new("hmac-sha256", "sample", "raw");
        let body = self.body.clone();
        let model = self.model.clone();
        Delivery::with_head(DeliveryId::new(), model, head, body, self.received_at, proof)
    }
}
