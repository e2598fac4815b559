use std::{
    fmt,
    future::ready,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Mutex, oneshot},
    time::{Instant, timeout},
};

use super::{
    PostgresArchiveBuilder,
    append::{AppendJob, AppendStatement},
    batch::Batcher,
    error::NotInTime,
    follow::LedgerFollower,
    health::Checks,
    maintenance::{self, LastRound, Retention},
    nodes::{self, ThisNode},
    operations::{Operations, Sql},
    pool::Pool,
    read::DatabaseSize,
    scan::kinds,
    schema::Schema,
    server::Server,
    settle::{SettleJob, SettleStatement},
};
use crate::{
    archive::{
        Acquire, Acquired, Append, Appended, Archive, ArchiveError, ArchiveHealth, Archived, Begun,
        Capacity, Claim, Claimed, Counts, Entries, Lease, LedgerEntry, Node, Query, Release,
        RemovedEntry, StateChange, StorageUsage, Work,
    },
    delivery::{DeliveryId, InferenceDigest, ModelName, Outcome, State, StateKind},
};

/// How many deliveries, and how many ledger entries, a scan reads ahead.
const DELIVERIES_AHEAD: usize = 16;
const ENTRIES_AHEAD: usize = 1024;

/// How long a size is reused: to read it costs in proportion to the number of partitions.
const MEASURED_FOR: Duration = Duration::from_secs(10);

/// Stores deliveries in PostgreSQL, shared by several nodes. PostgreSQL 14 or later.
///
/// An append is acknowledged when its transaction is on the disk of the server and, if the server has synchronous
/// standbys, on theirs. Appends of one node are written in batches: the next batch collects while the last one commits.
///
/// Leases expire by the clock of the database. A node that ends without a shutdown loses its leases when they end,
/// after 60 s by default ([`Workers::lease_length`](crate::Workers::lease_length)), which counts as a crash of their
/// deliveries.
///
/// Opens a few connections of its own, and reopens them when they are lost. Works over pgbouncer in transaction mode.
///
/// Cheap to clone. Dropping the last clone sends the queued operations; see [`close`](Self::close).
///
/// ```no_run
/// use tower_inbox::archive::{Archive, PostgresArchive, Query};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let archive = PostgresArchive::connect("postgres://inbox@db.example.com/inbox").await?;
/// assert!(archive.scan(Query::all().pending()).next().await.is_none());
/// # Ok(())
/// # }
/// ```
///
/// # Exactly-once effects in the same database
///
/// A handler that writes to the same database can settle its delivery in its own transaction, with any client: it
/// calls the function `processed(delivery, lease, status)` of the schema as its last statement. If the lease was lost,
/// the call fails, and the transaction is rolled back. The second argument is the token of
/// [`Attempt::lease`](crate::layer::Attempt::lease), as a UUID.
///
/// ```sql
/// BEGIN;
/// INSERT INTO invoices VALUES (…);
/// SELECT inbox.processed('01890a5d-ac96-774b-bcce-b302099a8057', '6f1c…', 200);
/// COMMIT;
/// ```
///
/// # Removal
///
/// Removal deletes the rows of head and body. The server reuses their space after a vacuum. Its log and its backups
/// keep them for as long as they are retained.
#[derive(Clone)]
pub struct PostgresArchive(Arc<Inner>);

pub(super) struct Inner {
    pub(super) operations: Operations,
    pub(super) retention: Retention,
    pub(super) last_round: LastRound,
    pub(super) requires_standby: bool,
    /// `None` if this process is not listed.
    node: Option<ThisNode>,
    checks: Arc<Checks>,
    /// The last size, and when it was read.
    measured: Mutex<Option<(Instant, DatabaseSize)>>,
    name: String,
    append: Batcher<AppendStatement>,
    settle: Batcher<SettleStatement>,
    closed: AtomicBool,
}

