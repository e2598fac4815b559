//! Single flight: one delivery of an inference is processed at a time.

use super::{
    Processed, Processor, Rejection, RequestContext, Trigger, in_flight::InFlight, repeat::WaitKey,
    response_body::as_the_first,
};
use crate::{
    archive::{ArchiveError, Begun, Lease, Release},
    delivery::{Delivery, DeliveryId, InferenceDigest, InferenceId, Outcome, Provenance},
    metrics,
};

/// Why a delivery is not passed to its handler after it was decoded.
#[derive(Debug)]
pub(super) enum Blocked {
    /// The same inference was processed in another delivery.
    Repeat {
        of: DeliveryId,
        status: u16,
    },
    /// Another delivery of the inference is being processed.
    Busy {
        inference: InferenceId,
        trigger: Trigger,
    },
    LeaseLost,
    State(ArchiveError),
}

impl Blocked {
    /// Settles or releases the delivery, and responds.
    pub(super) fn settle<E>(self, context: &RequestContext, in_flight: InFlight) -> Processed<E> {
        match self {
            Self::Repeat { of, status } => {
                metrics::repeated(&context.name);
                in_flight.settle(Outcome::repeat(of));
                Processed::NotRun(as_the_first(of, status))
            }
            Self::Busy { inference, trigger } => {
                in_flight.release(Release::WhenFree(inference));
                match trigger {
                    Trigger::Request => {
                        Processed::NotRun(context.reject(Rejection::TooManyWaiting))
                    }
                    Trigger::Worker | Trigger::Replay => Processed::Requeued,
                }
            }
            Self::LeaseLost => {
                in_flight.abandon();
                Processed::NotRun(context.reject(Rejection::LeaseLost))
            }
            // Dropping the delivery releases its lease.
            Self::State(error) => Processed::NotRun(context.reject(Rejection::State(error.into()))),
        }
    }
}

fn is_same_json(one: &[u8], other: &[u8]) -> bool {
    let read = |body| serde_json::from_slice::<serde_json::Value>(body).ok();
    read(one).is_some_and(|one| read(other) == Some(one))
}

impl Processor {
    /// Enters the single flight of an inference. Returns the delivery in which the same version was processed before,
    /// in other bytes.
    pub(super) async fn enter_flight(
        &self,
        in_flight: &mut InFlight,
        delivery: &Delivery,
        inference: InferenceDigest,
        trigger: Trigger,
    ) -> Result<Option<DeliveryId>, Blocked> {
        let Some(lease) = in_flight.lease() else { return Err(Blocked::LeaseLost) };
        in_flight.set_inference(inference);
        match self.begin(lease, inference, trigger).await {
            Ok(Begun::Started { earlier: Some(earlier) }) => {
                match self.fetched_repeat(delivery, earlier).await? {
                    Some(status) => Err(Blocked::Repeat { of: earlier, status }),
                    None => Ok(Some(earlier)),
                }
            }
            Ok(Begun::Started { earlier: None }) => Ok(None),
            Ok(Begun::Processed { of, status }) => Err(Blocked::Repeat { of, status }),
            Ok(Begun::Busy) => Err(Blocked::Busy { inference: inference.id(), trigger }),
            Err(ArchiveError::LeaseLost { .. }) => Err(Blocked::LeaseLost),
            Err(error) => Err(Blocked::State(error)),
        }
    }

    /// Returns the status of a processed delivery if it is the same result as this one, and one of them was fetched: an
    /// API may serialize a result differently than the webhook. Otherwise other bytes are another version.
    async fn fetched_repeat(
        &self,
        delivery: &Delivery,
        earlier: DeliveryId,
    ) -> Result<Option<u16>, Blocked> {
        if self.config().expected.is_none() {
            return Ok(None);
        }
        let earlier = match self.archive().get(earlier).await {
            Ok(earlier) => earlier,
            Err(ArchiveError::Damaged { .. }) => None,
            Err(error) => return Err(Blocked::State(error)),
        };
        let Some(earlier) = earlier else { return Ok(None) };
        let is_fetched = [delivery, &earlier.delivery]
            .iter()
            .any(|delivery| delivery.provenance() == Provenance::Poll);
        match earlier.state.outcome() {
            Some(Outcome::Processed { status, .. })
                if is_fetched && is_same_json(delivery.body(), earlier.delivery.body()) =>
            {
                Ok(Some(*status))
            }
            _ => Ok(None),
        }
    }

    /// Begins the inference in the archive. A request or replay waits while it is busy, and gets [`Begun::Busy`] if too
    /// many wait. A worker does not wait.
    async fn begin(
        &self,
        lease: Lease,
        inference: InferenceDigest,
        trigger: Trigger,
    ) -> Result<Begun, ArchiveError> {
        match self.archive().begin(lease, inference).await? {
            Begun::Busy if trigger != Trigger::Worker => {}
            begun => return Ok(begun),
        }
        let Some(waiter) = self.waiters().enter(WaitKey::Inference(inference.id())) else {
            return Ok(Begun::Busy);
        };
        loop {
            let seen = waiter.notifications();
            match self.archive().begin(lease, inference).await? {
                Begun::Busy => waiter.more_than(seen).await,
                begun => return Ok(begun),
            }
        }
    }
}
