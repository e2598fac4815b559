use super::{appending, removing, settling};
use crate::archive::Archive;

/// Checks that an archive keeps the contract of [`Archive`], apart from what a crash would show.
///
/// The archive may hold deliveries before. Those of the suite stay in it.
///
/// ```
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
/// If the archive breaks the contract, with what was asked of it and what it did.
pub async fn conformance(archive: &dyn Archive) {
    appending::gives_back_what_was_appended(archive).await;
    appending::knows_repeats(archive).await;
    appending::keeps_one_of_many_equal_ones(archive).await;
    appending::keeps_many_at_a_time(archive).await;
    settling::keeps_the_latest_outcome(archive).await;
    settling::finds_by_query(archive).await;
    settling::knows_what_was_processed(archive).await;
    removing::the_ledger_outlives_the_body(archive).await;
    removing::archives_anew_what_was_removed_before_it_was_settled(archive).await;
    removing::removes_what_is_selected_and_nothing_else(archive).await;
    appending::goes_on_when_nobody_waits(archive).await;
}
