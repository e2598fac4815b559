//! Integration tests of the disk archive that need internals. The others are in `tests/archive`.

#[cfg(feature = "testing")]
mod backup;
mod damage;
mod history;
mod indexing;
mod leftovers;
mod panics;
mod removal_records;
#[cfg(feature = "testing")]
mod stall;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Method, Uri, Version};

use super::format::{
    entry::Place,
    name::SegmentName,
    warc::{Encoded, Salt},
};
use crate::{
    archive::{Append, Archive, ArchiveError, DiskArchive, Query},
    delivery::{Delivery, DeliveryId, Head, Receipt},
    signature::Proof,
};

pub(in crate::archive::disk) fn delivery(model: &str, body: &[u8]) -> Delivery {
    let uri = Uri::from_static("/hooks?a=b");
    let host = Some("example.com".to_owned());
    let head =
        Head::from_archive(Method::POST, uri, Version::HTTP_11, HeaderMap::new(), host, None);
    let received_at = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    let proof = Proof::new("none", "", "raw");
    let body = body.to_vec().into();
    Delivery::with_head(DeliveryId::new(), model.parse().unwrap(), head, body, received_at, proof)
}

pub(in crate::archive::disk) fn a_place() -> Place {
    let segment = SegmentName { sequence: 1, salt: Salt::random() };
    Place { segment, offset: 0, length: 1 }
}

/// Returns the log output of this thread while `work` runs, at level info and above.
pub(in crate::archive::disk) fn logged(work: impl FnOnce()) -> String {
    logged_while(|_| work())
}

/// Like [`logged`], but passes `work` a function that returns the output so far.
pub(in crate::archive::disk) fn logged_while(work: impl FnOnce(&dyn Fn() -> String)) -> String {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || work(&text));
    text()
}

pub(in crate::archive::disk) fn bytes(records: &[Encoded]) -> Vec<u8> {
    records.iter().flat_map(Encoded::slices).flatten().copied().collect()
}

/// Appends without a lease.
async fn append(archive: &DiskArchive, delivery: &Delivery) -> Result<Receipt, ArchiveError> {
    Ok(archive.append(Append::new(delivery.clone())).await?.receipt)
}

async fn deliveries_in(path: &Path) -> Vec<Delivery> {
    let archive = DiskArchive::open(path).await.unwrap();
    let mut entries = archive.scan(Query::all());
    let mut found = Vec::new();
    while let Some(entry) = entries.next().await {
        found.push(entry.unwrap().delivery);
    }
    found
}

/// The segments of an archive, in log order.
fn segments(path: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<_> =
        files.filter(|file| file.to_string_lossy().contains(".warc")).collect();
    segments.sort();
    segments
}
