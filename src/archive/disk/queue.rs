use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    pace::{Pace, Waiting},
    plan::Command,
};
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
    /// How many of these are deliveries.
    deliveries: usize,
    /// When the first of them came.
    since: Option<Instant>,
    sleep: Sleep,
    closed: bool,
}

/// What wakes the writer. To wake it is a call of the system, even where nobody sleeps.
#[derive(Clone, Copy, Debug, Default)]
enum Sleep {
    #[default]
    Awake,
    UntilAny,
    UntilDeliveries(usize),
}

impl Queue {
    /// A queue in which at most `limit` deliveries wait. An outcome is always let in: the sender was told already, and
    /// there are no more of them than there were deliveries.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), limit }
    }

    /// Adds a command, or says at once why not.
    pub(super) fn push(&self, command: Command) -> Result<(), ArchiveError> {
        let mut state = self.state();
        if state.closed {
            return Err(ArchiveError::Closed);
        }
        if is_delivery(&command) && state.deliveries >= self.limit {
            return Err(ArchiveError::Overloaded);
        }
        let wakes = state.push(command);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// How many deliveries wait.
    pub(super) fn deliveries(&self) -> usize {
        self.state().deliveries
    }

    /// All that waits, as soon as something does and `pace` waits for no more; `None` once the queue is closed and
    /// empty.
    pub(super) fn take_all(&self, pace: Pace) -> Option<Vec<Command>> {
        let mut state = self.state();
        while let Some((sleep, patience)) = state.sleep(pace) {
            state.sleep = sleep;
            state = self.wait(state, patience);
            state.sleep = Sleep::Awake;
        }
        state.deliveries = 0;
        state.since = None;
        let waiting = mem::take(&mut state.waiting);
        (!waiting.is_empty()).then_some(waiting)
    }

    /// Takes no more commands. What waits may still be taken.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn wait<'q>(
        &self,
        state: MutexGuard<'q, State>,
        patience: Option<Duration>,
    ) -> MutexGuard<'q, State> {
        match patience {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let woken = self.changed.wait_timeout(state, patience);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a command; says whether it wakes the writer.
    fn push(&mut self, command: Command) -> bool {
        self.deliveries += usize::from(is_delivery(&command));
        self.since.get_or_insert_with(Instant::now);
        self.waiting.push(command);
        let wakes = match self.sleep {
            Sleep::Awake => false,
            Sleep::UntilAny => true,
            Sleep::UntilDeliveries(enough) => self.deliveries >= enough,
        };
        if wakes {
            self.sleep = Sleep::Awake;
        }
        wakes
    }

    /// For what, and how long, to sleep before all is taken; `None` if it is to be taken now.
    fn sleep(&self, pace: Pace) -> Option<(Sleep, Option<Duration>)> {
        if self.closed {
            return None;
        }
        let Some(since) = self.since else {
            return Some((Sleep::UntilAny, None));
        };
        let waiting = Waiting { deliveries: self.deliveries, since };
        let patience = pace.patience(waiting, Instant::now())?;
        Some((Sleep::UntilDeliveries(pace.enough(waiting)), Some(patience)))
    }
}

fn is_delivery(command: &Command) -> bool {
    matches!(command, Command::Append(..))
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        archive::disk::tests::delivery,
        delivery::{DeliveryId, Outcome},
    };

    fn command() -> Command {
        Command::Append(delivery("/m", b""), oneshot::channel().0)
    }

    #[test]
    fn an_outcome_is_let_in_where_no_delivery_is() {
        let queue = Queue::new(0);
        assert!(matches!(queue.push(command()), Err(ArchiveError::Overloaded)));
        let outcome = Outcome::processed(200);
        queue.push(Command::Settle(DeliveryId::new(), outcome, oneshot::channel().0)).unwrap();
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let queue = Queue::new(2);
        queue.push(command()).unwrap();
        queue.push(command()).unwrap();
        assert!(matches!(queue.push(command()), Err(ArchiveError::Overloaded)));
        assert_eq!(queue.take_all(Pace::new()).unwrap().len(), 2);
        queue.push(command()).unwrap();
    }

    #[test]
    fn a_closed_queue_gives_out_what_waits_and_takes_no_more() {
        let queue = Queue::new(2);
        queue.push(command()).unwrap();
        queue.close();
        assert!(matches!(queue.push(command()), Err(ArchiveError::Closed)));
        assert_eq!(queue.take_all(Pace::new()).unwrap().len(), 1);
        assert!(queue.take_all(Pace::new()).is_none());
    }
}
