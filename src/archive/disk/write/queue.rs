use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::command::Command;
use crate::archive::ArchiveError;

/// The queue of commands for the writer.
#[derive(Debug)]
pub(in crate::archive::disk) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Command>,
    /// The number of deliveries in `waiting`.
    deliveries: usize,
    /// When the first of them arrived.
    since: Option<Instant>,
    /// Whether one of them must not wait for deliveries to share a sync with.
    urgent: bool,
    sleep: Sleep,
    closed: bool,
}

/// What wakes the writer. A wake-up is a system call, even if no thread is parked.
#[derive(Clone, Copy, Debug, Default)]
enum Sleep {
    #[default]
    Awake,
    UntilAny,
    UntilDeliveries(usize),
}

/// The commands that the writer takes at a time.
#[derive(Debug)]
pub(in crate::archive::disk) struct Part {
    pub(in crate::archive::disk) commands: Vec<Command>,
    /// Whether everything taken so far must be written now. If nothing was taken, the queue is closed. A part that is
    /// not the last contains deliveries.
    pub(in crate::archive::disk) last: bool,
}

/// The next step of the writer.
enum Next {
    Take { last: bool },
    Sleep(Sleep, Option<Duration>),
}

impl Queue {
    /// Creates a queue for at most `limit` waiting deliveries. Outcomes are always admitted: their senders were already
    /// answered, and there are no more outcomes than deliveries.
    pub(in crate::archive::disk) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), limit }
    }

    /// Adds a command, or immediately returns the reason for the rejection.
    pub(in crate::archive::disk) fn push(&self, command: Command) -> Result<(), ArchiveError> {
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

    /// Returns the number of waiting deliveries.
    pub(in crate::archive::disk) fn deliveries(&self) -> usize {
        self.state().deliveries
    }

    /// Takes the waiting commands, once enough have arrived to be prepared along with the `taken` earlier deliveries.
    pub(in crate::archive::disk) fn take(&self, window: BatchWindow, taken: usize) -> Part {
        let mut state = self.state();
        let last = loop {
            match state.next(window, taken) {
                Next::Take { last } => break last,
                Next::Sleep(sleep, patience) => {
                    state.sleep = sleep;
                    state = self.wait(state, patience);
                    state.sleep = Sleep::Awake;
                }
            }
        };
        state.deliveries = 0;
        state.since = None;
        state.urgent = false;
        Part { commands: mem::take(&mut state.waiting), last }
    }

    /// Takes the commands that are waiting now, without waiting for more.
    pub(in crate::archive::disk) fn take_now(&self) -> Vec<Command> {
        let mut state = self.state();
        state.deliveries = 0;
        state.since = None;
        state.urgent = false;
        mem::take(&mut state.waiting)
    }

    /// Returns whether the queue rejects commands: the archive was closed, or its writer has stopped.
    pub(in crate::archive::disk) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Rejects further commands. Waiting commands can still be taken.
    pub(in crate::archive::disk) fn close(&self) {
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
    /// Adds a command, and returns whether the writer must be woken.
    fn push(&mut self, command: Command) -> bool {
        self.deliveries += usize::from(is_delivery(&command));
        self.since.get_or_insert_with(Instant::now);
        self.urgent |= is_urgent(&command);
        self.waiting.push(command);
        let wakes = match self.sleep {
            Sleep::Awake => false,
            Sleep::UntilAny => true,
            Sleep::UntilDeliveries(enough) => self.deliveries >= enough || self.urgent,
        };
        if wakes {
            self.sleep = Sleep::Awake;
        }
        wakes
    }

    fn next(&self, window: BatchWindow, taken: usize) -> Next {
        if self.closed || self.urgent {
            return Next::Take { last: true };
        }
        let now = Instant::now();
        let since = match self.since {
            None if taken == 0 => return Next::Sleep(Sleep::UntilAny, None),
            since => since.unwrap_or(now),
        };
        let waiting = Waiting { taken, deliveries: self.deliveries, since };
        let enough = window.enough(waiting);
        match window.patience(waiting, now) {
            None => Next::Take { last: true },
            Some(_) if self.deliveries >= enough => Next::Take { last: false },
            patience => Next::Sleep(Sleep::UntilDeliveries(enough), patience),
        }
    }
}

fn is_delivery(command: &Command) -> bool {
    matches!(command, Command::Append { .. })
}

/// Returns whether work starts with the answer to this command. The other commands are about work that has ended.
fn is_urgent(command: &Command) -> bool {
    matches!(
        command,
        Command::Claim { .. }
            | Command::Acquire { .. }
            | Command::Retry { .. }
            | Command::Remove { .. }
            | Command::Seal(_)
    )
}

/// How long outcomes wait for a delivery whose sync they can share. No response depends on them.
const OUTCOMES_WAIT: Duration = Duration::from_millis(1);

/// Waits shorter than this are not worth parking the thread for.
const SHORTEST: Duration = Duration::from_micros(50);

/// Taking fewer deliveries than this is not worth waking up for while others are on their way.
const SMALLEST_PART: usize = 16;

/// A sender that has not sent again after this time is assumed to be busy.
const LONGEST: Duration = Duration::from_millis(1);

/// The batching window derived from the last batch: how many deliveries to expect, and until when.
///
/// Senders whose deliveries were just acknowledged often send the next one immediately. A group of senders would
/// otherwise split into two halves, each waiting for the sync of the other, and each sync, however short, costs
/// interrupts and wake-ups that a larger batch shares. The wait for others is therefore limited to the duration of the
/// last batch, and a single sender does not wait at all. Commands that have arrived are prepared in the meantime.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) struct BatchWindow {
    expected: usize,
    until: Instant,
}

