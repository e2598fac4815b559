use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::{Processor, Rejection, RequestContext, in_flight::InFlight};
use crate::{
    archive::ArchiveError,
    delivery::{DeliveryId, InferenceId, Outcome, State},
};

/// What a request does about the delivery that it appended.
#[derive(Debug)]
pub(crate) enum Resolution {
    /// Processes it.
    Process(InFlight),
    /// Responds like the delivery that was processed first.
    Repeat { of: DeliveryId, status: u16 },
    /// Responds with a rejection.
    Reject(Rejection),
}

impl Processor {
    /// Decides what an inline request does with a repeat that it could not lease at once. Waits while the delivery is
    /// being processed elsewhere.
    ///
    /// # Cancel safety
    ///
    /// A lease that was just acquired is lost when the future is dropped. Run it to its end.
    pub(crate) async fn resolve(&self, id: DeliveryId, context: &RequestContext) -> Resolution {
        let Some(waiter) = self.waiters().enter(WaitKey::Delivery(id)) else {
            return Resolution::Reject(Rejection::TooManyWaiting);
        };
        loop {
            let seen = waiter.notifications();
            match self.try_resolve(id, context).await {
                Ok(Some(resolution)) => return resolution,
                Ok(None) => waiter.more_than(seen).await,
                Err(error) => return Resolution::Reject(Rejection::State(error.into())),
            }
        }
    }

    /// None while the delivery is being processed elsewhere.
    async fn try_resolve(
        &self,
        id: DeliveryId,
        context: &RequestContext,
    ) -> Result<Option<Resolution>, ArchiveError> {
        let acquired = self.archive().acquire(self.acquire(id).reviving()).await?;
        if let Some(lease) = acquired.lease {
            return Ok(Some(Resolution::Process(self.in_flight(lease, context))));
        }
        Ok(match acquired.state {
            State::Outcome(Outcome::Processed { status, .. }) => {
                Some(Resolution::Repeat { of: id, status })
            }
            State::Outcome(Outcome::Repeat { of }) => {
                let state = self.archive().state(of).await?;
                let status = match state {
                    Some(State::Outcome(Outcome::Processed { status, .. })) => status,
                    _ => 200,
                };
                Some(Resolution::Repeat { of, status })
            }
            State::Outcome(Outcome::Dead { poisoned: true, .. }) => {
                Some(Resolution::Reject(Rejection::Poisoned))
            }
            State::Leased { .. } => None,
            // It was removed meanwhile. The sender has to post it again.
            State::Pending { .. } | State::Outcome(_) => {
                Some(Resolution::Reject(Rejection::State(ArchiveError::Unknown { id }.into())))
            }
        })
    }
}

/// The maximum number of requests that wait for one delivery or inference. Each uses memory.
const MAX_WAITING: usize = 64;

/// How long a request waits before it reads the state from the archive again: another process may have processed it.
const POLL: Duration = Duration::from_millis(500);

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum WaitKey {
    Delivery(DeliveryId),
    Inference(InferenceId),
}

/// The requests that wait until a delivery or an inference was processed elsewhere.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<HashMap<WaitKey, Arc<Signal>>>,
    /// The number of keys, read without the lock. It is usually zero.
    keys: AtomicUsize,
}

/// Notifies the requests that wait for the same key.
#[derive(Debug, Default)]
struct Signal {
    notifications: AtomicUsize,
    notify: Notify,
}

/// A waiting request. Dropping it frees its place.
#[derive(Debug)]
pub(super) struct Waiter<'w> {
    waiters: &'w Waiters,
    key: WaitKey,
    signal: Arc<Signal>,
}

impl Waiters {
    /// Registers a request that waits for `key`; None if too many wait. Call it before reading the state from the
    /// archive, so that no notification is missed.
    pub(super) fn enter(&self, key: WaitKey) -> Option<Waiter<'_>> {
        let mut waiting = self.lock();
        let signal = waiting.entry(key).or_default();
        // The map holds one reference.
        if Arc::strong_count(signal) > MAX_WAITING {
            return None;
        }
        let signal = Arc::clone(signal);
        self.keys.store(waiting.len(), Ordering::SeqCst);
        Some(Waiter { waiters: self, key, signal })
    }

    /// Wakes the requests that wait for `key`.
    pub(super) fn notify(&self, key: WaitKey) {
        if self.keys.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(signal) = self.lock().get(&key) {
            signal.notifications.fetch_add(1, Ordering::SeqCst);
            signal.notify.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WaitKey, Arc<Signal>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// The number of notifications so far. Call it before reading the state from the archive.
    pub(super) fn notifications(&self) -> usize {
        self.signal.notifications.load(Ordering::SeqCst)
    }

    /// Waits until there are more than `seen` notifications, for at most 500 ms.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub(super) async fn more_than(&self, seen: usize) {
        let mut notified = std::pin::pin!(self.signal.notify.notified());
        notified.as_mut().enable();
        if self.notifications() == seen {
            drop(timeout(POLL, notified).await);
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        // One reference is in the map, the other is this one.
        if Arc::strong_count(&self.signal) == 2 {
            waiting.remove(&self.key);
        }
        self.waiters.keys.store(waiting.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiter_goes_on_after_a_notification_and_after_a_while() {
        let (waiters, key) = (Waiters::default(), WaitKey::Delivery(DeliveryId::new()));
        let waiter = waiters.enter(key).unwrap();
        let start = tokio::time::Instant::now();
        let seen = waiter.notifications();
        waiters.notify(key);
        waiter.more_than(seen).await;
        let seen = waiter.notifications();
        let notifying = async { waiters.notify(key) };
        tokio::join!(waiter.more_than(seen), notifying);
        assert_eq!(start.elapsed(), Duration::ZERO, "it was notified");
        waiter.more_than(waiter.notifications()).await;
        assert_eq!(start.elapsed(), POLL);
        drop(waiter);
        assert!(waiters.lock().is_empty());
    }

    #[test]
    fn number_of_waiters_is_limited() {
        let (waiters, key) = (Waiters::default(), WaitKey::Delivery(DeliveryId::new()));
        let all: Vec<_> = (0..MAX_WAITING).map(|_| waiters.enter(key).unwrap()).collect();
        assert!(waiters.enter(key).is_none());
        assert!(waiters.enter(WaitKey::Delivery(DeliveryId::new())).is_some());
        drop(all);
        assert!(waiters.enter(key).is_some());
        assert!(waiters.lock().is_empty());
    }
}
