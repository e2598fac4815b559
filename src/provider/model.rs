use std::{
    any::type_name,
    borrow::Cow,
    collections::BTreeSet,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Extensions, Method, Request};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    DecodeError, InferenceKey, ModelBuilder, Profile, Tolerated,
    inference::{DecodeInto, Reading, Scope},
    schema_drift::{self, Drift, DriftKind, SchemaDrift, SeenPaths, Source},
};
use crate::{
    delivery::{ContentEncoding, DecompressError, Delivery, ModelName, Redaction, decompress},
    log_limit::LogLimits,
    signature::{Decompressed, Scheme, SchemeError, SignError, sign_request},
};

/// The default [body limit](Model::body_limit): 32 MiB.
pub const DEFAULT_BODY_LIMIT: usize = 32 << 20;

/// The default [body timeout](Model::body_timeout): 30 s.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The default [minimum body rate](Model::min_body_rate): 1 KiB/s.
pub const DEFAULT_MIN_BODY_RATE: usize = 1 << 10;

/// The result of decoding a delivery, besides the inference in the extensions.
pub(crate) struct Loaded {
    pub(crate) key: InferenceKey,
    pub(crate) tolerated: Vec<Tolerated>,
}

/// A hosted model: its provider, signature scheme, payload type and limits.
///
/// The function of a provider module, such as [`mindee::extraction`](super::mindee::extraction), starts a model of that
/// provider; [`Model::json`] starts a model of your own.
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::{Secret, provider::foxyai};
///
/// let model = foxyai::image_group()
///     .token_in_query("ticket", Secret::new("correct horse"))
///     .named("kitchens".parse()?)
///     .body_limit(1 << 20)
///     .body_timeout(Duration::from_secs(5));
/// # let _ = model;
/// # Ok::<(), tower_inbox::delivery::ModelNameError>(())
/// ```
#[derive(Clone)]
pub struct Model {
    name: Option<ModelName>,
    provider: &'static str,
    payload: &'static str,
    profile: Profile,
    methods: Vec<Method>,
    pass_methods: Vec<Method>,
    scheme: Arc<dyn Scheme>,
    redaction: Redaction,
    compression: Compression,
    body_limit: usize,
    body_timeout: Duration,
    min_body_rate: usize,
    decoder: Arc<dyn DecodeInto>,
    reading: Reading,
    drift: Option<Arc<SchemaDrift>>,
    /// The paths of the tolerated mismatches that were logged.
    tolerated: Arc<SeenPaths>,
    /// Limits the log lines of rejected requests, by reason.
    rejection_log: Arc<LogLimits>,
}

/// How a compressed body is handled.
#[derive(Clone)]
enum Compression {
    /// The delivery is undecodable.
    Undecodable,
    /// The body is decompressed before decoding. The signature covers the compressed bytes.
    SignedCompressed,
    /// The body is decompressed before verification and before decoding. The scheme is that of the plain body.
    SignedPlain(Arc<dyn Scheme>),
}

