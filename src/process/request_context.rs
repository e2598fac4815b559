use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::Response;
use tracing::{Level, Span, field::Empty};

use super::{RejectedRequest, Rejection, ResponseBody};
use crate::{
    delivery::{Captures, Delivery, DeliveryId, ModelName},
    metrics,
    provider::Model,
    signature::doctor::HeadFinding,
};

/// The clock of an inbox. Default: the system clock.
///
/// The time of receipt, the timestamps of signatures, the age of a delivery and the due time of a retry are all taken
/// from this clock. Waiting itself, timeouts and leases use the timer of tokio; ids and the retention of an archive use
/// the system clock.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_inbox::layer::Clock;
///
/// let recorded = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330);
/// let clock = Clock::new(move || recorded);
/// assert_eq!(clock.now(), recorded);
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Creates a clock that returns what `now` returns.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// The time since `time`; zero if that is in the future.
    pub(crate) fn age(&self, time: SystemTime) -> Duration {
        self.now().duration_since(time).unwrap_or_default()
    }
}

/// The system clock.
impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The context of one delivery during a request or a run: its id, its model, and its tracing span.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(crate) id: DeliveryId,
    pub(crate) name: ModelName,
    pub(crate) model: Arc<Model>,
    pub(crate) captures: Captures,
    pub(crate) received_at: SystemTime,
    /// The address of the client, if it is known.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) span: Span,
}

impl RequestContext {
    /// The context of a request that was just routed to a model.
    pub(crate) fn new(
        received_at: SystemTime,
        name: ModelName,
        model: Arc<Model>,
        captures: Captures,
        peer: Option<IpAddr>,
    ) -> Self {
        metrics::received(&name, model.provider_name());
        Self { peer, ..Self::of(DeliveryId::new(), received_at, name, model, captures) }
    }

    /// The context of an archived delivery that is processed again, without the request that brought it.
    pub(crate) fn archived(delivery: &Delivery, model: Arc<Model>, captures: Captures) -> Self {
        let name = delivery.model().clone();
        Self::of(delivery.id(), delivery.received_at(), name, model, captures)
    }

    fn of(
        id: DeliveryId,
        received_at: SystemTime,
        name: ModelName,
        model: Arc<Model>,
        captures: Captures,
    ) -> Self {
        let span = tracing::info_span!(
            "delivery",
            %id,
            model = %name,
            provider = model.provider_name(),
            bytes = Empty,
            digest = Empty,
            repeat_of = Empty,
            inference = Empty,
            attempt = Empty,
            outcome = Empty,
            buffer_us = Empty,
            verify_us = Empty,
            archive_us = Empty,
            decode_us = Empty,
            run_us = Empty,
        );
        Self { id, name, model, captures, received_at, peer: None, span }
    }

    /// Rejects the request, which is logged at a limited rate for each model and reason.
    pub(crate) fn reject(&self, rejection: Rejection) -> Response<ResponseBody> {
        self.reject_with(rejection, None)
    }

    /// The same, with the finding of the doctor in the head. Only the log contains it.
    pub(crate) fn reject_with(
        &self,
        rejection: Rejection,
        finding: Option<&HeadFinding>,
    ) -> Response<ResponseBody> {
        rejection.reject_request(&RejectedRequest {
            model: Some(&self.name),
            peer: self.peer,
            finding,
            limits: Some(self.model.rejection_log()),
        })
    }

    /// Records in the span how long a step took that started at `start`, if the log is that detailed.
    pub(crate) fn record_duration(&self, step: &'static str, start: Instant) {
        if logs_details() {
            self.span.record(step, micros(start.elapsed()));
        }
    }
}

/// Returns true if the log has the level `DEBUG`. Then spans have every field; otherwise fewer, so that a delivery
/// takes little space in the log.
pub(crate) fn logs_details() -> bool {
    tracing::enabled!(Level::DEBUG)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
