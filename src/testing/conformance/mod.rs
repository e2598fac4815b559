//! The suite that every archive passes.

mod model;
mod pairs;
mod support;

use crate::archive::Archive;

/// Checks that an archive implements the contract of [`Archive`], apart from what crashes and expiring leases show.
///
/// # Panics
///
/// If the archive violates the contract, with the operation and its result.
pub async fn conformance(archive: &dyn Archive) {
    pairs::every_operation_in_every_state(archive).await;
    pairs::every_pair_of_operations(archive).await;
}
