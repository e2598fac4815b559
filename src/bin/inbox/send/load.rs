//! Posts many requests, concurrently and within a rate.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::Sender;
use crate::{client::ResponseCounts, console};

/// The number of requests, the maximum number of concurrent ones, and the maximum rate per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) repeat: NonZeroU32,
    pub(super) concurrency: NonZeroU32,
    pub(super) rate: Option<NonZeroU32>,
}

impl Load {
    /// The time from the start until the request with this number is due.
    fn due(self, number: u32) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(f64::from(number) / f64::from(rate.get()))
        })
    }
}

/// Posts `load.repeat` requests.
pub(super) async fn post_all(
    sender: Sender,
    load: Load,
) -> Result<ResponseCounts, tokio::task::JoinError> {
    let (sender, next, start) = (Arc::new(sender), Arc::new(AtomicU32::new(0)), Instant::now());
    let mut posters = JoinSet::new();
    for _ in 0..load.concurrency.min(load.repeat).get() {
        posters.spawn(post_some(Arc::clone(&sender), Arc::clone(&next), start, load));
    }
    let mut counts = ResponseCounts::default();
    while let Some(counted) = posters.join_next().await {
        counts.add(counted?);
    }
    Ok(counts)
}

async fn post_some(
    sender: Arc<Sender>,
    next: Arc<AtomicU32>,
    start: Instant,
    load: Load,
) -> ResponseCounts {
    let mut counts = ResponseCounts::default();
    let more = |number: u32| (number < load.repeat.get()).then_some(number + 1);
    while let Ok(number) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        sleep_until(start + load.due(number)).await;
        let response = sender.post(number).await.map(|response| response.status());
        counts.count(response.map_err(|error| console::with_sources(&*error)));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_due_at_even_intervals() {
        let one = NonZeroU32::MIN;
        let load = Load { repeat: one, concurrency: one, rate: NonZeroU32::new(4) };
        assert_eq!([0, 1, 6].map(|number| load.due(number).as_millis()), [0, 250, 1500]);
        assert_eq!(Load { rate: None, ..load }.due(9), Duration::ZERO);
    }
}
