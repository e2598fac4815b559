//! Flipped bits in active, sealed and compressed segments, and in index files.

use std::{ffi::OsStr, path::PathBuf, time::Duration};

use crate::{Short, stride};
use tower_inbox::{
    Delivery, DiskArchive, Outcome,
    archive::{Archive, ArchiveError, DiskArchiveBuilder, Query},
    testing::{ModelDisk, Sample},
};

fn builder(packs: bool) -> DiskArchiveBuilder {
    let builder =
        DiskArchive::builder("inbox").segment_age(Duration::ZERO).maintenance_interval(None);
    if packs { builder.compress_after(Duration::ZERO) } else { builder.compress_after(None) }
}

/// A sealed segment, optionally compressed, with its index file.
struct Sealed {
    segment: (PathBuf, Vec<u8>),
    index: (PathBuf, Vec<u8>),
    deliveries: Vec<Delivery>,
}

/// The result of reading an archive.
#[derive(Debug)]
struct Found {
    deliveries: usize,
    damages: Vec<(PathBuf, u64)>,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

impl Sealed {
    fn make(packs: bool) -> Self {
        let disk = ModelDisk::new(4096);
        let mut deliveries = Vec::new();
        runtime().block_on(async {
            let archive = disk.open(builder(packs)).await.unwrap();
            for body in ["a", "last"] {
                let one = Sample::of("/m").body(body).delivery();
                let _ = archive.put(one.clone()).await.unwrap();
                deliveries.push(one);
            }
            let failed = Outcome::failed("as a test");
            archive.finish(deliveries[0].id(), failed).await.unwrap();
            // The last record is an acknowledged delivery.
            deliveries.push(Sample::of("/m").body("the very last").delivery());
            let _ = archive.put(deliveries[2].clone()).await.unwrap();
            archive.maintain_now().await.unwrap();
        });
        let file = |wanted: &str| {
            let is_it = |path: &PathBuf| path.extension() == Some(OsStr::new(wanted));
            let path = disk.files().into_iter().find(is_it).unwrap();
            (path.clone(), disk.read(&path).unwrap())
        };
        let segment = file(if packs { "gz" } else { "warc" });
        Self { segment, index: file("idx"), deliveries }
    }

    /// Opens an archive with these files, runs maintenance if `keeps_up`, and reads it. Panics if the archive breaks a
    /// promise.
    fn read(&self, segment: &[u8], index: Option<&[u8]>, keeps_up: bool) -> Found {
        let disk = ModelDisk::new(4096);
        disk.put(&self.segment.0, segment.to_vec());
        if let Some(index) = index {
            disk.put(&self.index.0, index.to_vec());
        }
        runtime().block_on(async {
            let archive = disk.open(builder(true)).await.unwrap();
            if keeps_up {
                archive.maintain_now().await.unwrap();
            }
            let (mut scan, mut deliveries, mut damages) =
                (archive.scan(Query::all()), 0, Vec::new());
            while let Some(entry) = scan.next().await {
                match entry {
                    Ok(found) => {
                        assert!(self.deliveries.contains(&found.delivery), "this was never sent");
                        deliveries += 1;
                    }
                    Err(ArchiveError::Damaged { path, offset, .. }) => damages.push((path, offset)),
                    Err(error) => panic!("{error}"),
                }
            }
            Found { deliveries, damages }
        })
    }

    /// Flips one bit of each byte of the segment in turn, and checks the result. The reader's own tests flip every bit.
    fn flip(&self, index: Option<&[u8]>, keeps_up: bool, mut check: impl FnMut(usize, &Found)) {
        let (_, whole) = &self.segment;
        for at in (0..whole.len()).step_by(stride(17)) {
            check(at, &self.read(&flipped(whole, at), index, keeps_up));
        }
    }
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << (at % 8);
    bytes
}

fn assert_told(sealed: &Sealed, at: usize, found: &Found) {
    let (path, _) = &sealed.segment;
    assert!(found.deliveries + 1 >= sealed.deliveries.len(), "byte {at}: {found:?}");
    let told = match found.damages.as_slice() {
        [(of, offset)] => of == path && *offset <= at as u64,
        // Some bytes of a gzip member have no effect, such as its modification time.
        [] => found.deliveries == sealed.deliveries.len() && path.extension().unwrap() == "gz",
        _ => false,
    };
    assert!(told, "byte {at}: {found:?}");
}

#[test]
fn flipped_bit_in_a_sealed_segment_loses_at_most_one_record_and_is_reported() {
    let sealed = Sealed::make(false);
    sealed.flip(None, false, |at, found| assert_told(&sealed, at, found));
}

#[test]
fn flipped_bit_in_a_compressed_segment_loses_at_most_one_record_and_is_reported() {
    let sealed = Sealed::make(true);
    sealed.flip(None, false, |at, found| assert_told(&sealed, at, found));
}

#[test]
fn rewriting_a_segment_with_a_flipped_bit_loses_nothing_more_and_is_still_reported() {
    let sealed = Sealed::make(false);
    sealed.flip(None, true, |at, found| assert_told(&sealed, at, found));
}

#[test]
fn behind_an_index_file_a_flipped_bit_of_a_segment_is_one_delivery_at_most() {
    for packs in [false, true] {
        let sealed = Sealed::make(packs);
        let (_, index) = &sealed.index;
        sealed.flip(Some(index), false, |at, found| {
            let all = found.deliveries + found.damages.len();
            assert!(
                all == sealed.deliveries.len() && found.damages.len() <= 1,
                "byte {at}: {found:?}"
            );
        });
    }
}

#[test]
fn a_flipped_bit_of_an_index_file_changes_nothing_that_is_read() {
    for packs in [false, true] {
        let sealed = Sealed::make(packs);
        let ((_, segment), (_, index)) = (&sealed.segment, &sealed.index);
        for at in (0..index.len()).step_by(stride(17)) {
            let found = sealed.read(segment, Some(&flipped(index, at)), false);
            assert!(found.deliveries == 3 && found.damages.is_empty(), "byte {at}: {found:?}");
        }
    }
}
