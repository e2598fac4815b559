use std::{
    mem,
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use tokio::sync::oneshot;

/// What one client hands to the writer.
pub(crate) type Handed = (usize, Bytes, oneshot::Sender<()>);

/// One writer that takes all that wait, and wakes them once they are stored: what any group commit is built of.
pub(crate) struct Group {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Handed>,
    least: usize,
    closed: bool,
    asleep: bool,
}

impl Group {
    /// `store` makes a batch durable. A batch has at least `least` parts, for clients that never leave before that.
    pub(crate) fn start(least: usize, mut store: impl FnMut(&[Handed]) + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap().least = least;
        let theirs = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            while let Some(batch) = theirs.take() {
                store(&batch);
                for (_, _, done) in batch {
                    let _ = done.send(());
                }
            }
        });
        Self { shared, writer: Some(writer) }
    }

    pub(crate) fn push(&self, n: usize, body: Bytes) -> oneshot::Receiver<()> {
        let (done, receipt) = oneshot::channel();
        let mut state = self.shared.state.lock().unwrap();
        state.waiting.push((n, body, done));
        let wakes = state.asleep && state.waiting.len() >= state.least;
        state.asleep &= !wakes;
        drop(state);
        if wakes {
            self.shared.changed.notify_one();
        }
        receipt
    }

    /// No batch waits to be full any more.
    pub(crate) fn finish(&self) {
        self.shared.state.lock().unwrap().least = 1;
        self.shared.changed.notify_all();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().closed = true;
        self.shared.changed.notify_all();
        self.writer.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn take(&self) -> Option<Vec<Handed>> {
        let mut state = self.state.lock().unwrap();
        while state.waiting.len() < state.least && !state.closed {
            state.asleep = true;
            state = self.changed.wait(state).unwrap();
        }
        state.asleep = false;
        let batch = mem::take(&mut state.waiting);
        (!batch.is_empty()).then_some(batch)
    }
}
