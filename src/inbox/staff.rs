use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::hand::Hand;

/// The tasks of an inbox's workers, and what they hand deliveries over to. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Staff(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tasks: TaskTracker,
    /// Everybody drops what they are at.
    away: CancellationToken,
    hand: Mutex<Option<Box<dyn Hand>>>,
}

impl Staff {
    pub(super) fn employ(&self, work: impl Future<Output = ()> + Send + 'static) {
        let away = self.0.away.clone();
        self.0.tasks.spawn(async move { away.run_until_cancelled(work).await.unwrap_or_default() });
    }

    pub(super) fn know(&self, hand: Box<dyn Hand>) {
        *self.0.hand.lock().unwrap_or_else(PoisonError::into_inner) = Some(hand);
    }

    /// What workers hand deliveries over to; nothing while there are none.
    pub(super) fn hand(&self) -> Option<Box<dyn Hand>> {
        let hand = self.0.hand.lock().unwrap_or_else(PoisonError::into_inner);
        hand.as_ref().map(|hand| hand.another())
    }

    /// Waits until all have come to the end of what they are at.
    pub(super) async fn dismiss(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    pub(super) async fn send_away(&self) {
        self.0.away.cancel();
        self.dismiss().await;
    }
}

impl fmt::Debug for Staff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staff").field("tasks", &self.0.tasks.len()).finish_non_exhaustive()
    }
}
