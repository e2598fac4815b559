//! Repeats and concurrent deliveries: which of them run, how often, and which outcome is recorded.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::{io::AsyncWriteExt, sync::Semaphore};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_inbox::{
    Inbox, Outcome, Secret, delivery::State, layer::InboxBody, provider::ModelBuilder,
};

use crate::support::*;

type Hook = InboxBody<Full<Bytes>>;

/// Responds with the statuses in order, and counts its runs. Status 0 panics.
fn scripted(
    script: &'static [u16],
    ran: &Arc<AtomicUsize>,
) -> impl Service<Request<Hook>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let ran = Arc::clone(ran);
    service_fn(move |_: Request<Hook>| {
        let status = script[ran.fetch_add(1, Ordering::SeqCst)];
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(status != 0, "on purpose");
            let response = Response::builder().status(status).body(Full::default());
            Ok(response.unwrap())
        }
    })
}

async fn statuses(script: &'static [u16], posts: usize) -> (Vec<u16>, usize, Inbox) {
    let inbox = inbox(memory());
    let ran = Arc::default();
    let service = inbox.layer().layer(scripted(script, &ran));
    let mut statuses = Vec::new();
    for _ in 0..posts {
        statuses.push(send(service.clone(), signed(caption("1"))).await.status.as_u16());
    }
    inbox.settled().await;
    (statuses, ran.load(Ordering::SeqCst), inbox)
}

async fn state(inbox: &Inbox) -> State {
    only_state(inbox.archive()).await
}

#[tokio::test]
async fn repeat_of_processed_delivery_has_its_status_and_is_not_run_again() {
    let (statuses, ran, inbox) = statuses(&[201], 3).await;
    assert_eq!((statuses, ran), (vec![201, 201, 201], 1));
    assert_eq!(processed(&state(&inbox).await), Some(201));
}

#[tokio::test]
async fn repeat_of_failed_or_dead_delivery_is_run_again() {
    let (statuses, ran, inbox) = statuses(&[500, 0, 404, 200], 5).await;
    assert_eq!((statuses, ran), (vec![500, 500, 404, 200, 200], 4));
    assert_eq!(processed(&state(&inbox).await), Some(200));
}

#[tokio::test]
async fn status_of_the_handler_decides_the_outcome() {
    for (script, expected) in [
        (&[500u16][..], Outcome::failed("the handler returned 500")),
        (&[404][..], Outcome::dead("the handler returned 404")),
    ] {
        let found = state(&statuses(script, 1).await.2).await;
        let found = found.outcome().unwrap();
        assert!(found.inference().is_some(), "{found}");
        assert_eq!((found.kind(), found.reason()), (expected.kind(), expected.reason()));
    }
    let panicked = state(&statuses(&[0], 1).await.2).await;
    let reason = panicked.outcome().and_then(Outcome::reason).unwrap();
    assert!(reason.starts_with("the handler panicked at ") && reason.contains(".rs:"), "{reason}");
}

#[tokio::test]
async fn concurrent_repeats_run_the_handler_once() {
    let inbox = inbox(memory());
    let ran = Arc::default();
    let service = inbox.layer().layer(scripted(&[200], &ran));
    let posts: Vec<_> =
        (0..20).map(|_| tokio::spawn(send(service.clone(), signed(caption("1"))))).collect();
    let mut first = None;
    for post in posts {
        let answer = post.await.unwrap();
        assert_eq!(answer.status, 200);
        let id = answer.headers["inbox-delivery-id"].clone();
        assert_eq!(*first.get_or_insert(id.clone()), id);
    }
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn repeat_of_processed_delivery_is_not_decoded_again() {
    #[derive(Debug, serde::Deserialize)]
    struct Stricter {}
    impl tower_inbox::provider::Payload for Stricter {
        type Provider = Acme;
        fn decode(_: &Bytes) -> Result<Self, tower_inbox::provider::DecodeError> {
            tower_inbox::provider::decode_json(b"[]")
        }
        fn key(&self) -> tower_inbox::provider::InferenceKey {
            unreachable!("nothing is of this type")
        }
    }

    let archive = memory();
    let ran = Arc::default();
    let before = inbox(archive.clone());
    let service = before.layer().layer(scripted(&[201], &ran));
    assert_eq!(send(service, signed(caption("1"))).await.status, 201);
    before.settled().await;
    let stricter = ModelBuilder::<Stricter>::new().signed_with(Secret::new(SECRET));
    let after = Inbox::builder(archive).model(CAPTIONS, stricter).build().unwrap();
    let service = after.layer().layer(scripted(&[], &ran));
    assert_eq!(send(service, signed(caption("1"))).await.status, 201);
    after.settled().await;
    assert_eq!(processed(&state(&after).await), Some(201));
}

#[tokio::test]
async fn repeats_over_the_limit_of_waiting_requests_are_answered_503() {
    let (inbox, gate) = (inbox(memory()), Gate::new());
    let service = inbox.layer().layer(gate.handler::<Full<Bytes>>());
    let posts: Vec<_> =
        (0..70).map(|_| tokio::spawn(send(service.clone(), signed(caption("1"))))).collect();
    gate.begun().await;
    let refused = async {
        while posts.iter().filter(|post| post.is_finished()).count() < 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    gate.open.add_permits(1);
    let mut statuses = Vec::new();
    for post in posts {
        statuses.push(post.await.unwrap().status.as_u16());
    }
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(503)), (65, 5));
}

