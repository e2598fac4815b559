//! An archive that cannot record outcomes for a while.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, Delivery, DeliveryId, MemoryArchive, Outcome, Receipt,
    archive::{ArchiveError, Archived, Entries, Line, Query, Work},
    delivery::InferenceDigest,
    layer::InboxBody,
};

use crate::support::*;

type Body = Full<Bytes>;

/// Refuses the first outcomes that it is to record.
#[derive(Clone, Debug)]
struct Refusing {
    archive: MemoryArchive,
    left: Arc<AtomicU32>,
}

impl fmt::Display for Refusing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.archive.fmt(f)
    }
}

impl Archive for Refusing {
    fn append(&self, delivery: Delivery) -> Work<Receipt> {
        self.archive.append(delivery)
    }

    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()> {
        let refuses = |left: u32| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuses) {
            Ok(_) => Box::pin(std::future::ready(Err(ArchiveError::Closed))),
            Err(_) => self.archive.settle(id, outcome),
        }
    }

    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>> {
        self.archive.outcome(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.archive.get(id)
    }

    fn scan(&self, query: Query) -> Entries {
        self.archive.scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<Line> {
        self.archive.ledger(query)
    }

    fn processed_as(&self, inference: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>> {
        self.archive.processed_as(inference)
    }

    fn remove(&self, query: Query) -> Work<u64> {
        self.archive.remove(query)
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_has_done_its_work_is_not_run_again_since_its_outcome_could_not_be_recorded()
{
    let archive = Refusing { archive: memory(), left: Arc::new(3.into()) };
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let handler = service_fn(move |_: Request<InboxBody<Body>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(Body::default())))
    });
    let inbox = inbox(archive.clone());
    inbox.work(handler.clone());
    let answer = send(inbox.layer().layer(handler), signed(caption("1"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    tokio::time::sleep(Duration::from_mins(2)).await;
    inbox.settled().await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(processed(archived(&archive.archive).await[0].outcome.as_ref()), Some(200));
}
