//! Inboxes whose handler counts its runs, and requests to the simulated API.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tower::ServiceExt;
use tower_inbox::{
    Archive, Delivery, Inbox, Inference, Secret,
    archive::Query,
    provider::mindee,
    signature::SecretSet,
    simulate::{Mindee, Target},
};

pub(crate) const SECRET: &str = "correct horse battery";
pub(crate) const SECOND_SECRET: &str = "staple of the stable";
pub(crate) const PATH: &str = "/hooks/invoices";

/// The maximum body size of the inbox, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 << 10;

type Extraction = mindee::Extraction<mindee::Fields>;

/// The number of runs of a handler, by the id of the inference and the digest of the body.
#[derive(Clone, Default)]
pub(crate) struct Effects(Arc<Mutex<HashMap<(String, String), u32>>>);

impl Effects {
    /// The number of runs for each body.
    pub(crate) fn all(&self) -> Vec<u32> {
        self.0.lock().unwrap().values().copied().collect()
    }

    fn add(&self, inference: &Inference<Extraction>, delivery: &Delivery) {
        let key = (inference.key().id().to_owned(), delivery.digest().to_string());
        *self.0.lock().unwrap().entry(key).or_default() += 1;
    }
}

/// An inbox that processes inline, without workers, and accepts two secrets.
pub(crate) fn inbox(archive: impl Archive) -> Inbox {
    let secrets =
        SecretSet::from([Secret::new(SECRET), Secret::new(SECOND_SECRET).named("second")]);
    let model = mindee::extraction::<mindee::Fields>().signed_with(secrets).body_limit(BODY_LIMIT);
    Inbox::builder(archive).model(PATH, model).build().unwrap()
}

/// The server with this inbox and a handler that counts.
pub(crate) fn app(inbox: &Inbox, effects: &Effects) -> Router {
    handlers(effects).layer(inbox.layer())
}

/// A handler that counts.
pub(crate) fn handlers(effects: &Effects) -> Router {
    let effects = effects.clone();
    let handler = async move |inference: Inference<Extraction>, delivery: Delivery| {
        effects.add(&inference, &delivery);
    };
    Router::new().route(PATH, post(handler))
}

pub(crate) fn target(inbox: &Inbox, effects: &Effects) -> Target {
    Target::service(app(inbox, effects), PATH).unwrap()
}

/// Serves an app on a port of the loopback interface, until the handle is aborted.
pub(crate) async fn serve(app: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }))
}

/// The bodies in the archive.
pub(crate) async fn archived(inbox: &Inbox) -> Vec<Bytes> {
    let (mut found, mut bodies) = (inbox.archive().scan(Query::all()), Vec::new());
    while let Some(archived) = found.next().await {
        bodies.push(archived.unwrap().delivery.body().clone());
    }
    bodies
}

/// A client of the simulated API, in process.
pub(crate) struct Client(pub(crate) Mindee);

impl Client {
    /// Enqueues a file from a URL with these webhooks.
    pub(crate) async fn enqueue(&self, model: &str, webhooks: &str) -> (StatusCode, Value) {
        let form = format!("model_id={model}&webhook_ids={webhooks}&url=https://example.com/a.pdf");
        let request = Request::post("/v2/products/extraction/enqueue")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(form).unwrap()).await
    }

    /// Enqueues a file, waits for its job, and returns the job.
    pub(crate) async fn finished(&self, model: &str, webhooks: &str) -> Value {
        let (status, enqueued) = self.enqueue(model, webhooks).await;
        assert_eq!(status, 202, "{enqueued}");
        self.0.idle().await;
        let id = enqueued["job"]["id"].as_str().unwrap();
        self.get(&format!("/v2/jobs/{id}?redirect=false")).await.1["job"].take()
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Request::get(path).body(String::new()).unwrap()).await
    }

    async fn send(&self, mut request: Request<String>) -> (StatusCode, Value) {
        request.headers_mut().insert(header::AUTHORIZATION, "md_key".parse().unwrap());
        let response = self.0.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}
