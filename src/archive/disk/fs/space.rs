//! The free-space watermark. Reading the free space can hang with the disk (`statvfs` on a network file system), so a
//! separate thread reads it, and appends are compared with the last reading without waiting.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use super::file_system::FileSystem;
use crate::{archive::ArchiveError, supervise::catch_and_report};

/// The interval between two readings. Other processes write to the disk as well.
const INTERVAL: Duration = Duration::from_secs(1);

/// Approximate size of a record without its body, in bytes.
const FRAMING: u64 = 2048;

/// Rejects new deliveries while the disk is nearly full, to reserve space for outcomes, recovery and removals.
pub(in crate::archive::disk) struct Space {
    reading: Arc<LastReading>,
    /// `None` without a watermark.
    thread: Option<Thread>,
}

struct LastReading {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    least: u64,
    /// The free bytes at the last reading, less those admitted since.
    free: AtomicU64,
    is_stopped: AtomicBool,
}

impl Space {
    /// Reads the free space, and starts the thread that reads it every second until [`stop`](Self::stop). Without a
    /// watermark (`least` is 0) it does neither. Blocks.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub(in crate::archive::disk) fn start(
        fs: Arc<dyn FileSystem>,
        dir: PathBuf,
        least: u64,
    ) -> io::Result<Self> {
        let (free, is_stopped) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        let reading = Arc::new(LastReading { fs, dir, least, free, is_stopped });
        if least == 0 {
            return Ok(Self { reading, thread: None });
        }
        let is_readable = reading.read(true);
        let repeated = Arc::clone(&reading);
        let builder = thread::Builder::new().name("inbox-space".to_owned());
        // The thread is not joined, because closing an archive does not wait for a reading that hangs.
        let thread = builder.spawn(move || repeated.read_until_stopped(is_readable))?;
        Ok(Self { reading, thread: Some(thread.thread().clone()) })
    }

    /// Checks that there is room for a body of this length. Never blocks. While a reading hangs, the previous one
    /// counts, less the bytes admitted since.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoSpace`] if there is not enough room. The free space is then read again immediately.
    pub(in crate::archive::disk) fn admit(&self, length: usize) -> Result<(), ArchiveError> {
        let LastReading { dir, least, free, .. } = &*self.reading;
        let wanted = FRAMING.saturating_add(length as u64);
        let admitted = free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| rest(free, wanted, *least));
        admitted.map(drop).map_err(|free| {
            self.wake();
            ArchiveError::NoSpace { path: dir.clone(), free, least: *least }
        })
    }

    /// Returns whether there is room for a short body; `None` without a watermark, or if the free space is unknown.
    /// Never blocks.
    pub(in crate::archive::disk) fn is_sufficient(&self) -> Option<bool> {
        let LastReading { least, free, .. } = &*self.reading;
        let free = free.load(Ordering::Relaxed);
        let is_known = *least > 0 && free <= u64::MAX / 2;
        is_known.then(|| rest(free, FRAMING, *least).is_some())
    }

    /// Stops the thread, without waiting for it.
    pub(in crate::archive::disk) fn stop(&self) {
        self.reading.is_stopped.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.thread.iter().for_each(Thread::unpark);
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.stop();
    }
}

impl LastReading {
    fn read_until_stopped(&self, mut is_readable: bool) {
        loop {
            thread::park_timeout(INTERVAL);
            if self.is_stopped.load(Ordering::Acquire) {
                return;
            }
            let read = catch_and_report("archive-space", || self.read(is_readable));
            is_readable = read.unwrap_or(is_readable);
        }
    }

    /// Reads the free space, and returns whether that succeeded. A disk that does not report its free space is not
    /// considered full, because a write will show it. Logs a failure only if the previous reading succeeded.
    fn read(&self, was_readable: bool) -> bool {
        let read = self.fs.free_space(&self.dir);
        if let (Err(error), true) = (&read, was_readable) {
            tracing::warn!(path = %self.dir.display(), %error, "cannot read the free space of the disk");
        }
        self.free.store(*read.as_ref().unwrap_or(&u64::MAX), Ordering::Relaxed);
        read.is_ok()
    }
}

/// Returns the free bytes after `wanted` are used, unless fewer than `least` would be left.
fn rest(free: u64, wanted: u64, least: u64) -> Option<u64> {
    let rest = free.saturating_sub(wanted);
    (rest >= least).then_some(rest)
}
