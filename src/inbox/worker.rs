use std::time::Duration;

use super::hand::{Hand, Handed};
use crate::{
    archive::Archived,
    layer::{Cause, Custody, Given, Models, Taken},
};

/// After how long a delivery is looked at again that cannot be read, or for which there is no model.
const LATER: Duration = Duration::from_mins(1);

/// Handles one delivery after the other, as they are due.
pub(super) struct Worker {
    pub(super) models: Models,
    pub(super) custody: Custody,
    pub(super) hand: Box<dyn Hand>,
}

impl Worker {
    /// Until the schedule is stopped.
    ///
    /// # Cancel safety
    ///
    /// A delivery that is being handled is given back to the archive when the future is dropped.
    pub(super) async fn work(mut self) {
        let models = self.models.clone();
        while let Some(taken) = self.custody.schedule().take(|| models.count()).await {
            self.handle(taken).await;
        }
    }

    async fn handle(&mut self, taken: Taken) {
        let id = taken.job().id;
        match self.custody.archive().get(id).await {
            Ok(Some(archived)) => self.hand_over(archived, taken).await,
            Ok(None) => {
                // It was removed: nobody wants it handled any more.
                self.custody.schedule().forget(id);
                taken.handed();
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%id, error, "a delivery that is to be handled cannot be read");
                taken.later(LATER);
            }
        }
    }

    async fn hand_over(&mut self, archived: Archived, taken: Taken) {
        let delivery = archived.delivery;
        let Some((model, captures)) = self.models.of(&delivery) else {
            let (id, model) = (delivery.id(), delivery.model());
            tracing::warn!(%id, %model, "there is no such model any more: the delivery stays pending");
            taken.later(LATER);
            return;
        };
        let (custody, cause, left) = (self.custody.clone(), Cause::Taken, taken.job().left);
        let given = Given { custody, model, captures, cause, left };
        match self.hand.hand(delivery, given).await {
            Handed::Answered(_) | Handed::Failed => taken.handed(),
            Handed::Not => drop(taken),
        }
    }
}
