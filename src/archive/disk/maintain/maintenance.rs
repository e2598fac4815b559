//! The maintenance steps, in order: requests from other processes, interrupted removals, comparison of the segments
//! with the manifest, sealing by age, removal by age, dropping superseded states, compression, index files, removal by
//! size, forgetting.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use super::{
    compactor::{CompactionState, Compactor},
    request::{
        Answer, ControlRequests, Request, answer, control_requests, read_request, report_failure,
    },
};
use crate::{
    archive::{
        ArchiveError, Query,
        disk::{
            format::name::{SegmentName, SegmentState},
            fs::{file_system::Failure, lock::lock_path},
        },
    },
    supervise::{backoff, catch_and_report},
};

type StepResult = Result<(), ArchiveError>;

impl Compactor {
    /// Runs all steps that are due. A failed step does not prevent the others; the first error is returned.
    pub(in crate::archive::disk) fn maintenance(&self) -> StepResult {
        let done = self.run_steps();
        self.condition.note_maintenance(done.is_err());
        done
    }

    fn run_steps(&self) -> StepResult {
        let requests = self.do_requests();
        let mut state = self.turn()?;
        let results = [
            requests,
            self.log_error("finish a removal", self.finish_removals(&mut state)),
            self.log_error("check the segments", self.check_segments(&mut state)),
            self.log_error("seal a segment for its age", self.seal_old()),
            self.log_error("remove old deliveries", self.remove_old(&mut state)),
            self.log_error("drop superseded states", self.drop_superseded(&mut state)),
            self.log_error("compress a segment", self.compress_old(&mut state)),
            self.log_error(
                "write an index file",
                self.write_indexes(&mut state).map_err(Into::into),
            ),
            self.log_error("remove deliveries for room", self.remove_for_room(&mut state)),
            self.log_error("forget removed deliveries", self.forget_old(&mut state)),
        ];
        results.into_iter().collect()
    }

    /// Executes the requests from other processes, and records that the archive is open.
    pub(in crate::archive::disk) fn do_requests(&self) -> StepResult {
        const WHAT: &str = "do what another process asked for";
        // A directory that no longer belongs to this archive is not touched. The writer logs the loss.
        drop(self.turn()?);
        let _before = self.fs.note_time(&lock_path(&self.dir));
        let control_requests = control_requests(&*self.fs, &self.dir, SystemTime::now());
        let ControlRequests { requests, untaken } = match control_requests {
            Ok(control_requests) => control_requests,
            Err(failure) => return self.log_error(WHAT, Err(failure.into())),
        };
        for path in untaken {
            // If removal fails, it is retried the next time the file is seen.
            drop(self.fs.remove(&path));
        }
        if let Ok(mut state) = self.turn() {
            state.failed_requests.retain(|path| requests.contains(path));
        }
        // A request that fails does not prevent the others.
        let done = requests.iter().map(|path| self.log_error_once(path, self.request(path)));
        done.fold(Ok(()), Result::and)
    }

    fn request(&self, path: &Path) -> StepResult {
        let mut state = self.turn()?;
        let came = match read_request(&*self.fs, path)? {
            Some(Ok(request)) => match self.execute(&request, &mut state) {
                Ok(done) => Answer::Done(done),
                Err(error) => {
                    // The request is retried unless the other process, which reads the error, withdraws it.
                    if !state.failed_requests.contains(path) {
                        report_failure(&*self.fs, path, &error)?;
                    }
                    return Err(error);
                }
            },
            Some(Err(not_understood)) => {
                tracing::warn!(path = %path.display(), "a request is not understood, and answered so");
                not_understood
            }
            None => return Ok(()),
        };
        Ok(answer(&*self.fs, &self.dir, path, &came)?)
    }

    fn execute(&self, request: &Request, state: &mut CompactionState) -> Result<u64, ArchiveError> {
        match request {
            Request::Remove(query) => {
                let removed = self.mark_all_removed(query)?;
                self.finish_removals(state)?;
                Ok(removed)
            }
            Request::Retry(query) => self.retry(query, tokio::time::Instant::now()),
        }
    }

    /// Logs the first failure of a request only, because it is retried every second.
    fn log_error_once(&self, path: &Path, done: StepResult) -> StepResult {
        let Err(error) = &done else { return done };
        let is_known =
            self.turn().is_ok_and(|mut state| !state.failed_requests.insert(path.to_owned()));
        if !is_known {
            let source = std::error::Error::source(error);
            tracing::warn!(
                path = %path.display(), %error, source,
                "cannot do what another process asked for; it is tried again every second"
            );
        }
        done
    }

    fn log_error(&self, what: &str, done: StepResult) -> StepResult {
        if let Err(error) = &done {
            let source = std::error::Error::source(error);
            tracing::warn!(path = %self.dir.display(), %error, source, "cannot {what}");
        }
        done
    }

    fn seal_old(&self) -> StepResult {
        let now = SystemTime::now();
        // An abandoned segment is sealed at the next start.
        let last = self.segments()?.into_iter().next_back();
        let due = last.is_some_and(|(name, segment_state)| {
            segment_state == SegmentState::Active && self.policy.seals(self.received(name), now)
        });
        if due { self.seal() } else { Ok(()) }
    }

