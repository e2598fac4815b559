//! The conformance suite that every archive passes.

mod appending;
mod expiring;
mod flights;
mod leasing;
mod model;
mod pairs;
mod querying;
mod settling;
mod support;

use crate::archive::Archive;

/// Checks that an archive implements the contract of [`Archive`], except for crashes, expiring leases and races. The
/// suite covers every operation in every state of a delivery, and operations on several deliveries. Every archive also
/// passes [`conformance_of_pairs`].
///
/// The archive may contain other deliveries. The suite leaves some of its own in it.
///
/// ```no_run
/// use tower_inbox::{MemoryArchive, testing::conformance};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// conformance(&MemoryArchive::new()).await;
/// # }
/// ```
///
/// # Panics
///
/// If the archive violates the contract. The message contains the operations and their results.
pub async fn conformance(archive: &dyn Archive) {
    appending::append_stores_exact_bytes(archive).await;
    appending::repeat_names_first_delivery(archive).await;
    appending::equal_deliveries_are_stored_once(archive).await;
    appending::many_deliveries_at_a_time_are_stored(archive).await;
    appending::dropped_append_takes_effect_or_not(archive).await;
    querying::query_selects_by_id_model_and_time(archive).await;
    querying::query_selects_by_state(archive).await;
    querying::query_selects_by_inference(archive).await;
    querying::counts_follow_every_transition(archive).await;
    leasing::claim_takes_models_in_rounds(archive).await;
    leasing::claim_skips_paused_models(archive).await;
    leasing::claim_reports_when_next_delivery_is_due(archive).await;
    leasing::delivery_is_due_after_its_wait(archive).await;
    leasing::no_delivery_is_claimed_twice(archive).await;
    leasing::attempts_are_counted(archive).await;
    leasing::unknown_delivery_has_no_lease(archive).await;
    leasing::renew_returns_only_lost_leases(archive).await;
    flights::one_lease_processes_inference_at_a_time(archive).await;
    flights::one_of_many_begins_inference(archive).await;
    flights::processed_inference_is_known(archive).await;
    flights::processed_inference_is_not_found_before_it_is_settled(archive).await;
    flights::blocked_delivery_is_due_when_flight_ends(archive).await;
    settling::outcome_is_stored_exactly(archive).await;
    settling::wait_beyond_the_clock_is_not_due_and_is_no_error(archive).await;
    settling::retry_changes_only_dead_undecodable_and_failed(archive).await;
    settling::history_has_every_outcome(archive).await;
    settling::remove_changes_only_selected_deliveries(archive).await;
    settling::settle_is_accepted_after_removal(archive).await;
    pairs::every_operation_in_every_state(archive).await;
}

/// Checks every pair of operations on one delivery, in every state, sequentially and concurrently, against a model of
/// the contract. A `step` of 1 runs all pairs, about 10,000 short histories, and takes minutes on an archive that syncs
/// every operation to a disk. A `step` of 7 runs every seventh pair.
///
/// ```no_run
/// use tower_inbox::{MemoryArchive, testing::conformance_of_pairs};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// conformance_of_pairs(&MemoryArchive::new(), 1).await;
/// # }
/// ```
///
/// # Panics
///
/// If the archive violates the contract. The message contains the operations and their results.
pub async fn conformance_of_pairs(archive: &dyn Archive, step: usize) {
    pairs::every_pair_of_operations(archive, step).await;
}

/// Checks an archive whose leases expire while it is open, such as one that several processes share.
///
/// Takes minutes unless tokio's time is paused.
///
/// ```no_run
/// use tower_inbox::{MemoryArchive, testing::conformance_of_expiring_leases};
///
/// # async fn test() {
/// tokio::time::pause();
/// conformance_of_expiring_leases(&MemoryArchive::new()).await;
/// # }
/// ```
///
/// # Panics
///
/// If the archive violates the contract. The message contains the operations and their results.
pub async fn conformance_of_expiring_leases(archive: &dyn Archive) {
    expiring::expired_lease_counts_as_crash(archive).await;
    expiring::third_crash_in_a_row_is_poisoned(archive).await;
    expiring::released_or_failed_attempt_is_no_crash(archive).await;
    expiring::late_processed_is_accepted_until_settled(archive).await;
    expiring::late_failure_is_rejected(archive).await;
    expiring::renewed_lease_does_not_expire(archive).await;
    expiring::suspects_are_claimed_one_at_a_time(archive).await;
    expiring::flight_ends_with_expired_lease(archive).await;
    expiring::removed_delivery_is_not_claimed_after_expiry(archive).await;
}
