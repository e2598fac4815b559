use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::compactor::Compactor;
use crate::supervise::{backoff, catch_and_report};

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
