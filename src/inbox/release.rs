use std::sync::Arc;

use super::Inbox;
use crate::{
    archive::{Append, ArchiveError, Query},
    delivery::{Delivery, DeliveryId, ModelName},
    layer::Quarantine,
    provider::Model,
    signature::{Proof, SignatureError, Unsigned, doctor},
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
    #[error("the signature was refused: {}{}", told(doctor), told_others(others))]
    Signature {
        /// Why.
        source: SignatureError,
        /// What would have matched.
        doctor: Vec<doctor::Finding>,
        /// The other models that would accept it as it is: their secrets may be swapped, or the sender has the URL of
        /// one and the secret of another. None that accepts everything.
        others: Vec<ModelName>,
    },
    /// The scheme panicked.
    #[error("the signature scheme panicked")]
    Panicked,
    /// It could not be archived, or is archived and could not be let go.
    #[error("the delivery could not be moved to the archive")]
    Archive(#[from] ArchiveError),
}

fn told(findings: &[doctor::Finding]) -> String {
    match findings {
        [] => "nothing that is known to go wrong explains it".to_owned(),
        findings => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; or "),
    }
}

fn told_others(others: &[ModelName]) -> String {
    match others {
        [] => String::new(),
        others => {
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            format!("; the model at {} would accept it", others.join(", or "))
        }
    }
}

impl Inbox {
    /// The [quarantine](super::InboxBuilder::quarantine), if there is one.
    pub fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// Verifies again what `query` selects of the quarantine, with the secrets that its model has now, as of the time of
    /// receipt: to be called after a secret was mended. What passes is moved to the archive, under its id and with its
    /// head and time, and is pending there: the [workers](Inbox::start_workers) handle it, or a [replay](Inbox::replay). Of what
    /// does not, a [doctor](crate::signature::doctor) tells what would have matched, and which of the other models would
    /// accept it. Nothing without a quarantine.
    ///
    /// # Errors
    ///
    /// If the quarantine cannot be read, or what was moved not be removed from it. What cannot be read of it is logged
    /// and passed over, where anything can.
    ///
    /// # Cancel safety
    ///
    /// What was moved is moved. One may be in both, and is a repeat when it is released once more.
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
                Err(error) => unreadable = Some(noted(error)),
            }
        }
        quarantine.clear().await?;
        match unreadable {
            Some(error) if released.is_empty() => Err(error),
            _ => Ok(released),
        }
    }

    async fn release_one(
        &self,
        quarantine: &Quarantine,
        delivery: Delivery,
    ) -> Result<Proof, NotReleased> {
        let (model, _) = self.models.of(&delivery).ok_or(NotReleased::NoModel)?;
        let received_at = delivery.received_at();
        let proof = match verified(&model, &delivery).await {
            Some(Ok(proof)) => proof,
            None => return Err(NotReleased::Panicked),
            Some(Err(source)) => {
                let others = self.models.others(delivery.model());
                return Err(diagnosed(source, model, others, delivery).await);
            }
        };
        let proved = delivery.proved_by(proof.clone(), model.redaction());
        let appended = self.archive().append(Append::new(proved)).await?;
        tracing::info!(id = %appended.receipt.id(), state = %appended.state, "released from the quarantine");
        self.processor.wake_workers();
        quarantine.let_go(received_at, delivery.id()).await?;
        Ok(proof)
    }
}

fn noted(error: ArchiveError) -> ArchiveError {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "a part of the quarantine cannot be read"
    );
    error
}

/// Verifies on a thread for blocking work: bodies may be long. `None` if the scheme panics.
async fn verified(
    model: &Arc<Model>,
    delivery: &Delivery,
) -> Option<Result<Proof, SignatureError>> {
    let (model, delivery) = (Arc::clone(model), delivery.clone());
    let verify = move || {
        let (head, at) = (delivery.head().to_parts(), delivery.received_at());
        model.scheme().verify(&head, delivery.body(), at)
    };
    tokio::task::spawn_blocking(verify).await.ok()
}

/// On a thread of its own: the doctor tries many things, on bytes that a stranger chose.
async fn diagnosed(
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
