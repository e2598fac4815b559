//! How far a delivery has come: the `S` of an [`InboxBody<B, S>`](super::InboxBody).
//!
//! Only the layer of a step makes its type, so a request cannot pass for one that has come further.

use super::buffer::Reservation;
use crate::{
    delivery::{Delivery, Receipt},
    process::{InFlight, Processor, RequestContext},
    signature::Proof,
};

/// The body was read whole, within its limits.
#[derive(Debug)]
pub struct Raw {
    pub(super) context: RequestContext,
    pub(super) reservation: Reservation,
}

/// The signature was verified over the exact bytes.
#[derive(Debug)]
pub struct Verified {
    pub(super) raw: Raw,
    pub(super) proof: Proof,
}

impl Verified {
    /// The bytes of the request count as verified from now on.
    pub(super) fn new(mut raw: Raw, proof: Proof) -> Self {
        raw.reservation.mark_verified();
        Self { raw, proof }
    }
}

/// The delivery is durable: there is a receipt.
#[derive(Debug)]
pub struct Archived {
    pub(super) context: RequestContext,
    pub(super) reservation: Reservation,
    pub(super) delivery: Delivery,
    pub(super) receipt: Receipt,
    /// The lease, if this request processes the delivery.
    pub(super) in_flight: Option<InFlight>,
    pub(super) processor: Processor,
    pub(super) mode: Mode,
}

/// Who processes a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The request that brought it.
    Inline,
    /// A worker, later.
    Background {
        /// Whether it is decoded before its sender is answered.
        decode_first: bool,
    },
}

/// This request processes the delivery.
#[derive(Debug)]
pub struct Dispatched {
    pub(super) archived: Archived,
}

/// The delivery is passed to the handler.
#[derive(Debug)]
pub struct Handed;
