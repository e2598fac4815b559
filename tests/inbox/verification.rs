//! Verification threads: short bodies on the request's thread, long ones on another; and schemes that panic.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, ThreadId},
    time::SystemTime,
};

use bytes::Bytes;
use http::{Request, request::Parts};
use http_body_util::Full;
use tower::{Layer, Service};
use tower_inbox::{
    Inbox, NotReleased, Released,
    archive::Query,
    delivery::Redaction,
    layer::{Quarantine, Rejection},
    provider::ModelBuilder,
    signature::{Proof, Scheme, SchemeError, SignatureError},
};

use crate::support::*;

/// A scheme that accepts every request for which its check returns.
struct Checked<C>(C);

impl<C> std::fmt::Debug for Checked<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checked")
    }
}

impl<C: Fn(&Parts, &[u8]) + Send + Sync + 'static> Scheme for Checked<C> {
    fn check(&self) -> Result<(), SchemeError> {
        Ok(())
    }

    fn check_head(&self, head: &Parts, _: SystemTime) -> Result<(), SignatureError> {
        assert!(!head.headers.contains_key("x-panic"), "on purpose");
        Ok(())
    }

    fn verify(&self, head: &Parts, body: &[u8], _: SystemTime) -> Result<Proof, SignatureError> {
        (self.0)(head, body);
        Ok(Proof::new("checked", "none", "raw"))
    }

    fn redaction(&self) -> Redaction {
        Redaction::default()
    }
}

fn inbox_checking(check: impl Fn(&Parts, &[u8]) + Send + Sync + 'static) -> Inbox {
    let model = ModelBuilder::<Caption>::new().verified_by(Checked(check));
    Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap()
}

/// A caption with this length in bytes.
fn of_length(job: &str, length: usize) -> Bytes {
    let caption = caption(job);
    format!("{caption}{}", " ".repeat(length - caption.len())).into()
}

fn request(body: Bytes) -> Request<Full<Bytes>> {
    Request::post(CAPTIONS).body(Full::new(body)).unwrap()
}

const SHORT: usize = 64 << 10;
const LONG: usize = SHORT + 1;

#[tokio::test]
async fn long_body_is_verified_off_the_runtime_thread() {
    let threads = Arc::new(Mutex::new(Vec::<ThreadId>::new()));
    let recorded = Arc::clone(&threads);
    let inbox = inbox_checking(move |_, _| recorded.lock().unwrap().push(thread::current().id()));
    let seen = Seen::default();
    for length in [100, SHORT, LONG, 2 << 20] {
        let service = inbox.layer().layer(handler(&seen));
        let answer = send(service, request(of_length("1", length))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let here = thread::current().id();
    let is_here: Vec<_> = threads.lock().unwrap().iter().map(|thread| *thread == here).collect();
    assert_eq!(is_here, [true, true, false, false]);
    assert_eq!(bodies(&inbox).await.len(), 4, "each length is a delivery of its own");
}

#[tokio::test]
async fn panic_of_a_scheme_is_a_rejection_and_its_delivery_is_kept_in_the_quarantine() {
    let panics = |head: &Parts, _: &[u8]| {
        assert!(!head.headers.contains_key("x-panic-late"), "on purpose");
    };
    let quarantine = Quarantine::new(memory());
    let model = ModelBuilder::<Caption>::new().verified_by(Checked(panics));
    let inbox = Inbox::builder(memory()).model(CAPTIONS, model).quarantine(quarantine.clone());
    let inbox = inbox.build().unwrap();
    let seen = Seen::default();
    for (header, length, kept) in
        [("x-panic", 100, 0), ("x-panic-late", 100, 1), ("x-panic-late", LONG, 2)]
    {
        let mut request = request(of_length("1", length));
        request.headers_mut().insert(header, "1".parse().unwrap());
        let answer = send(inbox.layer().layer(handler(&seen)), request).await;
        assert_eq!(answer.status, 500, "{answer:?}");
        assert!(matches!(answer.rejection, Some(Rejection::Panicked)), "{answer:?}");
        inbox.settled().await;
        assert_eq!(archived(quarantine.archive()).await.len(), kept, "{header} {length}");
    }
    let answer = send(inbox.layer().layer(handler(&seen)), request(of_length("2", LONG))).await;
    assert_eq!((answer.status.as_u16(), seen.all()), (200, vec!["2".to_owned()]));
    let released = inbox.release(Query::all()).await.unwrap();
    let stays = |one: &Released| matches!(one.result, Err(NotReleased::Panicked));
    assert!(released.len() == 2 && released.iter().all(stays), "{released:?}");
}

/// Controls a paused check.
struct Pause {
    has_begun: Receiver<()>,
    may_end: Sender<()>,
}

/// Returns a check that signals its start and blocks until it is released.
fn paused() -> (impl Fn(&Parts, &[u8]) + Send + Sync + 'static, Pause) {
    let (began, has_begun) = mpsc::channel();
    let (may_end, end) = mpsc::channel::<()>();
    let end = Mutex::new(end);
    let check = move |_: &Parts, _: &[u8]| {
        began.send(()).unwrap();
        end.lock().unwrap().recv().unwrap();
    };
    (check, Pause { has_begun, may_end })
}

#[tokio::test]
async fn client_that_hangs_up_while_a_long_body_is_verified_loses_no_delivery() {
    let (check, Pause { has_begun, may_end }) = paused();
    let inbox = inbox_checking(check);
    let (runs, mut has_run) = tokio::sync::mpsc::unbounded_channel();
    let handler = tower::service_fn(move |_: Request<_>| {
        runs.send(()).unwrap();
        async { Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default())) }
    });
    let mut service = inbox.layer().layer(handler);
    std::future::poll_fn(|context| {
        Service::<Request<Full<Bytes>>>::poll_ready(&mut service, context)
    })
    .await
    .unwrap();
    let calling = tokio::spawn(service.call(request(of_length("1", LONG))));
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    assert!(bodies(&inbox).await.is_empty(), "it is not verified yet");
    may_end.send(()).unwrap();
    has_run.recv().await.unwrap();
    inbox.settled().await;
    assert_eq!(processed(&only_state(inbox.archive()).await), Some(200));
}

#[tokio::test]
async fn short_delivery_is_answered_while_a_long_body_is_verified() {
    let (paused, Pause { has_begun, may_end }) = paused();
    let inbox = inbox_checking(move |head, body| {
        if body.len() > SHORT {
            paused(head, body);
        }
    });
    let seen = Seen::default();
    let service = || inbox.layer().layer(handler(&seen));
    let long = tokio::spawn(send(service(), request(of_length("long", LONG))));
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    assert_eq!(send(service(), request(of_length("short", 100))).await.status, 200);
    may_end.send(()).unwrap();
    assert_eq!(long.await.unwrap().status, 200);
    assert_eq!(seen.all(), ["short", "long"]);
}
