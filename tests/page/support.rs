//! An inbox with deliveries in every state, and requests to its page.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Serialize};
use tower::{ServiceExt, service_fn};
use tower_inbox::{
    Archive, Delivery, DeliveryId, Expectations, Inbox, Inference, MemoryArchive, Model, Outcome,
    Secret,
    archive::{Acquire, Append},
    layer::{Clock, InboxBody, Quarantine},
    page::{Guard, PageService},
    provider::InferenceKey,
    signature::{HmacBody, Scheme},
    testing::Sample,
};

pub(crate) const CAPTIONS: &str = "/hooks/captions";
pub(crate) const LABELS: &str = "/hooks/labels/{account}";
pub(crate) const SECRET: &str = "correct horse battery staple";
pub(crate) const PASSWORD: &str = "a long password";

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Caption {
    pub(crate) job: String,
}

/// The captions that the handler has seen.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

pub(crate) struct Setup {
    pub(crate) archive: MemoryArchive,
    pub(crate) quarantine: MemoryArchive,
    pub(crate) expected: MemoryArchive,
    pub(crate) inbox: Inbox,
    pub(crate) seen: Seen,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with_clock(Clock::default())
    }

    pub(crate) fn with_clock(clock: Clock) -> Self {
        let (archive, quarantine) = (MemoryArchive::new(), MemoryArchive::new());
        let expected = MemoryArchive::new();
        let inbox = Inbox::builder(archive.clone())
            .clock(clock)
            .model(CAPTIONS, model())
            .model(LABELS, model())
            .quarantine(Quarantine::new(quarantine.clone()))
            .expectations(Expectations::new(expected.clone()))
            .build()
            .unwrap();
        Self { archive, quarantine, expected, inbox, seen: Seen::default() }
    }

    /// Starts workers, whose handler returns 204 and notes the job.
    pub(crate) fn start_workers(&self) {
        let seen = Arc::clone(&self.seen);
        let handler = service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
            let caption = request.extensions().get::<Inference<Caption>>().unwrap();
            seen.lock().unwrap().push(caption.job.clone());
            let mut response = Response::new(Full::<Bytes>::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            async { Ok::<_, std::convert::Infallible>(response) }
        });
        self.inbox.start_workers::<Full<Bytes>>(handler).unwrap();
    }

    pub(crate) fn page(&self) -> PageService {
        self.inbox.page(Guard::open_to_everyone())
    }

    pub(crate) async fn get(&self, query: &str) -> Answer {
        get(self.page(), query).await
    }

    pub(crate) async fn post(&self, query: &str) -> Answer {
        let request = Request::post(format!("/{query}")).header("sec-fetch-site", "same-origin");
        send(self.page(), request.body(String::new()).unwrap()).await
    }

    /// Appends a delivery that is pending.
    pub(crate) async fn pending(&self, sample: Sample) -> Delivery {
        let delivery = sample.delivery();
        let _ = self.archive.append(Append::new(delivery.clone())).await.unwrap();
        delivery
    }

    /// Appends a delivery with this outcome.
    pub(crate) async fn settled(&self, sample: Sample, outcome: Outcome) -> Delivery {
        let delivery = self.pending(sample).await;
        let lease = self.archive.acquire(Acquire::new(delivery.id())).await.unwrap().lease;
        let retry_in = Duration::from_secs(3600);
        self.archive.settle(lease.unwrap(), outcome, retry_in).await.unwrap();
        delivery
    }

    /// Adds a delivery to the quarantine.
    pub(crate) async fn quarantined(&self, sample: Sample) -> Delivery {
        let delivery = sample.delivery();
        let _ = self.quarantine.append(Append::new(delivery.clone())).await.unwrap();
        delivery
    }

    pub(crate) async fn kind(&self, id: DeliveryId) -> String {
        self.archive.state(id).await.unwrap().unwrap().kind().to_string()
    }
}

fn scheme(secret: &str) -> HmacBody {
    HmacBody::sha256("X-Signature", Secret::new(secret)).prefix("sha256=")
}

fn model() -> Model {
    Model::json::<Caption>("in-house", |caption| InferenceKey::new(&caption.job))
        .detect_schema_drift_every(1)
        .verified_by(scheme(SECRET))
}

/// A caption for this job.
pub(crate) fn caption(job: &str) -> Sample {
    Sample::of(CAPTIONS)
        .uri(http::Uri::from_static(CAPTIONS))
        .header("content-type", b"application/json")
        .body(format!("{{\"job\": \"{job}\", \"text\": \"a cat\", \"scores\": [0.5, 1]}}"))
}

/// A caption with a signature by a secret.
pub(crate) fn signed(job: &str, secret: &str) -> Sample {
    let body = caption(job).delivery().body().clone();
    let signature = scheme(secret).signature("", &body, SystemTime::now()).unwrap();
    let (mut head, ()) = Request::post(CAPTIONS).body(()).unwrap().into_parts();
    signature.add_to(&mut head).unwrap();
    caption(job).header("x-signature", head.headers["x-signature"].as_bytes())
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The values of this attribute, unescaped.
    pub(crate) fn attributes(&self, name: &str) -> Vec<String> {
        let start = format!(" {name}=\"");
        let text = self.text();
        let values = text.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap());
        values.map(|value| value.replace("&amp;", "&")).collect()
    }

    /// The ids of the deliveries in the list.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.attributes("data-id")
    }
}

pub(crate) async fn get(page: PageService, query: &str) -> Answer {
    send(page, Request::get(format!("/{query}")).body(String::new()).unwrap()).await
}

pub(crate) async fn send<B>(page: PageService, request: Request<B>) -> Answer
where
    B: http_body::Body<Data: Send> + Send + 'static,
{
    let response = page.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status.as_u16(), headers: head.headers, bytes }
}

/// The log of one test, which runs on a single thread.
pub(crate) struct Log {
    lines: Lines,
    _logging: tracing::subscriber::DefaultGuard,
    _second: tracing::Dispatch,
}

impl Log {
    /// Collects the events of all levels.
    pub(crate) fn start() -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        // With a single subscriber, a test on another thread that reaches an event first would disable it for this one,
        // too.
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        let logging = tracing::subscriber::set_default(subscriber);
        Self { lines, _logging: logging, _second: second }
    }

    pub(crate) fn end(self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