impl Inner {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.append.close();
        self.settle.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl PostgresArchive {
    /// Opens the archive in the schema `inbox` of this database without TLS, and creates the schema if it is missing.
    ///
    /// `url` is a connection string as [`tokio_postgres::Config`] reads it: `postgres://USER:PASSWORD@HOST/DATABASE`, or
    /// `KEY=VALUE` pairs. With several hosts (`HOST1,HOST2`), the first one that accepts writes is used. Environment
    /// variables and password files are not read; [`PostgresUrl`](super::PostgresUrl) does that, and TLS.
    ///
    /// # Errors
    ///
    /// As [`PostgresArchiveBuilder::open`].
    pub async fn connect(url: &str) -> Result<Self, ArchiveError> {
        Self::builder(url).open().await
    }

    /// Returns a builder for opening an archive with options other than the defaults.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_inbox::archive::PostgresArchive;
    ///
    /// let month = Duration::from_secs(30 * 24 * 60 * 60);
    /// let builder = PostgresArchive::builder("postgres://inbox@localhost/app")
    ///     .schema("webhooks")
    ///     .retention(month)
    ///     .require_synchronous_standby(true);
    /// # let _ = builder;
    /// ```
    pub fn builder(url: impl Into<String>) -> PostgresArchiveBuilder {
        // The error of the parser may contain parts of the string, and so of the password.
        PostgresArchiveBuilder::with_config(url.into().parse().ok())
    }

    /// Returns the SQL script that creates a schema of this name, for services that may not create tables themselves.
    ///
    /// The script fails if the schema has tables of an archive already; use
    /// [`migrate_schema`](PostgresArchiveBuilder::migrate_schema) to update those.
    ///
    /// Such a service opens the archive with [`migrate(false)`](PostgresArchiveBuilder::migrate). Its role needs
    /// `USAGE` on the schema, `SELECT`, `INSERT`, `UPDATE` and `DELETE` on its tables, and `USAGE` on its sequences.
    /// Partitions are created and dropped with the rights of the owner.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Other`] if the name is not 1 to 63 bytes long.
    pub fn schema_script(schema: &str) -> Result<String, ArchiveError> {
        Ok(Schema::new(schema)?.script())
    }

    pub(super) fn start(options: &PostgresArchiveBuilder, server: Server, schema: &Schema) -> Self {
        let name = format!("postgres archive at {server}, schema {}", schema.name());
        let pool = |connections| Arc::new(Pool::new(server.clone(), connections, options.deadline));
        let operations = Operations {
            sql: Arc::new(Sql::new(schema.quoted())),
            pool: pool(options.other_connections()),
            renewals: pool(1),
            claim_start: Arc::default(),
            runtime: Handle::current(),
        };
        let append = AppendStatement(operations.clone());
        let settle = SettleStatement::new(operations.clone());
        let inner = Arc::new(Inner {
            append: Batcher::start(append, options.append_limits(), server.clone()),
            settle: Batcher::start(settle, options.settle_limits(), server),
            operations,
            retention: options.retention,
            last_round: LastRound::default(),
            requires_standby: options.requires_standby,
            node: options.node.clone().map(ThisNode::new),
            checks: Arc::new(Checks::new(options.requires_standby)),
            measured: Mutex::default(),
            name,
            closed: AtomicBool::new(false),
        });
        if let Some(every) = options.maintenance {
            maintenance::start(&inner, every);
        }
        if let Some(node) = &inner.node {
            nodes::start(&inner, node.clone());
        }
        Self(inner)
    }

    pub(super) fn operations(&self) -> &Operations {
        &self.0.operations
    }

    /// Runs the periodic maintenance immediately: creates partitions, applies retention, and adds up counts.
    ///
    /// # Errors
    ///
    /// If a step failed, or a required synchronous standby is no longer configured. The other steps have still run.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the remaining steps are left to the next round.
    pub async fn maintain_now(&self) -> Result<(), ArchiveError> {
        let Inner { operations, retention, requires_standby, .. } = &*self.0;
        let result = operations.maintain(*retention).await;
        Ok(result.and(operations.check_standby(*requires_standby).await)?)
    }

    /// Returns the size of the tables and indexes of this archive. [`Archive::usage`] returns the sum, at most 10 s old,
    /// and no free space, which is not visible to a client.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached.
    pub async fn size(&self) -> Result<DatabaseSize, ArchiveError> {
        self.0.operations.size().await
    }

    /// Returns a reader of the ledger entries of deliveries that are appended from now on, by any node.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached.
    pub async fn follow(&self) -> Result<LedgerFollower, ArchiveError> {
        LedgerFollower::new(self.0.operations.clone()).await
    }

    /// Sends the queued operations, and closes all connections. From then on, every clone rejects operations.
    ///
    /// # Cancel safety
    ///
    /// The archive closes even if the future is dropped.
    pub async fn close(&self) {
        self.0.close();
        self.0.append.wait().await;
        self.0.settle.wait().await;
        if let Some(node) = &self.0.node
            && let Err(failure) = self.0.operations.forget(node).await
        {
            let error = &failure as &dyn std::error::Error;
            tracing::debug!(error, "this node stays in the list of nodes for a day");
        }
        self.0.operations.pool.close();
        self.0.operations.renewals.close();
    }

    /// Runs one statement in a task: a statement that was sent is never cancelled, and what it returns is taken back if
    /// the caller is gone by then.
    fn run<T, F>(
        &self,
        work: impl FnOnce(Operations) -> F,
        untaken: impl FnOnce(&Operations, T) + Send + 'static,
    ) -> Work<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ArchiveError>> + Send + 'static,
    {
        let deadline = self.0.operations.pool.deadline();
        in_time(deadline, self.spawn(work, untaken))
    }

    /// Runs several statements in a task.
    fn spawn<T, F>(
        &self,
        work: impl FnOnce(Operations) -> F,
        untaken: impl FnOnce(&Operations, T) + Send + 'static,
    ) -> oneshot::Receiver<Result<T, ArchiveError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ArchiveError>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        if self.0.is_closed() {
            drop(sender.send(Err(ArchiveError::Closed)));
            return receiver;
        }
        let operations = self.0.operations.clone();
        let work = work(operations.clone());
        self.0.operations.runtime.spawn(async move {
            if let Err(Ok(result)) = sender.send(work.await) {
                untaken(&operations, result);
            }
        });
        receiver
    }