#[tokio::test]
async fn waiting_repeat_runs_after_the_first_failed() {
    let inbox = inbox(memory());
    let ran = Arc::default();
    let service = inbox.layer().layer(scripted(&[503, 200], &ran));
    let posts: Vec<_> =
        (0..5).map(|_| tokio::spawn(send(service.clone(), signed(caption("1"))))).collect();
    let mut statuses = Vec::new();
    for post in posts {
        statuses.push(post.await.unwrap().status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!((statuses, ran.load(Ordering::SeqCst)), (vec![200, 200, 200, 200, 503], 2));
}

/// Path captures belong to the user, so they distinguish inferences. A query is only a part of the address: with it,
/// the payload identifies the inference.
#[tokio::test]
async fn same_bytes_at_another_path_or_query_are_archived_and_run_unless_the_inference_was_processed()
 {
    let inbox = Inbox::builder(memory()).model("/hooks/p/{reference}", captions()).build().unwrap();
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    let targets = ["/hooks/p/1", "/hooks/p/2", "/hooks/p/2?id=3", "/hooks/p/1", "/hooks/p/2?id=3"];
    for target in targets {
        assert_eq!(send(service.clone(), signed_to(target, caption("same"))).await.status, 200);
        inbox.settled().await;
    }
    assert_eq!(seen.all().len(), 2);
    let uris: Vec<_> = archived(inbox.archive()).await;
    let uris: Vec<_> = uris.iter().map(|kept| kept.delivery.head().uri().to_string()).collect();
    assert_eq!(uris, targets[..3]);
}

#[tokio::test]
async fn other_bytes_of_the_same_inference_are_a_new_version_and_run() {
    let inbox = inbox(memory());
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    for text in ["a cat", "a dog"] {
        let body = format!(r#"{{"job": "1", "text": "{text}"}}"#);
        assert_eq!(send(service.clone(), signed(body)).await.body, text);
    }
    assert_eq!(seen.all(), ["1", "1"]);
}

/// A handler that signals its start and waits for a permit to return.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { begun: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    fn handler<B: Send + 'static>(&self) -> impl Handler<B> {
        let gate = self.clone();
        service_fn(move |_: Request<InboxBody<B>>| {
            let gate = gate.clone();
            async move {
                gate.begun.add_permits(1);
                gate.open.acquire().await.unwrap().forget();
                Ok(Response::new(Full::default()))
            }
        })
    }

    async fn begun(&self) {
        self.begun.acquire().await.unwrap().forget();
    }
}

#[tokio::test]
async fn dropped_response_future_does_not_stop_the_processing() {
    let (inbox, gate) = (inbox(memory()), Gate::new());
    let service = inbox.layer().layer(gate.handler::<Full<Bytes>>());
    let call = tokio::spawn(service.oneshot(signed(caption("1"))));
    gate.begun().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(state(&inbox).await, State::Leased { attempts: 1, crashes: 0 });
    gate.open.add_permits(1);
    inbox.settled().await;
    assert_eq!(processed(&state(&inbox).await), Some(200));
    assert_eq!(inbox.bytes_in_flight(), 0);
}

#[tokio::test]
async fn client_that_hangs_up_does_not_stop_the_processing() {
    use hyper::{body::Incoming, server::conn::http1};
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};

    let (inbox, gate) = (inbox(memory()), Gate::new());
    let service = TowerToHyperService::new(inbox.layer().layer(gate.handler::<Incoming>()));
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let connection =
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let body = caption("1");
    let request = format!(
        "POST {CAPTIONS} HTTP/1.1\r\nhost: x\r\n{SIGNATURE}: {}\r\ncontent-length: {}\r\n\r\n{body}",
        sign(body.as_bytes()),
        body.len(),
    );
    client.write_all(request.as_bytes()).await.unwrap();
    gate.begun().await;
    drop(client);
    // The server detects the closed connection and drops the request.
    assert!(connection.await.unwrap().is_err());
    gate.open.add_permits(1);
    inbox.settled().await;
    assert_eq!(processed(&state(&inbox).await), Some(200));
}

#[tokio::test]
async fn models_are_added_and_removed_while_the_server_runs() {
    let inbox = inbox(memory());
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    let post = async |job: &str| {
        send(service.clone(), signed_to("/hooks/new", caption(job))).await.status.as_u16()
    };
    assert_eq!(post("1").await, 299);
    inbox.models().add("/hooks/new", captions()).unwrap();
    assert_eq!(post("2").await, 200);
    assert!(inbox.models().remove("/hooks/new"));
    assert_eq!(post("3").await, 410);
    inbox.models().add("/hooks/new", captions()).unwrap();
    assert_eq!(post("4").await, 200);
    assert_eq!(seen.all(), ["through", "2", "4"]);
}

#[tokio::test]
async fn each_delivery_has_one_span_with_its_fields() {
    let log = Log::default();
    let _logging = log.here();
    let inbox = inbox(memory());
    let ran = Arc::default();
    let service = inbox.layer().layer(scripted(&[200], &ran));
    for _ in 0..2 {
        send(service.clone(), signed(caption("1"))).await;
    }
    inbox.settled().await;
    drop(service);
    let text = log.text();
    let closed: Vec<_> = text.lines().filter(|line| line.contains("close")).collect();
    assert_eq!(closed.len(), 2, "{text}");
    for field in [
        "id=",
        "model=",
        "provider=\"acme\"",
        "bytes=",
        "digest=",
        "inference=",
        "outcome=\"processed\"",
        "buffer_us=",
        "verify_us=",
        "archive_us=",
        "decode_us=",
        "run_us=",
    ] {
        assert!(closed[0].contains(field), "no {field} in {}", closed[0]);
    }
    assert!(closed[1].contains("repeat_of=") && closed[1].contains("outcome=\"repeat\""), "{text}");
}
