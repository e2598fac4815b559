use std::time::SystemTime;

use super::Inbox;
use crate::{
    archive::{ArchiveError, Query},
    delivery::{Delivery, DeliveryId},
    layer::Quarantine,
    provider::Model,
    signature::{Proof, SignatureError, doctor},
};

/// What became of a delivery in the quarantine.
#[derive(Debug)]
#[non_exhaustive]
pub struct Released {
    /// The delivery.
    pub id: DeliveryId,
    /// Its proof, if it is in the archive now; else why it stays where it is.
    pub result: Result<Proof, NotReleased>,
}

/// Why a delivery stays in the quarantine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReleased {
    /// The inbox has no model of this name any more.
    #[error("there is no such model any more: add one of the same name")]
    NoModel,
    /// It is refused still.
    #[error("the signature was refused: {}", told(doctor))]
    Signature {
        /// Why.
        source: SignatureError,
        /// What would have matched.
        doctor: Vec<doctor::Finding>,
    },
    /// It could not be archived, or not be removed from the quarantine.
    #[error("the delivery could not be moved to the archive")]
    Archive(#[from] ArchiveError),
}

fn told(findings: &[doctor::Finding]) -> String {
    match findings {
        [] => "nothing that is known to go wrong explains it".to_owned(),
        findings => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; or "),
    }
}

impl Inbox {
    /// The [quarantine](super::InboxBuilder::quarantine), if there is one.
    pub fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// Verifies again what `query` selects of the quarantine, with the secrets that its model has now, as of the time of
    /// receipt: to be called after a secret was mended. What passes is moved to the archive, under its id and with its
    /// head and time, and handled by the [workers](Inbox::work) as any delivery. Of what does not, a
    /// [doctor](crate::signature::doctor) tells what would have matched. Nothing without a quarantine.
    ///
    /// # Errors
    ///
    /// If the quarantine cannot be read.
    ///
    /// # Cancel safety
    ///
    /// What was moved is moved. One may be in both, and is a repeat when it is released once more.
    pub async fn release(&self, query: Query) -> Result<Vec<Released>, ArchiveError> {
        let Some(quarantine) = &self.quarantine else { return Ok(Vec::new()) };
        let (mut released, mut entries) = (Vec::new(), quarantine.archive().scan(query));
        while let Some(entry) = entries.next().await {
            let delivery = entry?.delivery;
            let (id, result) = (delivery.id(), self.release_one(quarantine, delivery).await);
            released.push(Released { id, result });
        }
        Ok(released)
    }

    async fn release_one(
        &self,
        quarantine: &Quarantine,
        delivery: Delivery,
    ) -> Result<Proof, NotReleased> {
        let (model, _) = self.models.of(&delivery).ok_or(NotReleased::NoModel)?;
        let proof = verify(&model, &delivery, delivery.received_at())?;
        let id = delivery.id();
        let proved = delivery.proved_by(proof.clone());
        if !self.archive().append(proved.clone()).await?.is_repeat() {
            self.custody.take_up(&proved);
        }
        quarantine.archive().remove(Query::all().id(id)).await?;
        Ok(proof)
    }
}

fn verify(model: &Model, delivery: &Delivery, at: SystemTime) -> Result<Proof, NotReleased> {
    let head = delivery.head().to_parts();
    model.scheme().verify(&head, delivery.body(), at).map_err(|source| {
        let doctor = doctor::examine(model.scheme(), &head, delivery.body(), at);
        NotReleased::Signature { source, doctor }
    })
}
