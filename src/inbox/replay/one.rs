use super::{NotReplayed, Replayed};
use crate::{
    delivery::{Delivery, DeliveryId},
    inbox::hand::{Hand, Handed},
    layer::{Cause, Custody, Given, Models},
    provider::Model,
};

/// Replays single deliveries.
pub(super) struct One {
    pub(super) models: Models,
    pub(super) custody: Custody,
    pub(super) hand: Box<dyn Hand>,
    pub(super) verify: bool,
}

impl One {
    pub(super) fn another(&self) -> Self {
        Self {
            models: self.models.clone(),
            custody: self.custody.clone(),
            hand: self.hand.another(),
            verify: self.verify,
        }
    }

    pub(super) async fn replay(self, id: DeliveryId) -> Replayed {
        Replayed { id, result: self.result(id).await }
    }

    async fn result(self, id: DeliveryId) -> Result<http::StatusCode, NotReplayed> {
        let found = self.custody.archive().get(id).await.map_err(NotReplayed::Archive)?;
        let delivery = found.ok_or(NotReplayed::Removed)?.delivery;
        let (model, captures) = self.models.of(&delivery).ok_or(NotReplayed::NoModel)?;
        if self.verify {
            verify(&model, &delivery)?;
        }
        let (custody, cause) = (self.custody, Cause::Replayed);
        let given = Given { custody, model, captures, cause, left: false };
        let handing = self.hand.hand(delivery, given);
        // Only its future is needed, which can be sent between threads while it is waited for.
        drop(self.hand);
        match handing.await {
            Handed::Answered(status) => Ok(status),
            Handed::Failed | Handed::Not => Err(NotReplayed::Failed),
        }
    }
}

/// With the secrets of now, as of when it was received: a timestamp in it was fresh then.
fn verify(model: &Model, delivery: &Delivery) -> Result<(), NotReplayed> {
    let head = delivery.head().to_parts();
    let verified = model.scheme().verify(&head, delivery.body(), delivery.received_at());
    verified.map(drop).map_err(NotReplayed::Signature)
}