/// The commands waiting to be written.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) struct Waiting {
    /// The number of deliveries already taken and prepared.
    pub(in crate::archive::disk) taken: usize,
    /// The number of deliveries that have arrived since.
    pub(in crate::archive::disk) deliveries: usize,
    /// When the first of them arrived.
    pub(in crate::archive::disk) since: Instant,
}

impl BatchWindow {
    /// Returns the window before the first batch.
    pub(in crate::archive::disk) fn new() -> Self {
        Self { expected: 0, until: Instant::now() }
    }

    /// Returns the window after a batch that took `took`: `told` deliveries are answered `now` while `waiting` others
    /// are queued.
    pub(in crate::archive::disk) fn after(
        told: usize,
        waiting: usize,
        took: Duration,
        now: Instant,
    ) -> Self {
        let patience = took.min(LONGEST);
        let patience = if patience < SHORTEST { Duration::ZERO } else { patience };
        Self { expected: told + waiting, until: now + patience }
    }

    /// Returns how long to wait for more commands to join the batch; `None` if it should be written now.
    pub(in crate::archive::disk) fn patience(
        &self,
        waiting: Waiting,
        now: Instant,
    ) -> Option<Duration> {
        let until = match waiting.taken + waiting.deliveries {
            0 => waiting.since + OUTCOMES_WAIT,
            deliveries if deliveries < self.expected => self.until,
            _ => return None,
        };
        Some(until.saturating_duration_since(now)).filter(|patience| !patience.is_zero())
    }

    /// Returns how many queued deliveries end the wait early: one, if only outcomes are queued; otherwise half of the
    /// deliveries that are still expected, so that few remain to be prepared when the last arrives.
    pub(in crate::archive::disk) fn enough(&self, waiting: Waiting) -> usize {
        if waiting.taken + waiting.deliveries == 0 {
            return 1;
        }
        let rest = self.expected.saturating_sub(waiting.taken);
        if rest < 2 * SMALLEST_PART { rest } else { rest / 2 }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        archive::{Append, disk::tests::delivery},
        delivery::{DeliveryId, State},
    };

    fn command() -> Command {
        let append = Append::new(delivery("/m", b""));
        Command::Append { append, now: tokio::time::Instant::now(), reply: oneshot::channel().0 }
    }

