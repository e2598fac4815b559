use std::{
    any::type_name, borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData, sync::Arc,
    time::Duration,
};

use http::{Extensions, HeaderName, Method};
use serde::Serialize;

use super::{
    DecodeError, Inference, InferenceKey, Payload, Profile, Provider, Signs, Tolerated,
    inference::Reading,
    watch::{self, DEFAULT_WATCHED_ONE_IN, SeenPaths, Watch},
};
use crate::{
    delivery::{ContentEncoding, DecompressError, Delivery, ModelName, Redaction, decompress},
    log_limit::LogLimits,
    signature::{Decompressed, HeaderToken, QueryToken, Scheme, SchemeError, SecretSet, Unsigned},
};

/// How long a body may be, in bytes, unless the model says otherwise: 32 MiB.
pub const DEFAULT_BODY_LIMIT: usize = 32 << 20;

/// How long a body may take to arrive, unless the model says otherwise: 30 s.
pub const DEFAULT_BODY_DEADLINE: Duration = Duration::from_secs(30);

/// The default minimum rate at which a body must arrive, in bytes per second: 1 KiB/s.
pub const DEFAULT_MIN_BODY_RATE: usize = 1 << 10;

type Load = fn(&Delivery, Scope<'_>, Reading, &mut Extensions) -> Result<Loaded, DecodeError>;

/// What is left of loading a delivery, once the inference is in the extensions.
pub(crate) struct Loaded {
    pub(crate) key: InferenceKey,
    pub(crate) tolerated: Vec<Tolerated>,
}

/// What the path of a model captured.
type Scope<'c> = &'c [(&'c str, &'c str)];

/// A model of which it is not yet said how its sender is to be proved. Say so, and it becomes a [`Model`].
pub struct ModelDraft<T> {
    payload: PhantomData<fn() -> T>,
    watch: Option<Arc<Watch>>,
}

impl<T: Payload> ModelDraft<T> {
    /// A model that posts `T`.
    #[expect(clippy::new_without_default, reason = "a draft without a payload type means nothing")]
    pub fn new() -> Self {
        Self { payload: PhantomData, watch: None }
    }

    /// Looks now and then for what `T` does not know: unknown members, unknown words. Each place is logged once, as a
    /// warning, and counted ([`Models::unknown`](crate::layer::Models::unknown), and a metric), so that a provider's
    /// change is learnt from a number and not from an outage. The first delivery is looked at, and then one of 64
    /// ([`DEFAULT_WATCHED_ONE_IN`]): to look takes longer than to load. [`watched_one_in`](Self::watched_one_in) chooses
    /// another number.
    ///
    /// `T` must be `Serialize`: what it does not write is what it does not know. A struct of yours within it needs the
    /// derive, too; `inbox model` writes it.
    ///
    /// ```
    /// use tower_inbox::{Secret, provider::foxyai};
    ///
    /// let model = foxyai::image_group()
    ///     .watched()
    ///     .token_in_query("ticket", Secret::new("correct horse"));
    /// # let _ = model;
    /// ```
    pub fn watched(self) -> Self
    where
        T: Serialize,
    {
        self.watched_one_in(DEFAULT_WATCHED_ONE_IN)
    }

    /// [Watched](Self::watched), with the first of each `deliveries` looked at: 1, or 0, for all of them.
    pub fn watched_one_in(self, deliveries: u64) -> Self
    where
        T: Serialize,
    {
        Self { watch: Some(Arc::new(Watch::of::<T>(deliveries))), ..self }
    }

    /// Every delivery must carry the provider's own signature, made with one of `secrets`.
    pub fn signed_with(self, secrets: impl Into<SecretSet>) -> Model
    where
        T::Provider: Signs,
    {
        self.verified_by(T::Provider::scheme(secrets.into()))
    }

    /// Every delivery must carry one of `secrets` in the query parameter `parameter`.
    pub fn token_in_query(
        self,
        parameter: impl Into<String>,
        secrets: impl Into<SecretSet>,
    ) -> Model {
        self.verified_by(QueryToken::new(parameter, secrets))
    }

    /// Every delivery must carry one of `secrets` in `header`. An invalid header name is reported when the inbox is
    /// built.
    pub fn token_in_header(
        self,
        header: impl TryInto<HeaderName>,
        secrets: impl Into<SecretSet>,
    ) -> Model {
        self.verified_by(HeaderToken::new(header, secrets))
    }

    /// Every delivery must satisfy this scheme.
    pub fn verified_by(self, scheme: impl Scheme) -> Model {
        Model::new::<T>(Arc::new(scheme), self.watch)
    }

    /// Whoever knows the URL may post. Only for a port that strangers cannot reach, or for trying things out.
    pub fn unsigned(self) -> Model {
        self.verified_by(Unsigned)
    }
}

/// A hosted model: who sends, how it is proved, what type its deliveries have, and what they may cost.
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::{Secret, provider::foxyai};
///
/// let model = foxyai::image_group()
///     .token_in_query("ticket", Secret::new("correct horse"))
///     .named("kitchens".parse()?)
///     .body_limit(1 << 20)
///     .body_deadline(Duration::from_secs(5));
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
    body_deadline: Duration,
    min_body_rate: usize,
    load: Load,
    reading: Reading,
    watch: Option<Arc<Watch>>,
    /// The paths of what was tolerated and logged.
    tolerated: Arc<SeenPaths>,
    /// Limits the log lines of rejected requests, by reason.
    rejection_log: Arc<LogLimits>,
}

