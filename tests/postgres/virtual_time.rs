//! Paused time of tokio as the clock of the database.
//!
//! Time advances only while nothing waits for the database: each operation holds a blocking task, during which tokio
//! does not advance paused time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_postgres::Client;
use tower_inbox::{
    Archive, DeliveryId, Outcome,
    archive::{
        Acquire, Acquired, Append, Appended, Archived, Begun, Claim, Claimed, Counts, Entries,
        Lease, LedgerEntry, PostgresArchive, Query, Release, StateChange, Work,
    },
    delivery::{InferenceDigest, ModelName, State},
};

use super::support::Schema;

#[derive(Clone)]
pub(crate) struct VirtualTime {
    start: Instant,
    client: Arc<Client>,
    /// Makes the time of each operation another one.
    operations: Arc<AtomicI64>,
}

/// Keeps paused time from advancing until dropped.
struct Hold(#[expect(dead_code, reason = "ends the blocking task when dropped")] mpsc::Sender<()>);

fn hold() -> Hold {
    let (sender, receiver) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || receiver.recv().is_err());
    Hold(sender)
}

impl VirtualTime {
    /// Creates the schema, with a clock that only this object moves.
    pub(crate) async fn start(schema: &Schema) -> Self {
        let _hold = hold();
        schema.builder().migrate_schema().await.unwrap();
        let client = schema.client().await;
        client
            .batch_execute(
                "CREATE TABLE test_clock (t timestamptz); INSERT INTO test_clock VALUES (now()); \
                 CREATE OR REPLACE FUNCTION clock() RETURNS timestamptz LANGUAGE sql VOLATILE \
                 RETURN (SELECT t FROM test_clock); \
                 CREATE TABLE test_start AS SELECT t FROM test_clock;",
            )
            .await
            .unwrap();
        Self { start: Instant::now(), client: Arc::new(client), operations: Arc::default() }
    }

    pub(crate) async fn open(&self, schema: &Schema) -> OnVirtualTime {
        let _hold = hold();
        OnVirtualTime {
            archive: schema.builder().connections(4).open().await.unwrap(),
            time: self.clone(),
        }
    }

    async fn set(&self) {
        let count = self.operations.fetch_add(1, Ordering::Relaxed);
        let micros = i64::try_from(self.start.elapsed().as_micros()).unwrap() + count;
        let set = "UPDATE test_clock SET t = s.t + $1::bigint * interval '1 microsecond' FROM test_start s";
        self.client.execute(set, &[&micros]).await.unwrap();
    }
}

/// An archive that sets the clock of the database before each operation.
pub(crate) struct OnVirtualTime {
    archive: PostgresArchive,
    time: VirtualTime,
}

impl OnVirtualTime {
    fn at_this_time<T: Send + 'static>(
        &self,
        work: impl FnOnce(PostgresArchive) -> Work<T> + Send + 'static,
    ) -> Work<T> {
        let (hold, time, archive) = (hold(), self.time.clone(), self.archive.clone());
        Box::pin(async move {
            time.set().await;
            let result = work(archive).await;
            drop(hold);
            result
        })
    }
}

impl Archive for OnVirtualTime {
    fn append(&self, append: Append) -> Work<Appended> {
        self.at_this_time(|archive| archive.append(append))
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        self.at_this_time(|archive| archive.claim(claim))
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        self.at_this_time(move |archive| archive.acquire(acquire))
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        self.at_this_time(move |archive| archive.renew(leases, length))
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        self.at_this_time(move |archive| archive.settle(lease, outcome, retry_in))
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        self.at_this_time(move |archive| archive.release(lease, release))
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        self.at_this_time(move |archive| archive.begin(lease, inference))
    }

    fn retry(&self, query: Query) -> Work<u64> {
        self.at_this_time(|archive| archive.retry(query))
    }

    fn remove(&self, query: Query) -> Work<u64> {
        self.at_this_time(|archive| archive.remove(query))
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        self.at_this_time(move |archive| archive.state(id))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.at_this_time(move |archive| archive.get(id))
    }

    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        self.at_this_time(move |archive| archive.history(id))
    }

    fn scan(&self, query: Query) -> Entries {
        self.archive.scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        self.archive.ledger(query)
    }

    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        self.at_this_time(move |archive| archive.set_paused(model, paused))
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        self.at_this_time(|archive| archive.paused())
    }

    fn counts(&self) -> Work<Counts> {
        self.at_this_time(|archive| archive.counts())
    }
}

impl fmt::Display for OnVirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.archive, f)
    }
}

impl fmt::Debug for OnVirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.archive, f)
    }
}
