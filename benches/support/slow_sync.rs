use std::{
    sync::{Condvar, Mutex},
    thread,
    time::Duration,
};

/// Lengthens syncs, as a slower device would.
#[derive(Debug)]
pub(crate) struct SlowSync {
    pub(crate) delay: Duration,
    /// Whether syncs that wait for the one that is going on share the next one, as those of a journal do. Otherwise
    /// they come one after the other.
    shared: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    busy: bool,
    begun: u64,
    ended: u64,
}

impl SlowSync {
    pub(crate) fn new(delay: Duration, shared: bool) -> Self {
        Self { delay, shared, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes as long as the device needs.
    pub(crate) fn wait(&self) {
        if self.delay.is_zero() {
            return;
        }
        let mut state = self.state.lock().unwrap();
        // A sync that began before this call does not count for it.
        let wanted = state.begun + 1;
        while state.busy || (self.shared && state.ended < wanted) {
            if !state.busy {
                break;
            }
            state = self.changed.wait(state).unwrap();
        }
        if self.shared && state.ended >= wanted {
            return;
        }
        state.busy = true;
        state.begun += 1;
        let this = state.begun;
        drop(state);
        thread::sleep(self.delay);
        let mut state = self.state.lock().unwrap();
        state.busy = false;
        state.ended = this;
        self.changed.notify_all();
    }
}
