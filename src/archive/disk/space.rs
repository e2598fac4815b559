//! The free-space watermark. The system call that reads the free space may hang with the disk, so it runs on a thread of
//! its own, and nothing waits for it for long.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{background, medium::Medium};
use crate::{archive::ArchiveError, supervise::catch_and_report};

/// The age from which the free space is read again: others write to the disk as well.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How long one append waits for the free space to be read. After that, and while it is being read, the last known value
/// counts.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a record takes besides the body, about.
const FRAMING: u64 = 2048;

/// Refuses new deliveries while the disk is nearly full, so that there is room for outcomes, for recovery and for
/// removing.
#[derive(Clone, Debug)]
pub(super) struct Space(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    medium: Arc<dyn Medium>,
    dir: PathBuf,
    least: u64,
    /// Never locked during a system call.
    seen: Mutex<Option<Seen>>,
    is_reading: AtomicBool,
}

/// The free space that was read last.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    /// What was free then, without what was admitted since.
    free: u64,
}

impl Space {
    pub(super) fn new(medium: Arc<dyn Medium>, dir: PathBuf, least: u64) -> Self {
        let (seen, is_reading) = (Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Shared { medium, dir, least, seen, is_reading }))
    }

    /// Admits a body of this length if a value that is young enough has room for it; otherwise [`admit`](Self::admit)
    /// decides.
    pub(super) fn admit_at_once(&self, length: usize) -> bool {
        self.0.least == 0 || self.0.admit(length, Some(MAX_AGE)).is_ok()
    }

    /// Reads the free space, and admits a body of this length if there is room for it.
    pub(super) async fn admit(&self, length: usize) -> Result<(), ArchiveError> {
        if !self.0.is_reading.swap(true, Ordering::AcqRel) {
            let shared = Arc::clone(&self.0);
            // The result is in `seen`, if there is one in time.
            drop(background::run(move || Ok(read_within(&shared, PATIENCE))).await);
        }
        let full =
            |free| ArchiveError::NoSpace { path: self.0.dir.clone(), free, least: self.0.least };
        self.0.admit(length, None).map_err(full)
    }
}

/// Starts to read the free space, and waits this long for it. Blocks.
fn read_within(shared: &Arc<Shared>, patience: Duration) {
    let (done, is_done) = mpsc::channel();
    let reading = Arc::clone(shared);
    let read = move || {
        catch_and_report("archive-space", || reading.read());
        reading.is_reading.store(false, Ordering::Release);
        // Nobody may be waiting any more.
        let _ = done.send(());
    };
    // Not a thread of the runtime, which could not end while it hangs.
    match thread::Builder::new().name("inbox-space".to_owned()).spawn(read) {
        Ok(_) => drop(is_done.recv_timeout(patience)),
        Err(_) => shared.is_reading.store(false, Ordering::Release),
    }
}

impl Shared {
    /// A disk that does not say what is free is not taken for full: writing to it will show.
    fn read(&self) {
        let free = self.medium.free_space(&self.dir).unwrap_or_else(|error| {
            tracing::warn!(path = %self.dir.display(), %error, "cannot read the free space of the disk");
            u64::MAX
        });
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Seen { at: Instant::now(), free });
    }

    /// Admits a body of this length if the last known value, not older than `max_age`, has room for it. Returns what is
    /// free otherwise. If nothing is known at all, a body is admitted unless `max_age` is given.
    fn admit(&self, length: usize, max_age: Option<Duration>) -> Result<(), u64> {
        let wanted = FRAMING.saturating_add(length as u64);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_young = |seen: &&mut Seen| max_age.is_none_or(|max| seen.at.elapsed() < max);
        match seen.as_mut().filter(is_young) {
            Some(seen) if fits(seen.free, wanted, self.least) => {
                seen.free = seen.free.saturating_sub(wanted);
                Ok(())
            }
            Some(seen) => Err(seen.free),
            None if max_age.is_none() => Ok(()),
            None => Err(0),
        }
    }
}

fn fits(free: u64, wanted: u64, least: u64) -> bool {
    free.saturating_sub(wanted) >= least
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::{Condvar, MutexGuard};

    use super::*;
    use crate::archive::disk::{
        DiskArchive,
        tests::{append, delivery},
    };
    use crate::testing::FaultyDisk;

    /// A disk whose free space is read only while the gate is open.
    #[derive(Debug, Default)]
    struct Gate {
        is_open: Mutex<bool>,
        changed: Condvar,
        calls: Mutex<usize>,
    }

    impl Gate {
        fn lock(&self) -> MutexGuard<'_, bool> {
            self.is_open.lock().unwrap()
        }

        fn set(&self, is_open: bool) {
            *self.lock() = is_open;
            self.changed.notify_all();
        }

        fn pass(&self) {
            *self.calls.lock().unwrap() += 1;
            drop(self.changed.wait_while(self.lock(), |is_open| !*is_open).unwrap());
        }
    }

    #[tokio::test]
    async fn appends_go_on_while_statvfs_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Arc::new(Gate::default());
        let (disk, passing) = (FaultyDisk::new(), Arc::clone(&gate));
        disk.before_free_space(move || passing.pass());
        let builder = DiskArchive::builder(dir.path()).least_free(1).upkeep_every(None);
        let archive = disk.open(builder).await.unwrap();
        // On the only thread of this runtime: if one of them blocked, none would end.
        let all: Vec<_> = (0..20).map(|n| delivery("/m", format!("{n}").as_bytes())).collect();
        for one in &all {
            let _ = append(&archive, one).await.unwrap();
        }
        assert_eq!(*gate.calls.lock().unwrap(), 1, "one thread hangs, and no more");
        gate.set(true);
        let _ = append(&archive, &delivery("/m", b"behind")).await.unwrap();
        archive.close().await;
    }

    #[tokio::test]
    async fn last_known_free_space_counts_while_statvfs_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        disk.fail(crate::testing::Fault::Free { bytes: 10 * FRAMING });
        let builder = DiskArchive::builder(dir.path()).least_free(FRAMING).upkeep_every(None);
        let archive = disk.open(builder).await.unwrap();
        let _ = append(&archive, &delivery("/m", b"first")).await.unwrap();
        let gate = Arc::new(Gate::default());
        let passing = Arc::clone(&gate);
        disk.before_free_space(move || passing.pass());
        let mut admitted = 1;
        while append(&archive, &delivery("/m", &[b'x'; 9][..admitted % 9])).await.is_ok() {
            admitted += 1;
            assert!(admitted < 10, "more was admitted than was free");
        }
        assert!(admitted > 5, "{admitted}");
        gate.set(true);
    }
}