/// What becomes of a body with a `Content-Encoding`.
#[derive(Clone)]
enum Compression {
    /// It cannot be decoded.
    Undecodable,
    /// It is decompressed before it is decoded. The sender signs the compressed bytes.
    SignedCompressed,
    /// It is decompressed before it is verified and before it is decoded. The scheme is that of the plain text.
    SignedPlain(Arc<dyn Scheme>),
}

impl Model {
    fn new<T: Payload>(scheme: Arc<dyn Scheme>, watch: Option<Arc<Watch>>) -> Self {
        Self {
            name: None,
            provider: T::Provider::NAME,
            payload: type_name::<T>(),
            profile: T::Provider::PROFILE,
            methods: vec![Method::POST],
            pass_methods: Vec::new(),
            redaction: scheme.redaction().as_proof(),
            scheme,
            compression: Compression::Undecodable,
            body_limit: T::BODY_LIMIT,
            body_deadline: DEFAULT_BODY_DEADLINE,
            min_body_rate: DEFAULT_MIN_BODY_RATE,
            load: load::<T>,
            reading: Reading::Tolerant,
            watch,
            tolerated: Arc::default(),
            rejection_log: Arc::default(),
        }
    }

    /// The name for logs and the archive. By default the path of the model. The archive tells repeats by it: keep it
    /// when the path changes.
    pub fn named(mut self, name: ModelName) -> Self {
        self.name = Some(name);
        self
    }

