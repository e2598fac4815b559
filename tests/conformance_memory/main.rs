//! The conformance suite on the archive in memory, and the suite itself on archives that are broken on purpose.

use tower_inbox::{MemoryArchive, testing::conformance};

#[tokio::test]
async fn memory_archive_conforms() {
    conformance(&MemoryArchive::new()).await;
}
