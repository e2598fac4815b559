use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use crate::{
    archive::{ArchiveHealth, Counts, StorageUsage, Work},
    delivery::{ModelName, StateKind},
    metrics,
    process::Processor,
};

/// How often the gauges are updated.
const INTERVAL: Duration = Duration::from_secs(10);

/// For how long an answer of the archive is awaited before its gauges are set to unknown.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Updates the gauges of the backlog and of the archive until it is dropped, and then sets them to unknown. Ends at
/// once without feature `metrics`.
pub(super) async fn measure(processor: &Processor) {
    if !metrics::ENABLED {
        return;
    }
    let mut gauges = Gauges::default();
    loop {
        gauges.update(processor).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The questions to the archive that it has not answered yet, and the models that have gauges.
#[derive(Default)]
struct Gauges {
    models: BTreeSet<ModelName>,
    counts: Option<Work<Counts>>,
    usage: Option<Work<Option<StorageUsage>>>,
    health: Option<Work<ArchiveHealth>>,
}

impl Gauges {
    async fn update(&mut self, processor: &Processor) {
        let archive = processor.archive();
        let counts = answer(&mut self.counts, || archive.counts()).await;
        self.set_counts(counts.as_ref(), processor);
        let usage = answer(&mut self.usage, || archive.usage()).await;
        metrics::storage_usage(usage.flatten());
        let health = answer(&mut self.health, || archive.health()).await;
        metrics::archive_health(health.unwrap_or_default());
    }

    fn set_counts(&mut self, counts: Option<&Counts>, processor: &Processor) {
        self.models.extend(counts.into_iter().flat_map(Counts::models).cloned());
        for model in &self.models {
            metrics::unsettled(model, counts.map(|counts| counts.unsettled(model)));
            let of = |kind| counts.map(|counts| counts.of(model, kind));
            metrics::dead(model, of(StateKind::Dead));
            metrics::undecodable_deliveries(model, of(StateKind::Undecodable));
        }
        let age = |oldest: SystemTime| processor.config().clock.age(oldest);
        let oldest = |counts: &Counts| counts.oldest_unsettled().map_or(Duration::ZERO, age);
        metrics::oldest_unsettled(counts.map(oldest));
    }
}

/// Sets the gauges to unknown: otherwise they would keep their last values.
impl Drop for Gauges {
    fn drop(&mut self) {
        for model in &self.models {
            metrics::unsettled(model, None);
            metrics::dead(model, None);
            metrics::undecodable_deliveries(model, None);
        }
        metrics::oldest_unsettled(None);
        metrics::storage_usage(None);
        metrics::archive_health(ArchiveHealth::default());
    }
}

/// The answer to a question; None if it fails, or takes too long. One that took too long is awaited again the next time
/// and not asked twice: it may block a thread.
async fn answer<T>(pending: &mut Option<Work<T>>, ask: impl FnOnce() -> Work<T>) -> Option<T> {
    let work = pending.get_or_insert_with(ask);
    let Ok(answer) = tokio::time::timeout(TIMEOUT, work).await else {
        tracing::warn!(timeout = ?TIMEOUT, "the archive did not answer in time; its gauges are unknown");
        return None;
    };
    *pending = None;
    answer
        .inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "the archive could not be measured; its gauges are unknown");
        })
        .ok()
}
