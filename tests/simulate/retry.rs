//! The sender that posts a message until it is accepted.

use std::{
    collections::VecDeque,
    convert::Infallible,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;
use tower::service_fn;
use tower_inbox::{
    Inbox, MemoryArchive, Secret,
    delivery::Redaction,
    provider::standard,
    signature::{
        Proof, Scheme, SchemeError, SignError, Signature, SignatureError, StandardWebhooks,
    },
    simulate::{Answer, DeliveryOutcome, Payloads, Retries, Sender, Target},
};

use crate::support::{PATH, archived, serve};

const STANDARD_SECRET: &str = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0";

fn scheme() -> StandardWebhooks {
    StandardWebhooks::new(Secret::new(STANDARD_SECRET))
}

fn retries(attempts: u32) -> Retries {
    Retries::default().max_attempts(NonZeroU32::new(attempts).unwrap())
}

/// A receiver that answers with these statuses, the last one again and again, and keeps the requests.
#[derive(Clone)]
struct Receiver {
    statuses: Arc<Mutex<VecDeque<u16>>>,
    requests: Arc<Mutex<Vec<(Parts, Bytes)>>>,
}

impl Receiver {
    fn new(statuses: &[u16]) -> Self {
        let statuses = Arc::new(Mutex::new(statuses.iter().copied().collect()));
        Self { statuses, requests: Arc::default() }
    }

    fn target(&self) -> Target {
        let receiver = self.clone();
        let service = service_fn(move |request| {
            let receiver = receiver.clone();
            async move { Ok::<_, Infallible>(receiver.answer(request).await) }
        });
        Target::service(service, PATH).unwrap()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.requests.lock().unwrap().push((head, body));
        let mut statuses = self.statuses.lock().unwrap();
        let status = if statuses.len() > 1 { statuses.pop_front().unwrap() } else { statuses[0] };
        let response = Response::builder().status(status).header(header::LOCATION, "/elsewhere");
        response.body(Body::empty()).unwrap()
    }

    /// The values of a header in the requests, in their order.
    fn header(&self, name: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let value = |(head, _): &(Parts, Bytes)| head.headers[name].to_str().unwrap().to_owned();
        requests.iter().map(value).collect()
    }

    fn number_of_requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

#[tokio::test(start_paused = true)]
async fn receiver_that_answers_503_twice_gets_a_third_attempt_with_the_same_id_and_body() {
    let receiver = Receiver::new(&[503, 503, 200]);
    let body = Payloads::of_standard().result().clone();
    let mut message = Sender::new(receiver.target(), scheme()).message(body.clone(), retries(10));
    let start = Instant::now();
    assert_eq!(message.deliver().await.unwrap(), DeliveryOutcome::Accepted);
    assert_eq!((message.attempts(), start.elapsed().as_secs()), (3, 3));
    assert_eq!(receiver.header("webhook-id"), [message.id(); 3]);
    assert!(receiver.requests.lock().unwrap().iter().all(|(_, posted)| *posted == body));
    // Neither another attempt nor another post follows.
    assert!(message.attempt().await.unwrap().is_none());
    assert_eq!(receiver.number_of_requests(), 3);
}

/// Signs with the time, in nanoseconds since 1970.
#[derive(Debug)]
struct SigningTime;

impl Scheme for SigningTime {
    fn check(&self) -> Result<(), SchemeError> {
        Ok(())
    }

    fn redaction(&self) -> Redaction {
        Redaction::default()
    }

    fn verify(&self, _: &Parts, _: &[u8], _: SystemTime) -> Result<Proof, SignatureError> {
        Ok(Proof::new("signing-time", "none", "raw"))
    }

    fn signature(&self, _: &str, _: &[u8], at: SystemTime) -> Result<Signature, SignError> {
        let nanoseconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let name = HeaderName::from_static("x-signed-at");
        Signature::new().header(&name, nanoseconds.to_string())
    }
}

#[tokio::test]
async fn every_attempt_has_a_new_signature() {
    let receiver = Receiver::new(&[503, 503, 200]);
    let retries = retries(10).initial_backoff(Duration::from_millis(1));
    let mut message = Sender::new(receiver.target(), SigningTime).message("{}", retries);
    message.deliver().await.unwrap();
    let times: Vec<u128> =
        receiver.header("x-signed-at").iter().map(|time| time.parse().unwrap()).collect();
    assert!(times.len() == 3 && times.is_sorted_by(|one, next| one < next), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn status_410_disables_the_endpoint_at_once() {
    let receiver = Receiver::new(&[503, 410, 200]);
    let mut message = Sender::new(receiver.target(), scheme()).message("{}", retries(10));
    assert_eq!(message.deliver().await.unwrap(), DeliveryOutcome::Disabled);
    assert_eq!((message.attempts(), message.next_attempt_in()), (2, None));
    assert!(message.attempt().await.unwrap().is_none());
    assert_eq!(receiver.number_of_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn message_is_given_up_after_its_last_attempt() {
    let receiver = Receiver::new(&[500]);
    let mut message = Sender::new(receiver.target(), scheme()).message("{}", retries(3));
    assert_eq!(message.deliver().await.unwrap(), DeliveryOutcome::GivenUp);
    assert_eq!((message.attempts(), receiver.number_of_requests()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn redirect_is_a_failure_and_is_not_followed() {
    let receiver = Receiver::new(&[307, 204]);
    let mut message = Sender::new(receiver.target(), scheme()).message("{}", retries(10));
    let report = message.attempt().await.unwrap().unwrap();
    assert_eq!(report.answer(), &Answer::Status(StatusCode::TEMPORARY_REDIRECT));
    assert_eq!(message.outcome(), None);
    assert_eq!(message.deliver().await.unwrap(), DeliveryOutcome::Accepted);
    let requests = receiver.requests.lock().unwrap();
    assert!(requests.iter().all(|(head, _)| head.uri.path() == PATH));
}

#[tokio::test(start_paused = true)]
async fn receiver_that_asks_to_slow_down_gets_longer_waits() {
    let receiver = Receiver::new(&[429, 503, 200]);
    let mut message = Sender::new(receiver.target(), scheme()).message("{}", retries(10));
    message.attempt().await.unwrap();
    assert_eq!(message.next_attempt_in(), Some(Duration::from_secs(4)));
    message.attempt().await.unwrap();
    assert_eq!(message.next_attempt_in(), Some(Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn timeout_is_retried() {
    let silent = service_fn(async |_: Request<Incoming>| {
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    });
    let sender = Sender::new(Target::service(silent, PATH).unwrap(), scheme());
    let mut message = sender.timeout(Duration::from_secs(5)).message("{}", retries(2));
    let report = message.attempt().await.unwrap().unwrap();
    assert_eq!((report.answer(), message.outcome()), (&Answer::TimedOut, None));
    assert_eq!(message.deliver().await.unwrap(), DeliveryOutcome::GivenUp);
}

#[tokio::test]
async fn refused_connection_is_retried_until_the_receiver_listens() {
    let (address, server) = serve(Router::new()).await;
    server.abort();
    let _ = server.await;
    let target = Target::url(&format!("http://{address}{PATH}")).unwrap();
    let retries = retries(1000).initial_backoff(Duration::from_millis(1));
    let retries = retries.max_backoff(Duration::from_millis(5));
    let mut message = Sender::new(target, scheme()).message("{}", retries);
    let report = message.attempt().await.unwrap().unwrap();
    assert!(matches!(report.answer(), Answer::Unreachable(_)), "{report:?}");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let app = Router::new().route(PATH, post(async || StatusCode::OK));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    assert_eq!(message.deliver().await.unwrap(), DeliveryOutcome::Accepted);
}

#[tokio::test]
async fn inbox_handles_a_retried_event_of_standard_webhooks_once() {
    let model = standard::event::<serde_json::Value>().signed_with(Secret::new(STANDARD_SECRET));
    let inbox = Inbox::builder(MemoryArchive::new()).model(PATH, model).build().unwrap();
    let runs = Arc::new(Mutex::new(0));
    let counting = Arc::clone(&runs);
    // The first run fails.
    let routes = Router::new().route(
        PATH,
        post(async move || {
            let mut runs = counting.lock().unwrap();
            *runs += 1;
            if *runs == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        }),
    );
    let target = Target::service(routes.layer(inbox.layer()), PATH).unwrap();
    let retries = retries(10).initial_backoff(Duration::from_millis(1));
    let body = Payloads::of_standard().result().clone();
    let mut message = Sender::new(target, scheme()).message(body.clone(), retries);
    assert_eq!(message.deliver().await.unwrap(), DeliveryOutcome::Accepted);
    inbox.settled().await;
    assert_eq!(archived(&inbox).await, [body], "the attempts are one delivery");
    assert_eq!((message.attempts(), *runs.lock().unwrap()), (2, 2));
}
