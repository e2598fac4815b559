use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::medium::Medium;
use crate::archive::ArchiveError;

/// How old the last look at the disk may be. Others write to it as well.
const LONGEST: Duration = Duration::from_secs(1);

/// What a record takes besides the body, about.
const FRAMING: u64 = 2048;

/// Refuses new deliveries while the disk is nearly full, so that there is room for outcomes, for recovery and for
/// removing.
#[derive(Debug)]
pub(super) struct Space {
    medium: Arc<dyn Medium>,
    dir: PathBuf,
    least: u64,
    seen: Mutex<Option<Seen>>,
}

/// The last look at the disk.
#[derive(Debug)]
struct Seen {
    at: Instant,
    /// What was free then, without what was admitted since.
    free: u64,
}

impl Space {
    pub(super) fn new(medium: Arc<dyn Medium>, dir: PathBuf, least: u64) -> Self {
        Self { medium, dir, least, seen: Mutex::new(None) }
    }

    /// Whether there is room for a body of this length.
    pub(super) fn admit(&self, length: usize) -> Result<(), ArchiveError> {
        if self.least == 0 {
            return Ok(());
        }
        let wanted = FRAMING.saturating_add(length as u64);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.take().filter(|seen| seen.at.elapsed() < LONGEST);
        let known = known.filter(|seen| fits(seen.free, wanted, self.least));
        let free = known.as_ref().map_or_else(|| self.look(), |seen| seen.free);
        let at = known.map_or_else(Instant::now, |seen| seen.at);
        if !fits(free, wanted, self.least) {
            return Err(ArchiveError::NoSpace { path: self.dir.clone(), free, least: self.least });
        }
        *seen = Some(Seen { at, free: free.saturating_sub(wanted) });
        Ok(())
    }

    /// A disk that does not say what is free is not taken for full: writing to it will show.
    fn look(&self) -> u64 {
        self.medium.free_space(&self.dir).unwrap_or_else(|error| {
            tracing::warn!(path = %self.dir.display(), %error, "cannot tell how much of the disk is free");
            u64::MAX
        })
    }
}

fn fits(free: u64, wanted: u64, least: u64) -> bool {
    free.saturating_sub(wanted) >= least
}
