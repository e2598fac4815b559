//! The archives of this crate, through their public doors.
#![cfg(all(feature = "disk", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says so by panicking"
)]

mod beside;
mod conformance;
mod crashes;
mod faults;
mod forgetting;
mod golden;
mod heads;
mod living;
mod mangled;
mod read_only;
mod removing;
mod reopening;

use std::path::{Path, PathBuf};

use tower_inbox::{
    archive::{Archive, ArchiveError, Archived, DiskArchive, Query},
    delivery::Delivery,
    testing::Sample,
};

fn delivery(model: &str, body: &[u8]) -> Delivery {
    Sample::of(model).body(body.to_vec()).delivery()
}

/// All that an archive holds, in its order; the archive is closed.
async fn all_in(archive: DiskArchive) -> Vec<Archived> {
    let mut entries = archive.scan(Query::all());
    let mut found = Vec::new();
    while let Some(entry) = entries.next().await {
        found.push(entry.unwrap());
    }
    found
}

async fn deliveries_in(path: &Path) -> Vec<Delivery> {
    let found = all_in(DiskArchive::open(path).await.unwrap()).await;
    found.into_iter().map(|archived| archived.delivery).collect()
}

/// What can still be read of an archive, and how many damages are reported.
async fn readable_in(path: &Path) -> (Vec<Delivery>, usize) {
    let archive = DiskArchive::open(path).await.unwrap();
    let (mut entries, mut found, mut damages) = (archive.scan(Query::all()), Vec::new(), 0);
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(archived) => found.push(archived.delivery),
            Err(ArchiveError::Damaged { .. }) => damages += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (found, damages)
}

/// The segments of an archive, in the order of the log.
fn segments(path: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<_> =
        files.filter(|file| file.to_string_lossy().contains(".warc")).collect();
    segments.sort();
    segments
}
