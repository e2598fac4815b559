use std::sync::Arc;

use super::Inbox;
use crate::{
    archive::{Append, ArchiveError, Query},
    delivery::{Delivery, DeliveryId, ModelName},
    layer::Quarantine,
    provider::Model,
    signature::{Proof, SignatureError, Unsigned, doctor},
};

/// The result of releasing one delivery from the quarantine.
#[derive(Debug)]
#[non_exhaustive]
pub struct Released {
    /// The delivery.
    pub id: DeliveryId,
    /// The proof of a delivery that was moved to the archive, or why it stays in the quarantine.
    pub result: Result<Proof, NotReleased>,
}

/// Why a delivery stays in the quarantine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReleased {
    /// The inbox has no model of this name any more.
    #[error("no such model; add one of the same name")]
    NoModel,
    /// The signature is still rejected.
    #[error("the signature was rejected: {}{}", findings(doctor), accepting_models(others))]
    Signature {
        /// The cause.
        source: SignatureError,
        /// The changes with which the signature would match.
        doctor: Vec<doctor::Finding>,
        /// The other models that accept the delivery as it is: two secrets may be swapped, or the sender may use the
        /// URL of one model with the secret of another. Unsigned models are left out.
        others: Vec<ModelName>,
    },
    /// The scheme panicked.
    #[error("the signature scheme panicked")]
    Panicked,
    /// It could not be archived, or it is archived and could not be removed from the quarantine.
    #[error("the delivery could not be moved to the archive")]
    Archive(#[from] ArchiveError),
}

fn findings(findings: &[doctor::Finding]) -> String {
    match findings {
        [] => "no known difference makes it match".to_owned(),
        findings => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; or "),
    }
}

fn accepting_models(others: &[ModelName]) -> String {
    match others {
        [] => String::new(),
        others => {
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            format!("; the model at {} accepts it", others.join(", or "))
        }
    }
}

impl Inbox {
    /// The [quarantine](super::InboxBuilder::quarantine) of the inbox.
    pub fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// Verifies the quarantined deliveries that `query` selects again, as of the time of their receipt. Call it after
    /// you corrected a secret.
    ///
    /// Deliveries that pass are moved to the archive with their id, head and time of receipt, and are pending there
    /// until the [workers](Inbox::start_workers) or a [replay](Inbox::replay) process them. For the others, the result
    /// has what the [doctor](crate::signature::doctor) found, and the other models that accept them. Returns an empty
    /// list without a quarantine.
    ///
    /// # Errors
    ///
    /// If the quarantine cannot be read, or if released deliveries cannot be removed from it. Single deliveries that
    /// cannot be read are logged and skipped.
    ///
    /// # Cancel safety
    ///
    /// Deliveries that were moved stay moved. One delivery may be in both; releasing it again makes it a repeat.
    pub async fn release(&self, query: Query) -> Result<Vec<Released>, ArchiveError> {
        let Some(quarantine) = &self.quarantine else { return Ok(Vec::new()) };
        let mut entries = quarantine.archive().scan(query);
        let (mut released, mut unreadable) = (Vec::new(), None);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(archived) => {
                    let delivery = archived.delivery;
                    let (id, result) =
                        (delivery.id(), self.release_one(quarantine, delivery).await);
                    released.push(Released { id, result });
                }
                Err(error) => unreadable = Some(log_unreadable(error)),
            }
        }
        quarantine.remove_released().await?;
        match unreadable {
            Some(error) if released.is_empty() => Err(error),
            _ => Ok(released),
        }
    }

    /// Verifies a quarantined delivery as of the time of its receipt, and does not release it.
    pub(crate) async fn examine(
        &self,
        delivery: &Delivery,
    ) -> Result<(Arc<Model>, Proof), NotReleased> {
        let (model, _) = self.models.of_delivery(delivery).ok_or(NotReleased::NoModel)?;
        match verify(&model, delivery).await {
            Some(Ok(proof)) => Ok((model, proof)),
            None => Err(NotReleased::Panicked),
            Some(Err(source)) => {
                let others = self.models.others(delivery.model());
                Err(diagnose(source, model, others, delivery.clone()).await)
            }
        }
    }

    async fn release_one(
        &self,
        quarantine: &Quarantine,
        delivery: Delivery,
    ) -> Result<Proof, NotReleased> {
        let received_at = delivery.received_at();
        let (model, proof) = self.examine(&delivery).await?;
        let proved = delivery.proved_by(proof.clone(), model.redaction());
        let appended = self.archive().append(Append::new(proved)).await?;
        tracing::info!(id = %appended.receipt.id(), state = %appended.state, "released from the quarantine");
        self.processor.wake_workers();
        quarantine.mark_released(received_at, delivery.id()).await?;
        Ok(proof)
    }
}

fn log_unreadable(error: ArchiveError) -> ArchiveError {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "a delivery in the quarantine cannot be read"
    );
    error
}

/// Verifies on a thread for blocking work, because bodies may be long. None if the scheme panics.
async fn verify(model: &Arc<Model>, delivery: &Delivery) -> Option<Result<Proof, SignatureError>> {
    let (model, delivery) = (Arc::clone(model), delivery.clone());
    let verify = move || {
        let (head, at) = (delivery.head().to_parts(), delivery.received_at());
        model.scheme().verify(&head, delivery.body(), at)
    };
    tokio::task::spawn_blocking(verify).await.ok()
}

/// Examines a rejected delivery on a thread for blocking work, because the doctor tries many changes.
async fn diagnose(
    source: SignatureError,
    model: Arc<Model>,
    others: Vec<(ModelName, Arc<Model>)>,
    delivery: Delivery,
) -> NotReleased {
    let examine = move || {
        let (head, at) = (delivery.head().to_parts(), delivery.received_at());
        let doctor = doctor::examine(model.scheme(), &head, delivery.body(), at);
        let accepts = |other: &Model| match other.scheme().verify(&head, delivery.body(), at) {
            Ok(proof) => proof.scheme() != Unsigned::NAME,
            Err(_) => false,
        };
        let others = others.into_iter().filter(|(_, other)| accepts(other));
        (doctor, others.map(|(name, _)| name).collect())
    };
    let (doctor, others) = tokio::task::spawn_blocking(examine).await.unwrap_or_default();
    NotReleased::Signature { source, doctor, others }
}
