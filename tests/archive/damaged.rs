//! Damaged bytes of an unsettled delivery are kept, because a part of them may be recoverable.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Short, delivery, segments};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, DiskArchiveBuilder, Query},
    delivery::{Delivery, Outcome},
};

/// Appends a pending delivery between two processed ones, in one segment.
async fn fill(builder: DiskArchiveBuilder) -> Delivery {
    let archive = builder.maintenance_interval(None).open().await.unwrap();
    let pending = delivery("/m", format!("acknowledged {}", "x".repeat(3000)).as_bytes());
    let processed = ["before", "behind"].map(|body| delivery("/m", body.as_bytes()));
    for one in [&processed[0], &pending, &processed[1]] {
        let _ = archive.put(one.clone()).await.unwrap();
    }
    for one in &processed {
        archive.finish(one.id(), Outcome::processed(200)).await.unwrap();
    }
    archive.close().await;
    pending
}

/// Returns the segment and the byte range of a delivery's record.
fn record_of(delivery: &Delivery, dir: &Path) -> (PathBuf, Range<usize>) {
    let id = format!("WARC-Record-ID: <urn:uuid:{}>", delivery.id());
    for path in segments(dir) {
        let bytes = fs::read(&path).unwrap();
        let find = |what: &[u8], from: usize| {
            let found = bytes[from..].windows(what.len()).position(|window| window == what);
            found.map(|at| from + at)
        };
        if let Some(at) = find(id.as_bytes(), 0) {
            let start = bytes[..at].windows(5).rposition(|window| window == b"WARC/").unwrap();
            let end = find(b"\r\n\r\nWARC/", at).map_or(bytes.len(), |end| end + 4);
            return (path, start..end);
        }
    }
    panic!("{delivery:?} is in no segment");
}

fn holds(dir: &Path, wanted: &[u8]) -> bool {
    segments(dir).iter().any(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(wanted.len()).any(|window| window == wanted)
    })
}

#[tokio::test]
async fn damaged_bytes_of_a_pending_delivery_survive_retention_and_removal() {
    let full = |dir: &Path| DiskArchive::builder(dir).segment_size(4000).compress_after(None);
    let open = |dir: &Path| DiskArchive::builder(dir).compress_after(None);
    for make in [open, full] {
        // Flips a bit in the header, in the body, or at the end of the record.
        for place in [20, 1500, usize::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            let pending = fill(make(dir)).await;
            let (path, record) = record_of(&pending, dir);
            let mut bytes = fs::read(&path).unwrap();
            bytes[record.start.saturating_add(place).min(record.end - 2)] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let damaged = &bytes[record];

            let builder =
                make(dir).maintenance_interval(None).retention(Duration::ZERO).max_bytes(0);
            let builder = builder.ledger_retention(Duration::ZERO).segment_age(Duration::ZERO);
            let archive = builder.clone().open().await.unwrap();
            archive.maintain_now().await.unwrap();
            archive.remove(Query::all().settled()).await.unwrap();
            archive.maintain_now().await.unwrap();
            assert!(holds(dir, damaged), "{place}: its bytes are gone");
            let mut found = archive.scan(Query::all());
            let error = found.next().await.unwrap().unwrap_err();
            assert!(matches!(error, ArchiveError::Damaged { .. }), "{place}: {error}");
            assert!(found.next().await.is_none(), "{place}: what was processed is still there");
            archive.close().await;
            let verified = DiskArchive::verify(dir, |_, _| {}).await.unwrap();
            assert_eq!(verified.damages.len(), 1, "{place}");
            // The next start also reports the damage.
            let archive = builder.open().await.unwrap();
            archive.maintain_now().await.unwrap();
            assert!(holds(dir, damaged), "{place}: its bytes are gone after another start");
            assert!(archive.scan(Query::all()).next().await.unwrap().is_err(), "{place}");
        }
    }
}
