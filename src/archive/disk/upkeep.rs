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
        let thread = builder.spawn(move || run(&keeper, every, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Waits until it has ended. What it is doing is finished first.
    pub(super) fn stop(self) -> thread::Result<()> {
        drop(self.stop);
        self.thread.join()
    }
}

fn run(keeper: &Keeper, every: Duration, stopped: &Receiver<()>) {
    let mut last = Instant::now();
    loop {
        match stopped.recv_timeout(every.min(REQUESTS)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        // What fails is logged where it fails, and tried again the next time.
        if last.elapsed() >= every {
            drop(keeper.upkeep());
            last = Instant::now();
        } else {
            drop(keeper.do_requests());
        }
    }
}
