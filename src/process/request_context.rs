use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tracing::{Span, field::Empty};

use crate::{
    delivery::{Captures, Delivery, DeliveryId, ModelName},
    metrics,
    provider::Model,
};

/// A delivery on its way: its id, its model, and the tracing span of this run.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(crate) id: DeliveryId,
    pub(crate) name: ModelName,
    pub(crate) model: Arc<Model>,
    pub(crate) captures: Captures,
    pub(crate) received_at: SystemTime,
    pub(crate) span: Span,
}

impl RequestContext {
    /// The context of a request that was just routed to a model.
    pub(crate) fn new(
        received_at: SystemTime,
        name: ModelName,
        model: Arc<Model>,
        captures: Captures,
    ) -> Self {
        metrics::received(&name, model.provider_name());
        Self::of(DeliveryId::new(), received_at, name, model, captures)
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
        Self { id, name, model, captures, received_at, span }
    }

    /// Records in the span how long a step took that started at `start`.
    pub(crate) fn record_duration(&self, step: &'static str, start: Instant) {
        self.span.record(step, micros(start.elapsed()));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
