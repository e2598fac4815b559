use http::Request;

use super::{
    Captures, Custody,
    attempt::Cause,
    body::{Held, InboxBody},
    claim::Claim,
    step::Archived,
};
use crate::{
    delivery::{Delivery, Receipt},
    provider::Model,
};

/// What a delivery is given to its handler with, when no request brings it.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) custody: Custody,
    pub(crate) model: std::sync::Arc<Model>,
    pub(crate) captures: Captures,
    pub(crate) cause: Cause,
    /// See [`Archived::left`].
    pub(crate) left: bool,
}

/// The request of an archived delivery, as it was apart from what is not archived: secrets, and extensions that other
/// layers have put there.
pub(crate) fn request_again<B>(
    delivery: Delivery,
    given: Given,
) -> Request<InboxBody<B, Archived>> {
    let Given { custody, model, captures, cause, left } = given;
    let claim = Claim::again(&delivery, model, captures.clone());
    let mut parts = delivery.head().to_parts();
    let receipt = Receipt::fresh(delivery.id());
    parts.extensions.insert(captures);
    parts.extensions.insert(delivery.clone());
    parts.extensions.insert(receipt);
    let bytes = delivery.body().clone();
    let archived = Archived { claim, reservation: None, delivery, receipt, custody, cause, left };
    Held::request(parts, bytes, archived)
}