    #[test]
    fn full_queue_accepts_outcomes_but_no_deliveries() {
        let queue = Queue::new(0);
        assert!(matches!(queue.push(command()), Err(ArchiveError::Overloaded)));
        let (id, state) = (DeliveryId::new(), State::NEW);
        queue.push(Command::Record { id, state, now: tokio::time::Instant::now() }).unwrap();
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let queue = Queue::new(2);
        queue.push(command()).unwrap();
        queue.push(command()).unwrap();
        assert!(matches!(queue.push(command()), Err(ArchiveError::Overloaded)));
        assert_eq!(queue.take(BatchWindow::new(), 0).commands.len(), 2);
        queue.push(command()).unwrap();
    }

    #[test]
    fn closed_queue_drains_and_rejects_new_commands() {
        let queue = Queue::new(2);
        queue.push(command()).unwrap();
        queue.close();
        assert!(matches!(queue.push(command()), Err(ArchiveError::Closed)));
        assert_eq!(queue.take(BatchWindow::new(), 0).commands.len(), 1);
        let rest = queue.take(BatchWindow::new(), 0);
        assert!(rest.commands.is_empty() && rest.last);
    }

    #[test]
    fn half_of_the_expected_deliveries_are_taken_and_prepared_early() {
        let queue = Queue::new(64);
        let window = BatchWindow::after(
            64,
            0,
            Duration::from_secs(1),
            Instant::now() + Duration::from_secs(60 * 60),
        );
        let take = |came: usize, taken: usize| {
            (0..came).for_each(|_| queue.push(command()).unwrap());
            let part = queue.take(window, taken);
            (part.commands.len(), part.last)
        };
        assert_eq!(take(32, 0), (32, false));
        assert_eq!(take(17, 32), (17, false));
        assert_eq!(take(15, 49), (15, true));
    }

    const SYNC: Duration = Duration::from_micros(800);

    fn patience(
        window: BatchWindow,
        deliveries: usize,
        after: Duration,
        now: Instant,
    ) -> Option<Duration> {
        window.patience(Waiting { taken: 0, deliveries, since: now }, now + after)
    }

    #[test]
    fn window_waits_for_senders_that_were_just_answered() {
        let now = Instant::now();
        let window = BatchWindow::after(32, 32, SYNC, now);
        assert_eq!(patience(window, 32, Duration::ZERO, now), Some(SYNC));
        assert_eq!(patience(window, 64, Duration::ZERO, now), None);
        assert_eq!(patience(window, 63, SYNC, now), None);
    }

    #[test]
    fn a_lone_delivery_is_written_at_once() {
        let now = Instant::now();
        assert_eq!(patience(BatchWindow::new(), 1, Duration::ZERO, now), None);
        assert_eq!(patience(BatchWindow::after(1, 0, SYNC, now), 1, Duration::ZERO, now), None);
        assert_eq!(patience(BatchWindow::after(64, 0, SYNC, now), 1, SYNC, now), None);
    }

    #[test]
    fn a_slow_disk_is_waited_for_no_longer_than_a_millisecond() {
        let now = Instant::now();
        let window = BatchWindow::after(32, 32, Duration::from_millis(20), now);
        assert_eq!(patience(window, 32, Duration::ZERO, now), Some(LONGEST));
    }

    #[test]
    fn a_very_fast_disk_is_not_waited_for() {
        let now = Instant::now();
        let window = BatchWindow::after(32, 32, Duration::from_micros(40), now);
        assert_eq!(patience(window, 32, Duration::ZERO, now), None);
    }

    #[test]
    fn outcomes_wait_a_little_for_a_delivery() {
        let now = Instant::now();
        assert_eq!(patience(BatchWindow::new(), 0, Duration::ZERO, now), Some(OUTCOMES_WAIT));
        assert_eq!(patience(BatchWindow::new(), 0, OUTCOMES_WAIT, now), None);
    }
}