impl Model {
    /// Starts a model that is decoded from JSON to `T`, for a provider without a module in this crate. `provider` is the
    /// name in logs and metrics, in lower case. `key` returns the key of the inference in a payload: deliveries with equal
    /// keys carry the same inference.
    ///
    /// The [profile](Self::profile) is [`Profile::UNPUBLISHED`]. To publish a provider for others, implement
    /// [`Payload`](super::Payload).
    ///
    /// ```
    /// use tower_inbox::{Model, Secret, provider::InferenceKey, signature::HmacBody};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Caption {
    ///     job: String,
    ///     text: String,
    /// }
    ///
    /// let secret = Secret::new("correct horse");
    /// let model = Model::json::<Caption>("in-house", |caption| InferenceKey::new(&caption.job))
    ///     .verified_by(HmacBody::sha256("X-My-Signature", secret).prefix("sha256="));
    /// # let _ = model;
    /// ```
    pub fn json<T: DeserializeOwned + Send + Sync + 'static>(
        provider: &'static str,
        key: impl Fn(&T) -> InferenceKey + Send + Sync + 'static,
    ) -> ModelBuilder<T> {
        ModelBuilder::json(provider, key)
    }

    pub(super) fn new<T>(
        provider: &'static str,
        profile: Profile,
        scheme: Arc<dyn Scheme>,
        decoder: Arc<dyn DecodeInto>,
    ) -> Self {
        Self {
            name: None,
            provider,
            payload: type_name::<T>(),
            profile,
            methods: vec![Method::POST],
            pass_methods: Vec::new(),
            redaction: scheme.redaction().as_proof(),
            scheme,
            compression: Compression::Undecodable,
            body_limit: DEFAULT_BODY_LIMIT,
            body_timeout: DEFAULT_BODY_TIMEOUT,
            min_body_rate: DEFAULT_MIN_BODY_RATE,
            decoder,
            reading: Reading::Tolerant,
            drift: None,
            tolerated: Arc::default(),
            rejection_log: Arc::default(),
        }
    }

    pub(super) fn with_drift(mut self, drift: Option<Arc<SchemaDrift>>) -> Self {
        self.drift = drift;
        self
    }

    /// Sets the name in logs and in the archive. Default: the path of the model. The name is part of a delivery's
    /// identity: keep it when the path changes, so that repeats are still recognized.
    pub fn named(mut self, name: ModelName) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the maximum body size in bytes. Longer bodies are answered 413. Default: 32 MiB, or
    /// [`Payload::BODY_LIMIT`](super::Payload::BODY_LIMIT) of the payload type.
    ///
    /// The payload of a malicious body can take 100 times the memory of the body: set the limit to what the provider
    /// sends.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        if let Compression::SignedPlain(plain) = &self.compression {
            self.scheme = Arc::new(Decompressed::new(Arc::clone(plain), bytes));
        }
        self
    }

    /// Sets the maximum time in which a body must arrive. Slower requests are answered 408. Default: 30 s.
    pub fn body_timeout(mut self, time: Duration) -> Self {
        self.body_timeout = time;
        self
    }

    /// Sets the minimum rate at which a body must arrive, in bytes per second. In every 10 s of waiting for the body, 10
    /// times as many bytes must arrive; otherwise the request is answered 408. 0 allows any rate, up to the
    /// [body timeout](Self::body_timeout). Default: 1 KiB/s ([`DEFAULT_MIN_BODY_RATE`]).
    ///
    /// ```
    /// use tower_inbox::{Secret, provider::foxyai};
    ///
    /// let model = foxyai::image_group()
    ///     .token_in_query("ticket", Secret::new("correct horse"))
    ///     .min_body_rate(16 << 10);
    /// # let _ = model;
    /// ```
    pub fn min_body_rate(mut self, bytes_per_second: usize) -> Self {
        self.min_body_rate = bytes_per_second;
        self
    }

    /// Sets the methods that the provider may use. Other methods are answered 405. Default: POST.
    ///
    /// ```
    /// use http::Method;
    /// use tower_inbox::{Secret, provider::deepgram};
    ///
    /// let model = deepgram::transcription::<serde_json::Value>()
    ///     .token_in_query("token", Secret::new("correct horse"))
    ///     .methods([Method::POST, Method::PUT]);
    /// # let _ = model;
    /// ```
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Passes requests of these methods on to the inner service, untouched and unread, instead of answering them 405.
    /// Default: none. For senders that check the endpoint before they post to it, with a GET or OPTIONS request that has
    /// to be answered in a certain way: Okta, Nylas, `CloudEvents`. The inbox neither verifies nor archives such a request.
    ///
    /// A method that the model receives ([`methods`](Self::methods)) is never passed on.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use bytes::Bytes;
    /// use http::{Method, Request, Response, StatusCode};
    /// use http_body_util::Full;
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_inbox::{Delivery, Inbox, MemoryArchive, Secret, layer::InboxBody, provider::standard};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_inbox::layer::BoxError> {
    /// let model = standard::event::<serde_json::Value>()
    ///     .token_in_query("token", Secret::new("correct horse"))
    ///     .pass_methods([Method::GET]);
    /// let inbox = Inbox::builder(MemoryArchive::new()).model("/hooks/mail", model).build()?;
    ///
    /// // Answers the challenge of Nylas. With axum: a route of `get(challenge).post(on_event)`.
    /// let service = service_fn(async |request: Request<InboxBody<Full<Bytes>>>| {
    ///     let challenge = request.uri().query().and_then(|query| query.strip_prefix("challenge="));
    ///     let body = challenge.unwrap_or_default().to_owned();
    ///     Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(body)))
    /// });
    /// let request = Request::get("/hooks/mail?challenge=4711").body(Full::default())?;
    /// let response = inbox.layer().layer(service).oneshot(request).await?;
    /// assert_eq!(response.status(), StatusCode::OK);
    /// # use http_body_util::BodyExt;
    /// # assert_eq!(response.into_body().collect().await?.to_bytes(), "4711");
    /// # Ok(())
    /// # }
    /// ```
    pub fn pass_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.pass_methods = methods.into_iter().collect();
        self
    }

    /// Decompresses bodies with `Content-Encoding: gzip`, `x-gzip` or `deflate`, and bodies that begin like gzip, before
    /// decoding. A body that is longer than the [body limit](Self::body_limit) after decompression is undecodable.
    /// Disabled by default: a compressed body is then undecodable, with a reason that says so.
    ///
    /// The signature must cover the compressed bytes. The archive stores these, so that retries and replays decompress
    /// them again. The request body in the handler is compressed; [`Inference::raw`](super::Inference::raw) returns the
    /// decompressed bytes. Decompressed bodies are not counted in [`Budget`](crate::layer::Budget): each delivery in
    /// process can use additional memory, up to the body limit.
    ///
    /// ```
    /// use tower_inbox::{Secret, provider::mindee};
    ///
    /// let model = mindee::ocr().signed_with(Secret::new("correct horse")).decompress();
    /// # let _ = model;
    /// ```
    pub fn decompress(mut self) -> Self {
        if let Compression::SignedPlain(plain) = self.compression {
            self.scheme = plain;
        }
        self.compression = Compression::SignedCompressed;
        self
    }

    /// Decompresses like [`decompress`](Self::decompress), but before the signature is verified, for providers that sign
    /// the plain body and then compress it.
    ///
    /// Unauthenticated clients can make the server decompress: each request costs up to the [body
    /// limit](Self::body_limit) of memory while it is verified, and the time to decompress that. Set the limit to what the
    /// provider sends.
    ///
    /// ```
    /// use tower_inbox::{Secret, provider::mindee};
    ///
    /// let model = mindee::ocr()
    ///     .signed_with(Secret::new("correct horse"))
    ///     .decompress_before_verifying()
    ///     .body_limit(4 << 20);
    /// # let _ = model;
    /// ```
    pub fn decompress_before_verifying(self) -> Self {
        let mut model = self.decompress();
        let plain = Arc::clone(&model.scheme);
        model.scheme = Arc::new(Decompressed::new(Arc::clone(&plain), model.body_limit));
        model.compression = Compression::SignedPlain(plain);
        model
    }

    /// Redacts more of the head than the usual header names and the secrets of the scheme. Values that are redacted here
    /// are still part of a delivery's identity.
    pub fn redact(mut self, redaction: Redaction) -> Self {
        self.redaction = self.redaction.and(redaction);
        self
    }

    /// Disables tolerant decoding: a body is undecodable if any member does not have the expected type. By default,
    /// mismatches in the provider's own envelope and metadata do not prevent decoding: see
    /// [`Inference::tolerated`](super::Inference::tolerated).
    ///
    /// ```
    /// use tower_inbox::{Secret, provider::mindee};
    ///
    /// let model = mindee::extraction::<mindee::Fields>().signed_with(Secret::new("correct horse")).strict();
    /// # let _ = model;
    /// ```
    pub fn strict(mut self) -> Self {
        self.reading = Reading::Strict;
        self
    }

    /// Sets the status codes with which deliveries are answered. Default: the profile of the provider.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Checks the configuration of the scheme.
    ///
    /// # Errors
    ///
    /// If the scheme cannot work as configured, such as with an empty secret.
    pub fn check(&self) -> Result<(), SchemeError> {
        self.scheme.check()
    }

    /// Signs `request` as the provider does, now and with a new message id. For tests: the layers of the inbox accept the
    /// signed request. [`sign_request`] sets the time and the message id.
    ///
    /// ```
    /// use http::Request;
    /// use tower_inbox::{Secret, provider::mindee};
    ///
    /// let model = mindee::ocr().signed_with(Secret::new("correct horse"));
    /// let request = model.sign(Request::post("/hooks/ocr").body("{}")?)?;
    /// assert!(request.headers().contains_key("x-signature"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SignError::CheckOnly`] if the scheme cannot sign, and [`SignError::NoSecret`] if no secret or private key is
    /// valid now, or if the secrets are [resolved for each request](crate::signature::SecretSet::resolved_by).
    pub fn sign<B: AsRef<[u8]>>(&self, request: Request<B>) -> Result<Request<B>, SignError> {
        let message_id = format!("msg_{}", Uuid::new_v4().simple());
        sign_request(&*self.scheme, &message_id, SystemTime::now(), request)
    }

    pub(crate) fn name(&self) -> Option<&ModelName> {
        self.name.as_ref()
    }

    pub(crate) fn provider_name(&self) -> &'static str {
        self.provider
    }

    pub(crate) fn payload_type(&self) -> &'static str {
        self.payload
    }

    pub(crate) fn status_profile(&self) -> Profile {
        self.profile
    }

    pub(crate) fn allowed_methods(&self) -> &[Method] {
        &self.methods
    }

    pub(crate) fn passed_methods(&self) -> &[Method] {
        &self.pass_methods
    }

    pub(crate) fn scheme(&self) -> &dyn Scheme {
        &*self.scheme
    }

    pub(crate) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    pub(crate) fn max_body_bytes(&self) -> usize {
        self.body_limit
    }

    pub(crate) fn max_body_time(&self) -> Duration {
        self.body_timeout
    }

    pub(crate) fn min_body_bytes_per_second(&self) -> usize {
        self.min_body_rate
    }

    /// The id of the request whose final result is the inference in `extensions`; None if it is not final.
    pub(crate) fn requested_id(&self, extensions: &Extensions) -> Option<String> {
        self.decoder.requested_id(extensions)
    }

    /// Returns the unknown paths in this delivery that were not seen before, if it is one of those that are checked.
    pub(crate) fn look(&self, delivery: &Delivery) -> Vec<String> {
        self.detect_drift(delivery, SchemaDrift::check)
    }

    /// Returns all unknown paths in this delivery; none if the model does not detect schema drift.
    pub(crate) fn unknown_in(&self, delivery: &Delivery) -> Vec<String> {
        self.detect_drift(delivery, SchemaDrift::unknown_paths)
    }

    fn detect_drift(
        &self,
        delivery: &Delivery,
        detect: impl FnOnce(&SchemaDrift, &Delivery) -> Vec<String>,
    ) -> Vec<String> {
        let Some(drift) = &self.drift else { return Vec::new() };
        self.plain(delivery).map_or_else(|_| Vec::new(), |plain| detect(drift, &plain))
    }

    /// Returns the unknown paths so far.
    pub(crate) fn unknown_so_far(&self) -> Vec<Drift> {
        self.drift.as_ref().map(|drift| drift.seen()).unwrap_or_default()
    }

    /// Returns the unknown paths and the paths with tolerated mismatches so far. A tolerated member is absent from the
    /// decoded value, and therefore also unknown; it is returned once.
    pub(crate) fn drift_so_far(&self) -> Vec<Drift> {
        let mut all = self.tolerated.drift();
        let tolerated: BTreeSet<_> = all.iter().map(|drift| drift.path.clone()).collect();
        let unknown = self.unknown_so_far().into_iter();
        all.extend(unknown.filter(|drift| !tolerated.contains(&drift.path)));
        all
    }

    /// Returns the delivery with the body that is decoded: decompressed, if the model decompresses.
    pub(crate) fn plain(&self, delivery: &Delivery) -> Result<Delivery, DecompressError> {
        if matches!(self.compression, Compression::Undecodable) {
            return Ok(delivery.clone());
        }
        let plain = decompress(delivery.head().headers(), delivery.body(), self.body_limit)?;
        Ok(match plain {
            Cow::Borrowed(_) => delivery.clone(),
            Cow::Owned(plain) => delivery.with_plain_body(plain.into()),
        })
    }

    /// Returns whether bodies are decompressed before verification.
    pub(crate) fn decompresses_before_verifying(&self) -> bool {
        matches!(self.compression, Compression::SignedPlain(_))
    }

    /// Returns the encoding of a compressed body that the model does not decompress.
    pub(crate) fn encoding_left(&self, delivery: &Delivery) -> Option<ContentEncoding> {
        match self.compression {
            Compression::Undecodable => {
                ContentEncoding::of(delivery.head().headers(), delivery.body())
            }
            Compression::SignedCompressed | Compression::SignedPlain(_) => None,
        }
    }

    pub(crate) fn rejection_log(&self) -> &LogLimits {
        &self.rejection_log
    }

    /// Counts the tolerated mismatches of a delivery, and returns those whose path was not seen before.
    pub(crate) fn new_of<'t>(
        &self,
        delivery: &Delivery,
        tolerated: &'t [Tolerated],
    ) -> Vec<(String, &'t Tolerated)> {
        let source = Source::of(delivery);
        let is_new = |path: &str, one: &Tolerated| {
            self.tolerated.note(path, source, || DriftKind::tolerated(one))
        };
        let with_paths = tolerated.iter().map(|one| (schema_drift::normalized(one.path()), one));
        with_paths.filter(|(path, one)| is_new(path, one)).collect()
    }

    /// Decodes the delivery and inserts the inference into `extensions`. `scope` is part of its key.
    pub(crate) fn load(
        &self,
        delivery: &Delivery,
        scope: Scope<'_>,
        extensions: &mut Extensions,
    ) -> Result<Loaded, DecodeError> {
        self.decoder.decode_into(delivery, scope, self.reading, extensions)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("provider", &self.provider)
            .field("payload", &self.payload)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}
