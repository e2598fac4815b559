use super::{Processor, Rejection, RequestContext, in_flight::InFlight, waiters::WaitKey};
use crate::{
    archive::{Acquire, ArchiveError},
    delivery::{DeliveryId, Outcome, State},
};

/// What a request does about the delivery that it appended.
#[derive(Debug)]
pub(crate) enum Resolution {
    /// Processes it.
    Process(InFlight),
    /// Responds like the delivery that was processed first.
    Repeat { of: DeliveryId, status: u16 },
    /// Responds with a rejection.
    Reject(Rejection),
}

impl Processor {
    /// Decides about a repeat whose request processes deliveries itself, and did not get the lease at once. Waits while
    /// somebody else processes the delivery.
    ///
    /// # Cancel safety
    ///
    /// A lease that was just acquired is lost when the future is dropped. Run it to its end.
    pub(crate) async fn resolve(&self, id: DeliveryId, context: &RequestContext) -> Resolution {
        let Some(waiter) = self.waiters().enter(WaitKey::Delivery(id)) else {
            return Resolution::Reject(Rejection::TooManyWaiting);
        };
        loop {
            let seen = waiter.notifications();
            match self.try_resolve(id, context).await {
                Ok(Some(resolution)) => return resolution,
                Ok(None) => waiter.more_than(seen).await,
                Err(error) => return Resolution::Reject(Rejection::State(error.into())),
            }
        }
    }

    /// None while somebody else processes the delivery.
    async fn try_resolve(
        &self,
        id: DeliveryId,
        context: &RequestContext,
    ) -> Result<Option<Resolution>, ArchiveError> {
        let acquired = self.archive().acquire(Acquire::new(id).reviving()).await?;
        if let Some(lease) = acquired.lease {
            return Ok(Some(Resolution::Process(self.in_flight(lease, context))));
        }
        Ok(match acquired.state {
            State::Outcome(Outcome::Processed { status, .. }) => {
                Some(Resolution::Repeat { of: id, status })
            }
            State::Outcome(Outcome::Repeat { of }) => {
                let state = self.archive().state(of).await?;
                let status = match state {
                    Some(State::Outcome(Outcome::Processed { status, .. })) => status,
                    _ => 200,
                };
                Some(Resolution::Repeat { of, status })
            }
            State::Outcome(Outcome::Dead { poisoned: true, .. }) => {
                Some(Resolution::Reject(Rejection::Poisoned))
            }
            State::Leased { .. } => None,
            // It was removed meanwhile: the sender has to post it again.
            State::Pending { .. } | State::Outcome(_) => {
                Some(Resolution::Reject(Rejection::State(ArchiveError::Unknown { id }.into())))
            }
        })
    }
}
