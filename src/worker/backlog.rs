use std::time::{Duration, SystemTime};

use crate::{archive::ArchiveError, delivery::StateKind, metrics, process::Processor};

/// How often the gauges of the backlog are updated.
const INTERVAL: Duration = Duration::from_secs(10);

/// Updates the gauges of unsettled, dead and undecodable deliveries and of the storage, for ever. Ends at once without feature
/// `metrics`.
pub(super) async fn measure(processor: &Processor) {
    if !metrics::ENABLED {
        return;
    }
    loop {
        if let Err(error) = measure_once(processor).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the backlog of the archive could not be measured");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn measure_once(processor: &Processor) -> Result<(), ArchiveError> {
    let counts = processor.archive().counts().await?;
    for model in counts.models() {
        metrics::unsettled(model, counts.unsettled(model));
        metrics::dead(model, counts.of(model, StateKind::Dead));
        metrics::undecodable_deliveries(model, counts.of(model, StateKind::Undecodable));
    }
    let age = |oldest| SystemTime::now().duration_since(oldest).unwrap_or_default();
    metrics::oldest_unsettled(counts.oldest_unsettled().map_or(Duration::ZERO, age));
    if let Some(usage) = processor.archive().usage().await? {
        metrics::storage_usage(usage);
    }
    Ok(())
}
