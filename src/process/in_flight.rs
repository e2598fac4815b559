use std::{
    fmt,
    future::ready,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use tokio::runtime::Handle;
use tracing::Instrument;

use super::{
    Processor,
    handler_result::{Finished, HandlerResult, next_state},
    logs_details,
    repeat::WaitKey,
};
use crate::{
    archive::{ArchiveError, Lease, Release, Work},
    delivery::{InferenceDigest, ModelName, Outcome},
    log_limit::LogLimit,
    metrics,
};

/// The wait before the next attempt of a delivery whose outcome could not be recorded.
const NOT_RECORDED: Duration = Duration::from_secs(10);

/// Limits the log lines of outcomes that could not be recorded: an archive that fails would write one for each delivery
/// and try.
static NOT_RECORDED_LOG: LogLimit = LogLimit::new(10, Duration::from_secs(10));

/// The wait before the next attempt of a delivery whose processing was dropped.
const DROPPED: Duration = Duration::from_secs(1);

/// A delivery that is processed under a lease. Settle or release it; if it is dropped, as when the runtime shuts down,
/// the lease is released, and the attempt does not count.
pub(crate) struct InFlight {
    /// None once settled or released.
    open: Option<Open>,
}

struct Open {
    processor: Processor,
    lease: Lease,
    model: ModelName,
    received_at: SystemTime,
    inference: Option<InferenceDigest>,
}

impl InFlight {
    pub(super) fn new(
        processor: Processor,
        lease: Lease,
        model: ModelName,
        received_at: SystemTime,
    ) -> Self {
        processor.add_lease(lease);
        let open = Open { processor, lease, model, received_at, inference: None };
        Self { open: Some(open) }
    }

    /// A delivery that was just claimed. Its time of receipt is not known yet.
    pub(crate) fn claimed(processor: Processor, lease: Lease, model: ModelName) -> Self {
        Self::new(processor, lease, model, SystemTime::now())
    }

    pub(crate) fn received_at(mut self, received_at: SystemTime) -> Self {
        if let Some(open) = &mut self.open {
            open.received_at = received_at;
        }
        self
    }

    pub(crate) fn lease(&self) -> Option<Lease> {
        self.open.as_ref().map(|open| open.lease)
    }

    pub(super) fn set_inference(&mut self, inference: InferenceDigest) {
        if let Some(open) = &mut self.open {
            open.inference = Some(inference);
        }
    }

    /// Records what the handler's result means for the delivery.
    pub(super) fn finish(mut self, result: HandlerResult) {
        if let Some(open) = self.open.take() {
            let clock = &open.processor.config().clock;
            let finished = Finished {
                attempt: open.lease.attempt(),
                age: clock.age(open.received_at),
                now: clock.now(),
                inference: open.inference,
            };
            let retries = &open.processor.config().retries;
            let (outcome, wait) = next_state(result, finished, retries, fastrand::f64());
            open.settle(outcome, wait);
        }
    }

    /// Records an outcome that the delivery has without its handler.
    pub(super) fn settle(mut self, outcome: Outcome) {
        if let Some(open) = self.open.take() {
            open.settle(outcome, Duration::ZERO);
        }
    }

    pub(crate) fn release(mut self, release: Release) {
        if let Some(open) = self.open.take() {
            open.release(release);
        }
    }

    /// Another process holds the delivery now, so nothing is recorded.
    pub(super) fn abandon(mut self) {
        if let Some(open) = self.open.take() {
            metrics::lease_lost();
            open.end();
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.release(Release::After(DROPPED));
        }
    }
}

impl Open {
    /// Records the outcome without letting the response wait for it.
    fn settle(self, outcome: Outcome, retry_in: Duration) {
        if logs_details() {
            tracing::Span::current().record("outcome", outcome.kind().as_str());
        }
        log(&outcome, retry_in);
        metrics::settled(&self.model, outcome.kind(), self.lease.attempt());
        let settling = self.processor.archive().settle(self.lease, outcome.clone(), retry_in);
        let Some((open, settling)) = self.complete_now(settling) else { return };
        open.spawn(async move |open: Self| {
            let recorded = open.record(settling.await, outcome, retry_in).await;
            open.recorded(recorded).await;
        });
    }

    fn release(self, release: Release) {
        let releasing = self.processor.archive().release(self.lease, release);
        let Some((open, releasing)) = self.complete_now(releasing) else { return };
        open.spawn(async move |open: Self| {
            match releasing.await {
                Ok(()) | Err(ArchiveError::LeaseLost { .. } | ArchiveError::Unknown { .. }) => {}
                Err(error) => log_not_released(&error),
            }
            open.end();
        });
    }

    /// Ends here if the archive has done the work at once, as one in memory does; otherwise returns it.
    fn complete_now(self, mut work: Work<()>) -> Option<(Self, Work<()>)> {
        let mut context = Context::from_waker(Waker::noop());
        match work.as_mut().poll(&mut context) {
            Poll::Ready(Ok(())) => {
                self.end();
                None
            }
            Poll::Ready(Err(error)) => Some((self, Box::pin(ready(Err(error))))),
            Poll::Pending => Some((self, work)),
        }
    }

    /// Runs `work` in a task. Without a runtime, the archive completes the operation that it has started.
    fn spawn<F>(self, work: impl FnOnce(Self) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let processor = self.processor.clone();
        if Handle::try_current().is_ok() {
            drop(processor.spawn(work(self).in_current_span()));
        }
    }

    /// Records an outcome again for a while if the archive fails, and during a shutdown until its end.
    async fn record(
        &self,
        first: Result<(), ArchiveError>,
        outcome: Outcome,
        retry_in: Duration,
    ) -> Result<(), ArchiveError> {
        let mut recorded = first;
        let mut failures = 0;
        while is_worth_another_try(&recorded) {
            failures += 1;
            if !self.processor.shutdown().wait_to_record_again(failures).await {
                break;
            }
            let archive = self.processor.archive();
            recorded = archive.settle(self.lease, outcome.clone(), retry_in).await;
        }
        recorded
    }

    async fn recorded(self, recorded: Result<(), ArchiveError>) {
        match recorded {
            Ok(()) => {}
            Err(ArchiveError::LeaseLost { .. }) => {
                metrics::lease_lost();
                tracing::warn!(
                    "lease lost; the outcome is not recorded, and the delivery may run again"
                );
            }
            Err(error) => {
                log_not_recorded(&error);
                let release = Release::After(NOT_RECORDED);
                drop(self.processor.archive().release(self.lease, release).await);
            }
        }
        self.end();
    }

    fn end(self) {
        let Self { processor, lease, inference, .. } = self;
        processor.remove_lease(lease);
        processor.waiters().notify(WaitKey::Delivery(lease.id()));
        if let Some(inference) = inference {
            processor.waiters().notify(WaitKey::Inference(inference.id()));
        }
        processor.wake_workers();
    }
}

fn is_worth_another_try(recorded: &Result<(), ArchiveError>) -> bool {
    match recorded {
        Ok(()) | Err(ArchiveError::LeaseLost { .. } | ArchiveError::Unknown { .. }) => false,
        Err(error) => {
            if let Some(suppressed) = NOT_RECORDED_LOG.admit() {
                let error = error as &dyn std::error::Error;
                let suppressed = Some(suppressed).filter(|lines| *lines > 0);
                tracing::warn!(error, suppressed, "outcome could not be recorded");
            }
            true
        }
    }
}

fn log_not_recorded(error: &ArchiveError) {
    let error = error as &dyn std::error::Error;
    tracing::error!(error, "outcome could not be recorded; the delivery may run again");
}

fn log_not_released(error: &ArchiveError) {
    tracing::error!(error = error as &dyn std::error::Error, "lease could not be released");
}

/// Logs the outcome. Outcomes that require a person are errors.
fn log(outcome: &Outcome, retry_in: Duration) {
    match outcome {
        Outcome::Processed { status, .. } => tracing::info!(status, "processed"),
        Outcome::Failed { attempts, reason, .. } => {
            tracing::warn!(attempts, reason, ?retry_in, "failed and will be retried");
        }
        Outcome::Dead { reason, .. } => tracing::error!(reason, "dead; it will not be retried"),
        Outcome::Undecodable { reason } => tracing::error!(reason, "undecodable"),
        outcome @ Outcome::Repeat { .. } => tracing::info!(%outcome, "settled"),
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.open.as_ref().map(|open| open.lease.id());
        f.debug_struct("InFlight").field("id", &id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_limit::collect_log;

    #[test]
    fn log_lines_of_outcomes_that_could_not_be_recorded_are_limited() {
        let failed = Err(ArchiveError::Overloaded);
        let log = collect_log(|| assert!((0..1000).all(|_| is_worth_another_try(&failed))));
        // More only if this takes longer than ten seconds.
        assert!(log.matches("outcome could not be recorded").count() < 100, "{log}");
    }
}
