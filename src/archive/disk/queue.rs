use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::plan::Command;
use crate::archive::ArchiveError;

/// What waits for the writer.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Command>,
    closed: bool,
}

impl Queue {
    /// A queue in which at most `limit` commands wait.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), limit }
    }

    /// Adds a command, or says at once why not.
    pub(super) fn push(&self, command: Command) -> Result<(), ArchiveError> {
        let mut state = self.state();
        if state.closed {
            return Err(ArchiveError::Closed);
        }
        if state.waiting.len() >= self.limit {
            return Err(ArchiveError::Overloaded);
        }
        state.waiting.push(command);
        self.changed.notify_one();
        Ok(())
    }

    /// All that waits, as soon as something does; `None` once the queue is closed and empty.
    pub(super) fn take_all(&self) -> Option<Vec<Command>> {
        let state = self.state();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state =
            self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        let waiting = mem::take(&mut state.waiting);
        (!waiting.is_empty()).then_some(waiting)
    }

    /// Takes no more commands. What waits may still be taken.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::delivery::{DeliveryId, Outcome};

    fn command() -> Command {
        Command::Settle(DeliveryId::new(), Outcome::failed(""), oneshot::channel().0)
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let queue = Queue::new(2);
        queue.push(command()).unwrap();
        queue.push(command()).unwrap();
        assert!(matches!(queue.push(command()), Err(ArchiveError::Overloaded)));
        assert_eq!(queue.take_all().unwrap().len(), 2);
        queue.push(command()).unwrap();
    }

    #[test]
    fn a_closed_queue_gives_out_what_waits_and_takes_no_more() {
        let queue = Queue::new(2);
        queue.push(command()).unwrap();
        queue.close();
        assert!(matches!(queue.push(command()), Err(ArchiveError::Closed)));
        assert_eq!(queue.take_all().unwrap().len(), 1);
        assert!(queue.take_all().is_none());
    }
}
