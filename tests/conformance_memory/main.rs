//! The conformance suite on the in-memory archive, and on intentionally broken archives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test states what it expects by panicking"
)]

mod broken;
mod nodes;

use std::sync::Arc;

use proptest::prelude::*;
use tower_inbox::{
    Archive, MemoryArchive,
    testing::{conformance, conformance_of_expiring_leases, conformance_of_pairs},
};

async fn whole_suite(archive: &dyn Archive) {
    conformance(archive).await;
    conformance_of_pairs(archive, 1).await;
}

#[tokio::test]
async fn memory_archive_conforms() {
    whole_suite(&MemoryArchive::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_archive_conforms_on_threads() {
    whole_suite(&MemoryArchive::new()).await;
}

#[tokio::test(start_paused = true)]
async fn leases_of_memory_archive_expire() {
    let archive = MemoryArchive::new();
    conformance_of_expiring_leases(&archive).await;
    conformance_of_expiring_leases(&archive).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_delivery_settles_once_with_random_operations_of_several_nodes(
        steps in proptest::collection::vec(nodes::step(), 1..80)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let archive: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
        runtime.block_on(nodes::play([(); nodes::NODES].map(|()| Arc::clone(&archive)), steps));
    }
}