    /// The longest body, in bytes. By default 32 MiB, or what the payload type says
    /// ([`Payload::BODY_LIMIT`]). Longer ones are answered 413. A payload takes up to 100 times the
    /// memory of a body that was made to harm: give no more than the provider sends.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        if let Compression::SignedPlain(plain) = &self.compression {
            self.scheme = Arc::new(Decompressed::new(Arc::clone(plain), bytes));
        }
        self
    }

    /// How long a body may take to arrive. By default 30 s. Slower ones are answered 408.
    pub fn body_deadline(mut self, time: Duration) -> Self {
        self.body_deadline = time;
        self
    }

    /// Sets the minimum rate at which a body must arrive, in bytes per second. In every 10 s of waiting for the body, 10
    /// times as many bytes must arrive; otherwise the request is answered 408. 0 allows any rate, up to the
    /// [deadline](Self::body_deadline). Default: 1 KiB/s ([`DEFAULT_MIN_BODY_RATE`]).
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

    /// The methods that the provider may use instead of POST. Others are answered 405.
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

    /// Decompresses bodies that arrive with `Content-Encoding: gzip`, `x-gzip` or `deflate`, or that begin like gzip,
    /// before they are decoded. A decompressed body is at most as long as the [body limit](Self::body_limit); a longer
    /// one is undecodable. Default: off; a compressed body is then undecodable, with a reason that says so.
    ///
    /// The signature must cover the bytes as they were sent. The archive keeps these with the header, so that retries
    /// and replays decompress them again. The handler gets the bytes as they were sent in the request, and those that
    /// were decoded from [`Inference::raw`](super::Inference::raw). Their memory does not count in
    /// [`Budget`](crate::layer::Budget): a delivery that is processed takes up to the body limit more.
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

    /// Decompresses like [`decompress`](Self::decompress), and already before the signature is checked, for providers
    /// that sign the text and compress it then.
    ///
    /// Strangers can make the server decompress: each request costs up to the [body limit](Self::body_limit) of memory
    /// while it is verified, and the time to decompress that. Lower the limit to what the provider sends.
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

    /// Redacts more of the head than the usual names and what the scheme reads. What is redacted here still
    /// distinguishes deliveries.
    pub fn redact(mut self, redaction: Redaction) -> Self {
        self.redaction = self.redaction.and(redaction);
        self
    }

    /// Turns the tolerant reading off: a body that is not JSON of the expected shape in every member is undecodable. By
    /// default odd members of the provider's own envelope and metadata do not prevent decoding: see
    /// [`Inference::tolerated`].
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

    /// What undecodable deliveries are answered, where the provider's own profile does not fit.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Whether the scheme can work as it was configured.
    ///
    /// # Errors
    ///
    /// If not, such as for an empty secret.
    pub fn check(&self) -> Result<(), SchemeError> {
        self.scheme.check()
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

    pub(crate) fn longest_body(&self) -> usize {
        self.body_limit
    }

    pub(crate) fn slowest_body(&self) -> Duration {
        self.body_deadline
    }

    pub(crate) fn slowest_rate(&self) -> usize {
        self.min_body_rate
    }

    /// The places in this delivery that the type does not know and that were not seen before, if it is looked at.
    pub(crate) fn look(&self, delivery: &Delivery) -> Vec<String> {
        self.watched(delivery, Watch::look)
    }

    /// All places in this delivery that the type does not know; nothing if the model is not watched.
    pub(crate) fn unknown_in(&self, delivery: &Delivery) -> Vec<String> {
        self.watched(delivery, Watch::unknown)
    }

    fn watched(
        &self,
        delivery: &Delivery,
        look: impl FnOnce(&Watch, &Delivery) -> Vec<String>,
    ) -> Vec<String> {
        let Some(watch) = &self.watch else { return Vec::new() };
        self.plain(delivery).map_or_else(|_| Vec::new(), |plain| look(watch, &plain))
    }

    /// All places that were seen, and in how many of the deliveries that were looked at.
    pub(crate) fn unknown_so_far(&self) -> BTreeMap<String, u64> {
        self.watch.as_ref().map(|watch| watch.seen()).unwrap_or_default()
    }

    /// The delivery as its type reads it: decompressed, if the model decompresses.
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

    /// Whether a body is decompressed before it is verified.
    pub(crate) fn decompresses_before_verifying(&self) -> bool {
        matches!(self.compression, Compression::SignedPlain(_))
    }

    /// The encoding of a body that is decoded as it was sent.
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

    /// Counts what was tolerated, and returns what was not seen before at its path.
    pub(crate) fn new_of<'t>(&self, tolerated: &'t [Tolerated]) -> Vec<(String, &'t Tolerated)> {
        let with_paths = tolerated.iter().map(|one| (watch::told(one.path()), one));
        with_paths.filter(|(path, _)| !self.tolerated.note([path.clone()]).is_empty()).collect()
    }

    /// Decodes the delivery and puts the typed inference into `extensions`. Its key has this scope.
    pub(crate) fn load(
        &self,
        delivery: &Delivery,
        scope: Scope<'_>,
        extensions: &mut Extensions,
    ) -> Result<Loaded, DecodeError> {
        (self.load)(delivery, scope, self.reading, extensions)
    }
}

fn load<T: Payload>(
    delivery: &Delivery,
    scope: Scope<'_>,
    reading: Reading,
    extensions: &mut Extensions,
) -> Result<Loaded, DecodeError> {
    let inference = Inference::<T>::load_within(delivery.clone(), scope, reading)?;
    let (key, tolerated) = (inference.key().clone(), inference.tolerated().to_vec());
    extensions.insert(inference);
    Ok(Loaded { key, tolerated })
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
