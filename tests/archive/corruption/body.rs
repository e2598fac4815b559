//! The damage to a segment and the checks after it. `fuzz/` includes this file, so it uses only public items.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use tower_inbox::{
    Delivery, DiskArchive, Outcome,
    archive::{Append, Archive, ArchiveError, Query},
    testing::{ModelDisk, Sample},
};

/// The result of reading a damaged segment.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) deliveries: usize,
    /// The segments and offsets of reported damage.
    pub(crate) damages: Vec<(PathBuf, u64)>,
    /// The number of bytes cut from the end.
    pub(crate) cut: usize,
}

/// A real segment, and its deliveries.
pub(crate) struct Whole {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) deliveries: Vec<Delivery>,
}

fn in_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

pub(crate) fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| in_a_runtime(make()))
}

async fn make() -> Whole {
    let disk = ModelDisk::new(4096);
    let archive = disk.open(DiskArchive::builder("inbox")).await.unwrap();
    let forged = "\r\n\r\nWARC/1.1\r\nWARC-Type: request\r\nContent-Length: 99999999\r\n\r\n";
    let mut deliveries = Vec::new();
    for body in ["a", "", &forged.repeat(20), "x: WARC/1.1\r\n", &"z".repeat(2000), "last"] {
        let one = Sample::of("/m").header("x-name", b"caf\xe9").body(body.to_owned()).delivery();
        let append = Append::new(one.clone()).leased_for(Duration::from_secs(60));
        let lease = archive.append(append).await.unwrap().lease.unwrap();
        archive.settle(lease, Outcome::failed("as a test"), Duration::ZERO).await.unwrap();
        deliveries.push(one);
    }
    drop(archive);
    let path = disk.files().into_iter().find(|path| path.extension().unwrap() == "open").unwrap();
    Whole { bytes: disk.read(&path).unwrap(), path, deliveries }
}

/// Changes `bytes` as specified by `script`, in steps of four bytes: the kind of change, the offset (two bytes), and an
/// argument such as the length.
pub(crate) fn mangle(mut bytes: Vec<u8>, script: &[u8]) -> Vec<u8> {
    for step in script.chunks_exact(4).take(64) {
        let at = usize::from(u16::from_le_bytes([step[1], step[2]])) % (bytes.len() + 1);
        let end = (at + 1 + usize::from(step[3])).min(bytes.len());
        let piece = bytes[at..end].to_vec();
        match step[0] % 7 {
            0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (step[3] % 8)),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => bytes[at..end].fill(0),
            4 => drop(bytes.splice(at..at, piece)),
            5 => bytes[at..end].rotate_left(piece.len() / 2),
            // Inserts bytes from another offset, such as a whole record.
            _ => drop(bytes.splice(at..at, splice_source(step[3]).to_vec())),
        }
    }
    bytes
}

fn splice_source(which: u8) -> &'static [u8] {
    let whole = &whole().bytes;
    let from = usize::from(which) * 13 % whole.len();
    &whole[from..(from + 900).min(whole.len())]
}

/// Opens an archive with these bytes as its segment. Panics if the archive breaks a promise.
pub(crate) fn read(bytes: &[u8]) -> Read {
    let disk = ModelDisk::new(4096);
    disk.put(&whole().path, bytes.to_vec());
    in_a_runtime(async {
        let archive = disk.open(DiskArchive::builder("inbox")).await.unwrap();
        let mut scan = archive.scan(Query::all());
        let (mut deliveries, mut damages) = (0, Vec::new());
        while let Some(entry) = scan.next().await {
            match entry {
                Ok(found) => {
                    assert!(whole().deliveries.contains(&found.delivery), "this was never sent");
                    deliveries += 1;
                }
                Err(ArchiveError::Damaged { path, offset, .. }) => damages.push((path, offset)),
                Err(error) => panic!("{error}"),
            }
        }
        // Damage makes reading slower, but within a bound.
        let most = 64 * (bytes.len() as u64 + 65_536);
        assert!(disk.bytes_read() <= most, "{} bytes read of {}", disk.bytes_read(), bytes.len());
        let left = disk.read(&whole().path).unwrap().len();
        let next = Sample::of("/next").body("next").delivery();
        assert!(archive.append(Append::new(next)).await.is_ok(), "appending does not go on");
        Read { deliveries, damages, cut: bytes.len() - left }
    })
}
