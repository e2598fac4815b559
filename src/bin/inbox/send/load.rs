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

use super::client::Client;
use crate::{output, tally::Tally};

/// How often, how many at a time, and how many a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) repeat: NonZeroU32,
    pub(super) concurrency: NonZeroU32,
    pub(super) rate: Option<NonZeroU32>,
}

impl Load {
    /// How long after the beginning a post is due.
    fn due(self, number: u32) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(f64::from(number) / f64::from(rate.get()))
        })
    }
}

/// Posts as often as wanted.
pub(super) async fn post_all(client: Client, load: Load) -> Result<Tally, tokio::task::JoinError> {
    let (client, next, start) = (Arc::new(client), Arc::new(AtomicU32::new(0)), Instant::now());
    let mut posters = JoinSet::new();
    for _ in 0..load.concurrency.min(load.repeat).get() {
        posters.spawn(post_some(Arc::clone(&client), Arc::clone(&next), start, load));
    }
    let mut tally = Tally::default();
    while let Some(some) = posters.join_next().await {
        tally.add(some?);
    }
    Ok(tally)
}

async fn post_some(client: Arc<Client>, next: Arc<AtomicU32>, start: Instant, load: Load) -> Tally {
    let mut tally = Tally::default();
    let more = |number: u32| (number < load.repeat.get()).then_some(number + 1);
    while let Ok(number) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        sleep_until(start + load.due(number)).await;
        let answer = client.post().await;
        tally
            .count(answer.map(|(status, _)| status).map_err(|error| output::with_sources(&*error)));
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_due_evenly() {
        let one = NonZeroU32::MIN;
        let load = Load { repeat: one, concurrency: one, rate: NonZeroU32::new(4) };
        assert_eq!([0, 1, 6].map(|number| load.due(number).as_millis()), [0, 250, 1500]);
        assert_eq!(Load { rate: None, ..load }.due(9), Duration::ZERO);
    }
}
