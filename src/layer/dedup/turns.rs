use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use crate::{
    delivery::DeliveryId,
    layer::{attempt::Cause, refusal::Refusal},
};

/// How many may wait for one thing, the one whose turn it is included. Who waits costs memory, and repeats of one
/// delivery are all the same.
const MOST_WAITING: usize = 64;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// What only one may handle at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::layer) enum Thing {
    Delivery(DeliveryId),
    /// By [`InferenceDigest::key`](crate::delivery::InferenceDigest::key), of all its versions.
    Inference([u8; 12]),
}

/// Who may handle which delivery and which inference: one at a time, the others wait for their turn. Who takes both
/// takes the delivery first.
///
/// Holds as many entries as there are turns taken or waited for.
#[derive(Clone, Default)]
pub(in crate::layer) struct Turns(Arc<Mutex<HashMap<Thing, Lock>>>);

/// The right to handle something, until dropped.
pub(in crate::layer) struct Turn {
    guard: Option<OwnedMutexGuard<()>>,
    thing: Thing,
    turns: Turns,
}

impl Turns {
    /// Waits until nobody else handles `thing`; nothing if too many wait already.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost when the future is dropped.
    async fn take(&self, thing: Thing) -> Option<Turn> {
        // Made before the wait, so that giving up leaves no entry behind.
        let mut turn = Turn { guard: None, thing, turns: self.clone() };
        let lock = {
            let mut locks = self.locks();
            let lock = locks.entry(thing).or_default();
            if Arc::strong_count(lock) > MOST_WAITING {
                return None;
            }
            Arc::clone(lock)
        };
        turn.guard = Some(lock.lock_owned().await);
        Some(turn)
    }

    /// The turn, if nobody else handles `thing` or waits for it.
    pub(in crate::layer) fn take_now(&self, thing: Thing) -> Option<Turn> {
        let mut locks = self.locks();
        if locks.contains_key(&thing) {
            return None;
        }
        let lock = Arc::clone(locks.entry(thing).or_default());
        let guard = lock.try_lock_owned().ok();
        drop(locks);
        Some(Turn { guard, thing, turns: self.clone() })
    }

    /// A sender waits for its turn. A worker does something else meanwhile: whoever is at it may never come to an end.
    pub(in crate::layer) async fn take_for(
        &self,
        cause: Cause,
        thing: Thing,
    ) -> Result<Turn, Refusal> {
        match cause {
            Cause::Taken => self.take_now(thing).ok_or(Refusal::InHand),
            Cause::Posted | Cause::Replayed => self.take(thing).await.ok_or(Refusal::Crowded),
        }
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<Thing, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut locks = self.turns.locks();
        // Nobody waits: whoever does holds a clone, and clones are made under this lock.
        if locks.get(&self.thing).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.thing);
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({:?})", self.thing)
    }
}

#[cfg(test)]
mod tests {
    use futures_core::future::BoxFuture;
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    fn take(turns: &Turns, id: DeliveryId) -> task::Spawn<BoxFuture<'static, Turn>> {
        let turns = turns.clone();
        task::spawn(Box::pin(async move { turns.take(Thing::Delivery(id)).await.unwrap() }))
    }

    #[test]
    fn one_runs_the_others_wait_and_nothing_is_kept() {
        let turns = Turns::default();
        let (a, b) = (DeliveryId::new(), DeliveryId::new());
        let first = assert_ready!(take(&turns, a).poll());
        let other = assert_ready!(take(&turns, b).poll());
        let mut second = take(&turns, a);
        assert_pending!(second.poll());
        drop(first);
        let second = assert_ready!(second.poll());
        assert_pending!(take(&turns, a).poll());
        drop((second, other));
        assert!(turns.locks().is_empty());
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let (turns, id) = (Turns::default(), DeliveryId::new());
        let first = assert_ready!(take(&turns, id).poll());
        let mut second = take(&turns, id);
        assert_pending!(second.poll());
        drop(first);
        drop(second);
        assert!(turns.locks().is_empty());
    }

    #[test]
    fn who_does_not_want_to_wait_gets_a_turn_that_is_free_and_no_other() {
        let (turns, thing) = (Turns::default(), Thing::Delivery(DeliveryId::new()));
        let first = turns.take_now(thing).unwrap();
        assert!(turns.take_now(thing).is_none());
        drop(first);
        let again = turns.take_now(thing);
        assert!(again.is_some());
        drop(again);
        assert!(turns.locks().is_empty());
    }

    #[test]
    fn only_so_many_may_wait() {
        let (turns, id) = (Turns::default(), DeliveryId::new());
        let first = assert_ready!(take(&turns, id).poll());
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| take(&turns, id)).collect();
        for one in &mut waiting {
            assert_pending!(one.poll());
        }
        assert!(assert_ready!(task::spawn(turns.take(Thing::Delivery(id))).poll()).is_none());
        drop((first, waiting));
        assert!(turns.locks().is_empty());
    }
}
