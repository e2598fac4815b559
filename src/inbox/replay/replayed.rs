use http::StatusCode;

use crate::{archive::ArchiveError, delivery::DeliveryId, signature::SignatureError};

/// What a replay came to with one delivery.
#[derive(Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// The delivery.
    pub id: DeliveryId,
    /// What its handler answered, or why it was not asked.
    pub result: Result<StatusCode, NotReplayed>,
}

impl Replayed {
    /// Whether the handler took it.
    pub fn is_processed(&self) -> bool {
        self.result.as_ref().is_ok_and(StatusCode::is_success)
    }
}

/// Why a delivery did not come to its handler, or to no end there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReplayed {
    /// It was removed since the replay began.
    #[error("the delivery was removed")]
    Removed,
    /// It cannot be read.
    #[error("the delivery cannot be read")]
    Archive(#[source] ArchiveError),
    /// The inbox has no model of this name any more.
    #[error("there is no such model any more: add one of the same name")]
    NoModel,
    /// It cannot be verified with the secrets that the model has now.
    #[error("the signature was refused")]
    Signature(#[source] SignatureError),
    /// The service failed, or was not ready.
    #[error("the service of the handlers failed, or could not be asked")]
    Failed,
}
