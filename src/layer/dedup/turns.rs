use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use crate::{
    delivery::DeliveryId,
    layer::{
        attempt::Cause,
        background::{Job, Schedule},
        refusal::Refusal,
    },
};

/// How many may wait for one thing, the one whose turn it is included. Who waits costs memory, and repeats of one
/// delivery are all the same.
const MOST_WAITING: usize = 64;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// What only one may handle at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Thing {
    Delivery(DeliveryId),
    /// By [`InferenceDigest::key`](crate::delivery::InferenceDigest::key), of all its versions.
    Inference([u8; 12]),
}

/// Who may handle which delivery and which inference: one at a time, the others wait for their turn. Who takes both
/// takes the delivery first.
///
/// Holds as many entries as there are turns taken or waited for.
#[derive(Clone)]
pub(in crate::layer) struct Turns {
    entries: Arc<Mutex<HashMap<Thing, Entry>>>,
    schedule: Schedule,
}

#[derive(Default)]
struct Entry {
    lock: Lock,
    /// What workers do when nobody is at the thing any more.
    parked: Vec<Job>,
}

/// The right to handle something, until dropped.
pub(crate) struct Turn {
    guard: Option<OwnedMutexGuard<()>>,
    thing: Thing,
    turns: Turns,
}

impl Turns {
    /// Has what waits for a turn without holding a worker handled by `schedule`.
    pub(in crate::layer) fn new(schedule: Schedule) -> Self {
        Self { entries: Arc::default(), schedule }
    }

    /// Waits until nobody else handles `thing`; nothing if too many wait already.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost when the future is dropped.
    async fn take(&self, thing: Thing) -> Option<Turn> {
        // Made before the wait, so that giving up leaves no entry behind.
        let mut turn = Turn { guard: None, thing, turns: self.clone() };
        let lock = {
            let mut entries = self.entries();
            let lock = &entries.entry(thing).or_default().lock;
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
        let mut entries = self.entries();
        if entries.contains_key(&thing) {
            return None;
        }
        let lock = Arc::clone(&entries.entry(thing).or_default().lock);
        let guard = lock.try_lock_owned().ok();
        drop(entries);
        Some(Turn { guard, thing, turns: self.clone() })
    }

    /// Has a worker take up `job` when nobody is at `thing` any more.
    pub(in crate::layer) fn park(&self, thing: Thing, job: Job) {
        let mut entries = self.entries();
        self.schedule.park(job.clone());
        match entries.get_mut(&thing) {
            Some(entry) => entry.parked.push(job),
            None => self.schedule.wake(job),
        }
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

    fn entries(&self) -> MutexGuard<'_, HashMap<Thing, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    pub(in crate::layer) fn is_for(&self, thing: Thing) -> bool {
        self.thing == thing
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut entries = self.turns.entries();
        // Nobody waits: whoever does holds a clone, and clones are made under this lock.
        if entries.get(&self.thing).is_some_and(|entry| Arc::strong_count(&entry.lock) == 1) {
            let entry = entries.remove(&self.thing);
            drop(entries);
            entry.into_iter().flat_map(|entry| entry.parked).for_each(|job| {
                self.turns.schedule.wake(job);
            });
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
    use crate::layer::background::{Limits, MOST_WAITING as ROOM};

    fn turns() -> Turns {
        let schedule = Schedule::new(Limits { all: 1, each_model: None, waiting: ROOM });
        Turns::new(schedule)
    }

    fn take(turns: &Turns, id: DeliveryId) -> task::Spawn<BoxFuture<'static, Turn>> {
        let turns = turns.clone();
        task::spawn(Box::pin(async move { turns.take(Thing::Delivery(id)).await.unwrap() }))
    }

    #[test]
    fn one_runs_the_others_wait_and_nothing_is_kept() {
        let turns = turns();
        let (a, b) = (DeliveryId::new(), DeliveryId::new());
        let first = assert_ready!(take(&turns, a).poll());
        let other = assert_ready!(take(&turns, b).poll());
        let mut second = take(&turns, a);
        assert_pending!(second.poll());
        drop(first);
        let second = assert_ready!(second.poll());
        assert_pending!(take(&turns, a).poll());
        drop((second, other));
        assert!(turns.entries().is_empty());
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let (turns, id) = (turns(), DeliveryId::new());
        let first = assert_ready!(take(&turns, id).poll());
        let mut second = take(&turns, id);
        assert_pending!(second.poll());
        drop(first);
        drop(second);
        assert!(turns.entries().is_empty());
    }

    #[test]
    fn who_does_not_want_to_wait_gets_a_turn_that_is_free_and_no_other() {
        let (turns, thing) = (turns(), Thing::Delivery(DeliveryId::new()));
        let first = turns.take_now(thing).unwrap();
        assert!(turns.take_now(thing).is_none());
        drop(first);
        let again = turns.take_now(thing);
        assert!(again.is_some());
        drop(again);
        assert!(turns.entries().is_empty());
    }

    #[test]
    fn only_so_many_may_wait() {
        let (turns, id) = (turns(), DeliveryId::new());
        let first = assert_ready!(take(&turns, id).poll());
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| take(&turns, id)).collect();
        for one in &mut waiting {
            assert_pending!(one.poll());
        }
        assert!(assert_ready!(task::spawn(turns.take(Thing::Delivery(id))).poll()).is_none());
        drop((first, waiting));
        assert!(turns.entries().is_empty());
    }
}
