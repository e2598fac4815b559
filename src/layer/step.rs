//! How far a delivery has come: the `S` of an [`InboxBody<B, S>`](super::InboxBody).
//!
//! Only the layer of a step makes its type, so that a request cannot pass for one that has come further.

use super::{Custody, attempt::Cause, buffer::Reservation, claim::Claim, handling::Handling};
use crate::{
    delivery::{Delivery, Receipt},
    provider::InferenceKey,
    signature::Proof,
};

/// The body was read whole, within its limits.
#[derive(Debug)]
pub struct Raw {
    pub(super) claim: Claim,
    pub(super) reservation: Reservation,
}

/// The signature was checked over the exact bytes.
#[derive(Debug)]
pub struct Verified {
    pub(super) raw: Raw,
    pub(super) proof: Proof,
}

/// The delivery is durable: there is a receipt.
#[derive(Debug)]
pub struct Archived {
    pub(super) claim: Claim,
    #[expect(dead_code, reason = "held until the delivery was handled")]
    pub(super) reservation: Option<Reservation>,
    pub(super) delivery: Delivery,
    pub(super) receipt: Receipt,
    pub(super) custody: Custody,
    pub(super) cause: Cause,
    /// Whether it may have been begun by a process that has ended since, without a record of it.
    pub(super) left: bool,
}

/// Nobody else handles this delivery, and it was not processed before.
#[derive(Debug)]
pub struct Deduped {
    pub(super) archived: Archived,
    pub(super) handling: Handling,
}

/// The inference was loaded, and is in the request's extensions.
#[derive(Debug)]
pub struct Decoded {
    pub(super) deduped: Deduped,
    pub(super) key: InferenceKey,
}

/// Nobody else handles this inference, and it was not processed before, in whatever delivery.
#[derive(Debug)]
pub struct Single {
    pub(super) deduped: Deduped,
}

/// The delivery is handed to the service inside the inbox.
#[derive(Debug)]
pub struct Handed;

impl Decoded {
    pub(super) fn claim(&self) -> &Claim {
        &self.deduped.archived.claim
    }
}

impl Single {
    pub(super) fn claim(&self) -> &Claim {
        &self.deduped.archived.claim
    }
}
