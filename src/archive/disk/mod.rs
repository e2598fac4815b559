//! The archive on a disk: an append-only log of WARC 1.1 segments (ISO 28500).
//!
//! A directory holds `NUMBER-SALT.warc` files, and one that ends in `.open` while it is being written; `.warc.gz` is a
//! compressed segment. A delivery is a `request` record. An outcome, a repeat, or the ledger entry of a removed
//! delivery is a small `metadata` record that refers to it. Each record carries two checksums: one of the header, so
//! that its length can be trusted, and one of the whole record. A `.idx` file describes the contents of a segment in
//! sorted rows that are searched in place; it may be deleted at any time. `inbox.manifest` lists the segments that
//! should exist, and `inventory` compares it with the directory.
//!
//! | folder | holds |
//! |---|---|
//! | `write` | queue, writer thread, open segment |
//! | `read` | readers, scans, export, verification |
//! | `index` | index in memory of unsettled deliveries |
//! | `maintain` | compaction, compression, retention, erasure |
//! | `format` | WARC records, index files, manifest |
//! | `fs` | access to files; every file is opened through it |
//! | `backup` | backup and restore |

mod archive;
mod background;
mod backup;
mod builder;
mod format;
mod fs;
mod handle;
mod health;
mod index;
mod maintain;
mod open;
mod read;
mod recovery;
#[cfg(test)]
mod tests;
mod write;

pub use archive::DiskArchive;
pub use backup::{Backup, Restored};
pub use builder::DiskArchiveBuilder;
#[cfg(feature = "testing")]
pub(crate) use fs::{
    file_system::{DiskFile, FileId, FileSystem, Lock},
    real_disk::RealDisk,
};
pub use read::{
    stats::Stats,
    verify::{Damage, Verification},
};
