use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::keeper::Keeper;
use crate::supervise::{backoff, catch_and_report};

/// How often requests of other processes are looked for.
const REQUESTS: Duration = Duration::from_secs(1);

/// The thread that looks after the archive, away from the writer.
#[derive(Debug)]
pub(super) struct Upkeep {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Upkeep {
    /// Starts it. It does all that is due at once, and then as often as this.
    pub(super) fn start(keeper: Arc<Keeper>, every: Duration) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let builder = thread::Builder::new().name("inbox-upkeep".to_owned());
        let thread = builder.spawn(move || supervise(&keeper, every, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Waits until it has ended. What it is doing is finished first.
    pub(super) fn stop(self) -> thread::Result<()> {
        drop(self.stop);
        self.thread.join()
    }
}

/// Goes on after a panic, with a pause: what a round left half done is finished by the next, as after a failure.
fn supervise(keeper: &Keeper, every: Duration, stopped: &Receiver<()>) {
    let (mut last, mut panics) = (Instant::now(), 0);
    let mut pause = every.min(REQUESTS);
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
        let is_due = panics > 0 || last.elapsed() >= every;
        // What fails is logged where it fails, and tried again the next time.
        let round = || {
            drop(if is_due {
                keeper.upkeep()
            } else {
                keeper.do_requests().and(keeper.index_sealed())
            });
        };
        panics =
            if catch_and_report("archive-maintenance", round).is_some() { 0 } else { panics + 1 };
        pause = if panics == 0 { every.min(REQUESTS) } else { every.min(backoff(panics)) };
        if is_due && panics > 0 {
            keeper.condition.note_maintenance(true);
        }
        if is_due {
            last = Instant::now();
        }
    }
}
