//! A provider, its payload type and a handler for tests.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Serialize};
use tower::{BoxError, Service, ServiceExt};
use tower_inbox::{
    Archive, Delivery, Inbox, Inference, MemoryArchive, Model, Outcome, Secret,
    archive::{Archived, Query},
    delivery::State,
    layer::{InboxBody, Rejection},
    provider::{
        DecodeError, InferenceKey, ModelBuilder, Payload, Profile, Provider, SignedProvider,
        decode_json,
    },
    signature::{HmacBody, SecretSet},
};

pub(crate) const SECRET: &str = "correct horse battery staple";
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("x-acme-signature");
pub(crate) const CAPTIONS: &str = "/hooks/captions";

pub(crate) struct Acme;

impl Provider for Acme {
    const NAME: &'static str = "acme";
    const PROFILE: Profile = Profile::REPORTS_FAILURES;
}

impl SignedProvider for Acme {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets)
    }
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Caption {
    pub(crate) job: String,
    pub(crate) text: String,
    score: Option<f64>,
}

impl Payload for Caption {
    type Provider = Acme;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job)
    }
}

pub(crate) fn captions() -> Model {
    ModelBuilder::<Caption>::new().signed_with(Secret::new(SECRET))
}

pub(crate) fn sign(body: &[u8]) -> String {
    Acme::scheme(Secret::new(SECRET).into()).sign(body).unwrap()
}

pub(crate) fn caption(job: &str) -> String {
    format!(r#"{{"job": "{job}", "text": "a cat"}}"#)
}

/// A signed POST to [`CAPTIONS`].
pub(crate) fn signed(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    signed_to(CAPTIONS, body)
}

pub(crate) fn signed_to(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let body = body.into();
    Request::post(path).header(SIGNATURE, sign(&body)).body(Full::new(body)).unwrap()
}

pub(crate) fn inbox(archive: impl Archive) -> Inbox {
    Inbox::builder(archive).model(CAPTIONS, captions()).build().unwrap()
}

/// The jobs that handlers have run, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn push(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A service of handlers, as tests write it.
pub(crate) trait Handler<B>:
    Service<
        Request<InboxBody<B>>,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
}

impl<B, S> Handler<B> for S where
    S: Service<
            Request<InboxBody<B>>,
            Response = Response<Full<Bytes>>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static
{
}

/// Returns 200 with the text of the caption, or 299 for a request that is not a delivery.
pub(crate) fn handler<B: Send + 'static>(seen: &Seen) -> impl Handler<B> {
    let seen = seen.clone();
    tower::service_fn(move |request: Request<InboxBody<B>>| {
        let seen = seen.clone();
        async move {
            let Some(caption) = request.extensions().get::<Inference<Caption>>() else {
                seen.push("through");
                let through = Response::builder().status(299).body(Full::default());
                return Ok(through.unwrap());
            };
            assert!(request.extensions().get::<Delivery>().is_some());
            seen.push(&caption.job);
            Ok(Response::new(Full::new(caption.text.clone().into())))
        }
    })
}

/// A response with its complete body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) rejection: Option<Rejection>,
    pub(crate) body: String,
}

pub(crate) async fn answer<R>(response: Response<R>) -> Answer
where
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into).unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        rejection: parts.extensions.get().cloned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) async fn send<S, B, R>(service: S, request: Request<B>) -> Answer
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    answer(service.oneshot(request).await.unwrap()).await
}

pub(crate) async fn archived(archive: &dyn Archive) -> Vec<Archived> {
    let mut entries = archive.scan(Query::all());
    let mut all = Vec::new();
    while let Some(entry) = entries.next().await {
        all.push(entry.unwrap());
    }
    all
}

pub(crate) async fn bodies(inbox: &Inbox) -> Vec<Bytes> {
    archived(inbox.archive()).await.into_iter().map(|a| a.delivery.body().clone()).collect()
}

pub(crate) fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["detail"].is_string(), "{problem}");
}

/// Returns the status with which a delivery was processed.
pub(crate) fn processed(state: &State) -> Option<u16> {
    match state {
        State::Outcome(Outcome::Processed { status, .. }) => Some(*status),
        _ => None,
    }
}

/// Returns the state of the only delivery.
pub(crate) async fn only_state(archive: &dyn Archive) -> State {
    let all = archived(archive).await;
    let [only] = all.as_slice() else { panic!("{} deliveries", all.len()) };
    only.state.clone()
}

pub(crate) fn memory() -> MemoryArchive {
    MemoryArchive::new()
}

/// Collects log lines.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Collects the log of this thread at every level, and spans with their fields when they close.
    pub(crate) fn here(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
