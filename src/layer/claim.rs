use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tracing::{Span, field::Empty};

use super::{metrics, route::Captures};
use crate::{
    delivery::{Delivery, DeliveryId, ModelName},
    provider::Model,
};

/// A request that a model has claimed: the id that it will have as a delivery, and the span that tells of it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) id: DeliveryId,
    pub(super) name: ModelName,
    pub(super) model: Arc<Model>,
    pub(super) captures: Captures,
    pub(super) received_at: SystemTime,
    pub(super) span: Span,
}

impl Claim {
    pub(super) fn new(
        received_at: SystemTime,
        name: ModelName,
        model: Arc<Model>,
        captures: Captures,
    ) -> Self {
        metrics::received(&name, model.provider_name());
        Self::of(DeliveryId::new(), received_at, name, model, captures)
    }

    /// Of a delivery that is handled without the request that brought it.
    pub(super) fn again(delivery: &Delivery, model: Arc<Model>, captures: Captures) -> Self {
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

    /// Records in the span how long a step took that began at `start`.
    pub(super) fn took(&self, step: &'static str, start: Instant) {
        self.span.record(step, micros(start.elapsed()));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