    fn remove_old(&self, state: &mut CompactionState) -> StepResult {
        let now = SystemTime::now();
        for name in self.sealed()?.into_keys() {
            for states in self.policy.removes(self.received(name), now) {
                self.remove_in(name, &Query::all().states(states))?;
            }
        }
        self.finish_removals(state)
    }

    /// Removes the deliveries that `query` selects in a segment. Returns their number.
    fn remove_in(&self, name: SegmentName, query: &Query) -> Result<u64, ArchiveError> {
        let removed = self.mark_removed_in(name, query)?;
        if removed > 0 {
            tracing::info!(path = %self.dir.display(), segment = %name, removed, "removed old deliveries");
        }
        Ok(removed)
    }

    fn compress_old(&self, state: &mut CompactionState) -> StepResult {
        let now = SystemTime::now();
        for (name, segment_state) in self.sealed()? {
            let is_due = self.policy.compresses(segment_state, self.received(name), now);
            if is_due
                && !self.is_damaged(name, state)
                && !self.is_cut(name, segment_state, state)?
            {
                self.rewrite(
                    name,
                    segment_state,
                    SegmentState::Compressed,
                    &HashMap::new(),
                    state,
                )?;
            }
        }
        Ok(())
    }

    /// Returns the receipt times of the first and last delivery with a body in a segment.
    fn received(&self, name: SegmentName) -> Option<(SystemTime, SystemTime)> {
        self.read(|index| index.received(name))
    }

    /// Returns whether a part of a segment is known to be damaged.
    pub(in crate::archive::disk) fn is_damaged(
        &self,
        name: SegmentName,
        state: &CompactionState,
    ) -> bool {
        state.damaged.contains(&name) || self.read(|index| index.is_damaged(name))
    }

    /// Moves index entries from memory to index files once there are enough of them.
    pub(in crate::archive::disk) fn index_sealed(&self) -> StepResult {
        // The directory is not listed, because this runs every second. The last segment is therefore treated as active,
        // although it may be sealed.
        if self.read(|index| index.to_flush(index.last_segment())).is_empty() {
            return Ok(());
        }
        let mut state = self.turn()?;
        let results = [
            self.log_error("drop superseded states", self.drop_superseded(&mut state)),
            self.log_error(
                "write an index file",
                self.write_indexes(&mut state).map_err(Into::into),
            ),
        ];
        results.into_iter().collect()
    }

    fn remove_for_room(&self, state: &mut CompactionState) -> StepResult {
        let Some(most) = self.policy.max_bytes else {
            return Ok(());
        };
        for name in self.sealed()?.into_keys() {
            if self.total()? <= most {
                break;
            }
            if self.remove_in(name, &Query::all().finished())? > 0 {
                self.finish_removals(state)?;
            }
        }
        Ok(())
    }

    /// Returns the total size of all segments in bytes.
    fn total(&self) -> Result<u64, Failure> {
        let length = |(name, segment_state): (SegmentName, SegmentState)| {
            let path = name.path(&self.dir, segment_state);
            let file = self.fs.open_read(&path).map_err(Failure::to("open", &path))?;
            file.len().map_err(Failure::to("read", &path))
        };
        self.segments()?.into_iter().map(length).sum()
    }

    /// Returns the segments that are no longer written, oldest first. A segment that was added to the directory after
    /// the archive was opened is excluded until the next open, because the index does not cover it.
    pub(in crate::archive::disk) fn sealed(
        &self,
    ) -> Result<BTreeMap<SegmentName, SegmentState>, Failure> {
        let mut segments = self.segments()?;
        self.read(|index| {
            segments.retain(|name, segment_state| {
                *segment_state != SegmentState::Active && index.has_segment(*name)
            });
        });
        Ok(segments)
    }
}

/// The polling interval for requests from other processes.
const REQUESTS: Duration = Duration::from_secs(1);

/// The maintenance thread, separate from the writer.
#[derive(Debug)]
pub(in crate::archive::disk) struct MaintenanceThread {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl MaintenanceThread {
    /// Starts the thread. It executes requests and writes large index files every second, or at the interval `every` if
    /// that is shorter, and runs full maintenance at the interval `every`.
    pub(in crate::archive::disk) fn start(
        compactor: Arc<Compactor>,
        every: Duration,
    ) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let builder = thread::Builder::new().name("inbox-maintain".to_owned());
        let thread = builder.spawn(move || supervise(&compactor, every, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Waits until the thread has ended. The current task is completed first.
    pub(in crate::archive::disk) fn stop(self) -> thread::Result<()> {
        drop(self.stop);
        self.thread.join()
    }
}

/// Continues after a panic, with a pause: the next round completes the work of an interrupted one, as after a failure.
fn supervise(compactor: &Compactor, every: Duration, stopped: &Receiver<()>) {
    let (mut last, mut panics) = (Instant::now(), 0);
    let mut pause = every.min(REQUESTS);
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
        let is_due = panics > 0 || last.elapsed() >= every;
        // Failures are logged where they occur, and retried in the next round.
        let round = || {
            drop(if is_due {
                compactor.maintenance()
            } else {
                compactor.do_requests().and(compactor.index_sealed())
            });
        };
        panics =
            if catch_and_report("archive-maintenance", round).is_some() { 0 } else { panics + 1 };
        pause = if panics == 0 { every.min(REQUESTS) } else { every.min(backoff(panics)) };
        if is_due && panics > 0 {
            compactor.condition.note_maintenance(true);
        }
        if is_due {
            last = Instant::now();
        }
    }
}
