//! Lost leases: two nodes on one archive, and a handler whose lease is taken over. Time is paused.

use std::{
    future::{pending, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, DeliveryId, Inbox, MemoryArchive, Workers,
    archive::{ArchiveError, Lease, Work},
    delivery::State,
    layer::{Attempt, InboxBody, Rejection},
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// How lease renewals fail.
#[derive(Clone, Copy, Debug)]
enum Renewals {
    Fail,
    Hang,
    /// Renewals are reported as successful, but have no effect.
    Vanish,
}

/// The archive as seen by a node whose renewals do not arrive.
#[derive(Clone, Debug)]
struct WithoutRenewals(MemoryArchive, Renewals);

impl Overrides for WithoutRenewals {
    fn inner(&self) -> &dyn Archive {
        &self.0
    }

    fn renew(&self, _: Vec<Lease>, _: Duration) -> Work<Vec<DeliveryId>> {
        match self.1 {
            Renewals::Fail => Box::pin(ready(Err(ArchiveError::Closed))),
            Renewals::Hang => Box::pin(pending()),
            Renewals::Vanish => Box::pin(ready(Ok(Vec::new()))),
        }
    }
}

/// The events of handlers, each with the time in seconds since the start of the test.
#[derive(Clone)]
struct Events {
    seen: Seen,
    start: Instant,
}

impl Events {
    fn new() -> Self {
        Self { seen: Seen::default(), start: Instant::now() }
    }

    fn push(&self, event: &str) {
        self.seen.push(format!("{event} at {}", self.start.elapsed().as_secs()));
    }

    /// A handler that takes `time` and returns `status`.
    fn handler(
        &self,
        node: &'static str,
        time: Duration,
        status: u16,
    ) -> impl Handler<Full<Bytes>> {
        let events = self.clone();
        service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
            let running = Running { events: events.clone(), node, ended: "stopped" };
            async move {
                let attempt: &Attempt = request.extensions().get().unwrap();
                running.events.push(&format!("{node}: attempt {}", attempt.number()));
                tokio::time::sleep(time).await;
                running.returned();
                Ok(Response::builder().status(status).body(Full::default()).unwrap())
            }
        })
    }
}

struct Running {
    events: Events,
    node: &'static str,
    ended: &'static str,
}

impl Running {
    fn returned(mut self) {
        self.ended = "returned";
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.events.push(&format!("{}: {}", self.node, self.ended));
    }
}

fn node(archive: impl Archive) -> Inbox {
    node_with(archive, Workers::new(1))
}