    fn read<T, F>(&self, work: impl FnOnce(Operations) -> F) -> Work<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ArchiveError>> + Send + 'static,
    {
        self.run(work, |_, _| {})
    }
}

/// Waits for an answer, at most until the deadline.
fn in_time<T: Send + 'static>(
    deadline: Duration,
    receiver: oneshot::Receiver<Result<T, ArchiveError>>,
) -> Work<T> {
    Box::pin(async move {
        match timeout(deadline, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ArchiveError::Unsure(Box::new(Interrupted))),
            Err(_) => Err(ArchiveError::Unsure(Box::new(NotInTime(deadline)))),
        }
    })
}

/// Waits for an answer.
fn in_the_end<T: Send + 'static>(receiver: oneshot::Receiver<Result<T, ArchiveError>>) -> Work<T> {
    Box::pin(async move {
        receiver.await.unwrap_or_else(|_| Err(ArchiveError::Unsure(Box::new(Interrupted))))
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the task that runs the statement ended; the log says why")]
struct Interrupted;

impl Archive for PostgresArchive {
    fn append(&self, append: Append) -> Work<Appended> {
        match self.0.append.push(AppendJob::new(append)) {
            Ok(receiver) => in_time(self.0.operations.pool.deadline(), receiver),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        self.run(
            |operations| async move { operations.claim(claim).await },
            |operations, claimed| {
                operations.release_untaken(claimed.leases.into_iter().map(|(_, lease)| lease));
            },
        )
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        self.run(
            move |operations| async move { operations.acquire(acquire).await },
            |operations, acquired| operations.release_untaken(acquired.lease),
        )
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        self.read(move |operations| async move { operations.renew(leases, length).await })
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        match self.0.settle.push(SettleJob { lease, outcome, retry_in }) {
            Ok(receiver) => in_time(self.0.operations.pool.deadline(), receiver),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        self.read(move |operations| async move { operations.release(lease, release).await })
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        self.read(move |operations| async move { operations.begin(lease, inference).await })
    }

    fn retry(&self, query: Query) -> Work<u64> {
        let work = move |operations: Operations| async move {
            let selects = |kind: &StateKind| query.selected_states().selects(*kind);
            // Each from the table that has few other rows.
            let mut retried = 0;
            for kinds in [&[StateKind::Failed][..], &[StateKind::Dead, StateKind::Undecodable]] {
                let kinds = kinds.iter().copied().filter(selects).collect();
                retried += operations.change(&operations.sql.retry, &query, kinds).await?;
            }
            Ok(retried)
        };
        in_the_end(self.spawn(work, |_, _| {}))
    }

    fn remove(&self, query: Query) -> Work<u64> {
        let work = move |operations: Operations| async move {
            operations.change(&operations.sql.remove, &query, kinds(&query)).await
        };
        in_the_end(self.spawn(work, |_, _| {}))
    }

    fn trim(&self, limit: Capacity, target: Capacity) -> Work<Option<u64>> {
        self.read(move |operations| async move { operations.trim(limit, target).await.map(Some) })
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        self.read(move |operations| async move { operations.state(id).await })
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.read(move |operations| async move { operations.get(id).await })
    }

    /// Without leases and releases. Deleted when the age of the delivery exceeds the
    /// [retention](PostgresArchiveBuilder::retention) of bodies.
    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        self.read(move |operations| async move { operations.history(id).await.map(Some) })
    }

    fn scan(&self, query: Query) -> Entries {
        let (sender, found) = Entries::channel(DELIVERIES_AHEAD);
        let operations = self.0.operations.clone();
        let runtime = operations.runtime.clone();
        runtime.spawn(async move { operations.send_deliveries(&query, sender).await });
        found
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        let (sender, found) = Entries::channel(ENTRIES_AHEAD);
        let operations = self.0.operations.clone();
        let runtime = operations.runtime.clone();
        runtime.spawn(async move { operations.send_ledger(&query, sender).await });
        found
    }

    fn latest(&self, query: Query, most: usize) -> Work<Vec<LedgerEntry>> {
        let work =
            move |operations: Operations| async move { operations.latest(&query, most).await };
        in_the_end(self.spawn(work, |_, _| {}))
    }

    fn ledger_between(&self, ranges: Vec<RangeInclusive<DeliveryId>>) -> Work<Vec<LedgerEntry>> {
        let work =
            move |operations: Operations| async move { operations.ledger_between(&ranges).await };
        in_the_end(self.spawn(work, |_, _| {}))
    }

    fn removed(&self) -> Entries<RemovedEntry> {
        let (sender, found) = Entries::channel(ENTRIES_AHEAD);
        let operations = self.0.operations.clone();
        let send = async move { operations.send_removed(sender).await };
        self.0.operations.runtime.spawn(send);
        found
    }

    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        self.read(move |operations| async move { operations.set_paused(&model, paused).await })
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        self.read(|operations| async move { operations.paused().await })
    }

    fn counts(&self) -> Work<Counts> {
        self.read(|operations| async move { operations.counts().await })
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        let this = self.clone();
        self.read(|operations| async move {
            let mut measured = this.0.measured.lock().await;
            let size = match *measured {
                Some((at, size)) if at.elapsed() < MEASURED_FOR => size,
                _ => {
                    let size = operations.size().await?;
                    *measured = Some((Instant::now(), size));
                    size
                }
            };
            Ok(Some(StorageUsage::new(size.all(), None)))
        })
    }

    /// Nodes report every 10 s. One that ended without [`close`](Self::close) is listed for a day.
    fn nodes(&self) -> Work<Vec<Node>> {
        self.read(|operations| async move { operations.nodes().await })
    }

    fn health(&self) -> Work<ArchiveHealth> {
        let (this, checks) = (self.clone(), Arc::clone(&self.0.checks));
        Box::pin(async move {
            let database =
                if this.0.is_closed() { None } else { checks.database(&this.0.operations).await };
            Ok(ArchiveHealth {
                writes: Some(this.0.append.write_state()),
                // The free space of the server is not visible to a client.
                has_space: this.0.append.lacks_space().then_some(false),
                maintenance: this.0.last_round.get(),
                database,
                ..ArchiveHealth::default()
            })
        })
    }
}

/// Host, port, database and schema.
impl fmt::Display for PostgresArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

impl fmt::Debug for PostgresArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresArchive").field("name", &self.0.name).finish_non_exhaustive()
    }
}
