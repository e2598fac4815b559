//! The archive in a directory, as of its last change. A read-only archive is one as of its opening.

use std::{
    collections::BTreeMap,
    error::Error,
    ffi::OsString,
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tower_inbox::{
    Archive, Counts, DeliveryId, DiskArchive, ModelName, Outcome,
    archive::{
        Acquire, Acquired, Append, Appended, ArchiveError, ArchiveHealth, Archived, Begun, Claim,
        Claimed, Entries, Lease, LedgerEntry, Query, Release, StateChange, StorageUsage, Work,
    },
    delivery::{InferenceDigest, State},
};

use crate::{
    change::{Change, apply},
    console,
    list::lengths,
    location::{Location, open_directory},
};

/// The time between two looks at the directory.
const POLL: Duration = Duration::from_millis(500);

/// Reads the archive as of its last change, and has the process that writes it make changes.
#[derive(Clone)]
pub(super) struct Snapshot {
    path: PathBuf,
    current: Arc<RwLock<DiskArchive>>,
}

impl Snapshot {
    /// Opens the archive, and opens it again whenever it changes.
    pub(super) async fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        // Before it is opened, so that no change in between is missed.
        let before = lengths(path).ok();
        let current = Arc::new(RwLock::new(open_directory(path).await?));
        let snapshot = Self { path: path.to_owned(), current };
        tokio::spawn(snapshot.clone().follow(before));
        Ok(snapshot)
    }

    async fn follow(self, mut before: Option<BTreeMap<OsString, u64>>) {
        loop {
            tokio::time::sleep(POLL).await;
            let now = lengths(&self.path).ok();
            if now == before {
                continue;
            }
            match self.reopen().await {
                Ok(()) => before = now,
                // Maintenance renames files, so that the next look may find them.
                Err(error) => console::note(&format!("cannot read the changed archive: {error}")),
            }
        }
    }

    async fn reopen(&self) -> Result<(), ArchiveError> {
        let archive = DiskArchive::read_only(&self.path).await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = archive;
        Ok(())
    }

    fn current(&self) -> DiskArchive {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: Change, query: Query) -> Work<u64> {
        let snapshot = self.clone();
        Box::pin(async move {
            let at = Location::Directory(snapshot.path.clone());
            let runtime = tokio::runtime::Handle::current();
            // The errors of the command cannot be sent between threads.
            let changing = tokio::task::spawn_blocking(move || {
                let changed = runtime.block_on(apply(&at, change, vec![query]));
                changed
                    .map(|changed| changed.number())
                    .map_err(|error| console::with_sources(&*error))
            });
            let changed = changing.await.map_err(|error| ArchiveError::Other(error.into()))?;
            let changed = changed.map_err(|text| ArchiveError::Other(text.into()))?;
            snapshot.reopen().await?;
            Ok(changed)
        })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// Reads are those of the last snapshot. All other operations but `retry` and `remove` fail, because it is read-only.
impl Archive for Snapshot {
    fn append(&self, append: Append) -> Work<Appended> {
        self.current().append(append)
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        self.current().claim(claim)
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        self.current().acquire(acquire)
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        self.current().renew(leases, length)
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        self.current().settle(lease, outcome, retry_in)
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        self.current().release(lease, release)
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        self.current().begin(lease, inference)
    }

    fn retry(&self, query: Query) -> Work<u64> {
        self.change(Change::Retry, query)
    }

    fn remove(&self, query: Query) -> Work<u64> {
        self.change(Change::Remove, query)
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        self.current().state(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.current().get(id)
    }

    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        self.current().history(id)
    }

    fn scan(&self, query: Query) -> Entries {
        self.current().scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        self.current().ledger(query)
    }

    fn latest(&self, query: Query, most: usize) -> Work<Vec<LedgerEntry>> {
        self.current().latest(query, most)
    }

    fn ledger_between(&self, ranges: Vec<RangeInclusive<DeliveryId>>) -> Work<Vec<LedgerEntry>> {
        self.current().ledger_between(ranges)
    }

    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        self.current().set_paused(model, paused)
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        self.current().paused()
    }

    fn counts(&self) -> Work<Counts> {
        self.current().counts()
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        self.current().usage()
    }

    fn health(&self) -> Work<ArchiveHealth> {
        self.current().health()
    }
}