fn node_with(archive: impl Archive, workers: Workers) -> Inbox {
    let builder = Inbox::builder(archive).model(CAPTIONS, captions());
    builder.background(workers.handler_timeout(3600 * SECOND)).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn handler_is_stopped_when_its_lease_could_not_be_renewed_and_another_node_takes_over() {
    for renewals in [Renewals::Fail, Renewals::Hang] {
        let (archive, events) = (memory(), Events::new());
        let first = node(Overridden(WithoutRenewals(archive.clone(), renewals)));
        let handler = events.handler("first", 600 * SECOND, 503);
        first.start_workers(handler.clone()).unwrap();
        assert_eq!(send(first.layer().layer(handler), signed(caption("1"))).await.status, 202);
        tokio::time::sleep(10 * SECOND).await;
        let second = node(archive.clone());
        second.start_workers(events.handler("second", 100 * SECOND, 200)).unwrap();
        tokio::time::sleep(90 * SECOND).await;
        // The first node has no outcome left to record.
        first.shutdown(SECOND).await;
        second.wait_idle().await;
        assert_eq!(processed(&only_state(&archive).await), Some(200));
        let mut all = events.seen.all();
        all[1..3].sort_unstable();
        let expected = ["first: attempt 1 at 0", "first: stopped at 60", "second: attempt 2 at 60"];
        assert_eq!(all[..3], expected, "{renewals:?}");
        assert_eq!(all[3..], ["second: returned at 160"], "{renewals:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn late_failure_is_not_recorded_after_another_node_took_over() {
    let (archive, events) = (memory(), Events::new());
    let first = node(Overridden(WithoutRenewals(archive.clone(), Renewals::Vanish)));
    let handler = events.handler("first", 90 * SECOND, 404);
    first.start_workers(handler.clone()).unwrap();
    assert_eq!(send(first.layer().layer(handler), signed(caption("1"))).await.status, 202);
    tokio::time::sleep(10 * SECOND).await;
    let second = node(archive.clone());
    second.start_workers(events.handler("second", 100 * SECOND, 200)).unwrap();
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(events.seen.all().len(), 3, "{:?}", events.seen.all());
    assert!(events.seen.all().contains(&"first: returned at 90".to_owned()));
    assert_eq!(only_state(&archive).await, State::Leased { attempts: 2, crashes: 1 });
    second.wait_idle().await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

#[tokio::test(start_paused = true)]
async fn late_success_is_recorded_and_stops_the_handler_of_the_other_node() {
    let (archive, events) = (memory(), Events::new());
    let first = node(Overridden(WithoutRenewals(archive.clone(), Renewals::Vanish)));
    let handler = events.handler("first", 90 * SECOND, 200);
    first.start_workers(handler.clone()).unwrap();
    assert_eq!(send(first.layer().layer(handler), signed(caption("1"))).await.status, 202);
    let second = node(archive.clone());
    second.start_workers(events.handler("second", 600 * SECOND, 404)).unwrap();
    tokio::time::sleep(95 * SECOND).await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
    tokio::time::sleep(20 * SECOND).await;
    assert!(events.seen.all().iter().any(|event| event.starts_with("second: stopped")));
    second.wait_idle().await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

#[tokio::test(start_paused = true)]
async fn sender_gets_503_when_the_lease_of_its_delivery_is_lost() {
    let archive = memory();
    let events = Events::new();
    let inbox = inbox(Overridden(WithoutRenewals(archive.clone(), Renewals::Fail)));
    let service = inbox.layer().layer(events.handler("first", 600 * SECOND, 200));
    let answer = send(service, signed(caption("1"))).await;
    assert_eq!(answer.status, 503);
    assert!(matches!(answer.rejection, Some(Rejection::LeaseLost)), "{answer:?}");
    assert_eq!(events.seen.all().last().unwrap(), "first: stopped at 60");
    assert_eq!(only_state(&archive).await, State::Pending { attempts: 1, crashes: 1 });
}

#[tokio::test(start_paused = true)]
async fn renewed_lease_is_not_taken_over() {
    let (archive, events) = (memory(), Events::new());
    let (first, second) = (node(archive.clone()), node(archive.clone()));
    let handler = events.handler("first", 600 * SECOND, 200);
    first.start_workers(handler.clone()).unwrap();
    assert_eq!(send(first.layer().layer(handler), signed(caption("1"))).await.status, 202);
    tokio::time::sleep(SECOND).await;
    second.start_workers(events.handler("second", SECOND, 404)).unwrap();
    second.wait_idle().await;
    assert_eq!(events.seen.all(), ["first: attempt 1 at 0", "first: returned at 600"]);
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

#[tokio::test(start_paused = true)]
async fn lease_length_is_when_handlers_stop_and_another_node_takes_over() {
    let (archive, events) = (memory(), Events::new());
    let without_renewals = Overridden(WithoutRenewals(archive.clone(), Renewals::Fail));
    let first = node_with(without_renewals, Workers::new(1).lease_length(6 * SECOND));
    let handler = events.handler("first", 600 * SECOND, 503);
    first.start_workers(handler.clone()).unwrap();
    assert_eq!(send(first.layer().layer(handler), signed(caption("1"))).await.status, 202);
    tokio::time::sleep(SECOND).await;
    let second = node(archive.clone());
    second.start_workers(events.handler("second", SECOND, 200)).unwrap();
    tokio::time::sleep(20 * SECOND).await;
    let mut all = events.seen.all();
    all[1..3].sort_unstable();
    assert_eq!(
        all,
        [
            "first: attempt 1 at 0",
            "first: stopped at 6",
            "second: attempt 2 at 6",
            "second: returned at 7"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn lease_length_applies_to_a_delivery_whose_sender_waits() {
    let (archive, events) = (memory(), Events::new());
    let without_renewals = Overridden(WithoutRenewals(archive, Renewals::Fail));
    let inbox = Inbox::builder(without_renewals).model(CAPTIONS, captions());
    let inbox = inbox.workers(Workers::new(1).lease_length(6 * SECOND)).build().unwrap();
    let service = inbox.layer().layer(events.handler("first", 600 * SECOND, 200));
    assert_eq!(send(service, signed(caption("1"))).await.status, 503);
    assert_eq!(events.seen.all().last().unwrap(), "first: stopped at 6");
}

#[tokio::test(start_paused = true)]
async fn poll_interval_is_when_idle_workers_find_deliveries_of_other_nodes() {
    let (archive, events) = (memory(), Events::new());
    let node = node_with(archive.clone(), Workers::new(1).poll_interval(10 * SECOND));
    node.start_workers(events.handler("node", SECOND, 200)).unwrap();
    tokio::time::sleep(SECOND).await;
    let other = node_with(archive.clone(), Workers::new(1));
    let unused = events.handler("other", SECOND, 200);
    assert_eq!(send(other.layer().layer(unused), signed(caption("1"))).await.status, 202);
    node.wait_idle().await;
    assert_eq!(events.seen.all(), ["node: attempt 1 at 10", "node: returned at 11"]);
}
