use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A gate that blocks writers while it is closed.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    waiting: bool,
}

impl Gate {
    pub(super) fn close(&self) {
        self.state().closed = true;
    }

    pub(super) fn open(&self) {
        self.state().closed = false;
        self.changed.notify_all();
    }

    /// Blocks until a writer waits at the gate.
    pub(super) fn reached(&self) {
        self.wait_while(|state| !state.waiting);
    }

    pub(super) fn pass(&self) {
        self.state().waiting = true;
        self.changed.notify_all();
        self.wait_while(|state| state.closed);
        self.state().waiting = false;
    }

    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) {
        let waited = self.changed.wait_while(self.state(), condition);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
