//! Panics outside of handlers: workers and their pool keep running. Time is paused.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service};
use tower_inbox::{
    Archive, Inbox, MemoryArchive, Workers,
    archive::{Claim, Claimed, Work},
    delivery::StateKind,
    layer::InboxBody,
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    script::{Reply, Script},
    *,
};

type HandlerRequest = Request<InboxBody<Full<Bytes>>>;

/// A service whose `poll_ready` panics `left` times.
#[derive(Clone, Default)]
struct PanicsBeforeReady {
    left: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
}

impl Service<HandlerRequest> for PanicsBeforeReady {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        let countdown = |left: usize| left.checked_sub(1);
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, countdown);
        assert!(left.is_err(), "on purpose");
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: HandlerRequest) -> Self::Future {
        self.runs.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(Full::default())))
    }
}

#[tokio::test(start_paused = true)]
async fn panic_in_poll_ready_ends_no_worker_and_its_delivery_is_processed() {
    let builder = Inbox::builder(memory()).model(CAPTIONS, captions());
    let inbox = builder.background(Workers::new(2)).build().unwrap();
    let service = PanicsBeforeReady::default();
    service.left.store(5, Ordering::SeqCst);
    let log = Log::default();
    let logging = log.here();
    inbox.start_workers(service.clone()).unwrap();
    for job in 0..10 {
        let layered = inbox.layer().layer(Script::new(|_| Reply::Status(200)).service());
        assert_eq!(send(layered, signed(caption(&job.to_string()))).await.status, 202);
    }
    tokio::time::timeout(Duration::from_secs(60), inbox.wait_idle()).await.unwrap();
    drop(logging);
    assert_eq!(service.runs.load(Ordering::SeqCst), 10);
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 10);
    let reported = "task=\"worker\" panic=panicked at ";
    assert_eq!(log.text().matches(reported).count(), 5, "{}", log.text());
}

/// An archive whose second claim panics.
#[derive(Debug, Default)]
struct PanicsOnClaim {
    archive: MemoryArchive,
    claims: AtomicUsize,
}

impl Overrides for PanicsOnClaim {
    fn inner(&self) -> &dyn Archive {
        &self.archive
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        assert!(self.claims.fetch_add(1, Ordering::SeqCst) != 1, "on purpose");
        self.archive.claim(claim)
    }
}

#[tokio::test(start_paused = true)]
async fn worker_pool_restarts_after_a_panic_of_the_archive() {
    let script = Script::new(|_| Reply::Status(200));
    let builder = Inbox::builder(Overridden(PanicsOnClaim::default()));
    let builder = builder.model(CAPTIONS, captions()).background(Workers::new(1));
    let inbox = builder.build().unwrap();
    let log = Log::default();
    let logging = log.here();
    inbox.start_workers(script.service()).unwrap();
    for job in ["1", "2"] {
        let service = inbox.layer().layer(script.service());
        assert_eq!(send(service, signed(caption(job))).await.status, 202);
    }
    tokio::time::timeout(Duration::from_secs(60), inbox.wait_idle()).await.unwrap();
    drop(logging);
    assert_eq!(script.jobs(), ["1", "2"]);
    assert!(log.text().contains("task=\"worker pool\" panic=panicked at"), "{}", log.text());
}
