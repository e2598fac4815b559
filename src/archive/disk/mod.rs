//! The archive on a disk: an append-only log of WARC 1.1 segments (ISO 28500).
//!
//! A directory holds `NUMBER-SALT.warc` files, and one that ends in `.open` while it is being written; `.warc.gz` is a
//! compressed segment. A delivery is a `request` record. An outcome, a repeat, or the ledger entry of a removed
//! delivery is a small `metadata` record that refers to it. Each record carries two checksums: one of the header, so
//! that its length can be trusted, and one of the whole record. A `.idx` file describes the contents of a segment in
//! sorted rows that are searched in place; it may be deleted at any time. `inbox.manifest` lists the segments that
//! should exist, and `inventory` compares it with the directory.
//!
//! Write path: `queue` → `writer` (`pace`, `plan`, `log`, `segment`). Read path: `reader` and `scan`. Startup:
//! `recovery` (`load`, `walk`). Maintenance of sealed segments: `keeper` (`rewrite`). All files are accessed through
//! `medium`.

mod archive;
mod background;
mod backup;
mod batch;
mod builder;
mod chores;
mod command;
mod cursor;
mod entry;
mod export;
mod failure;
mod file_io;
mod forget;
mod format;
mod handle;
mod health;
mod index;
mod index_file;
mod indexing;
mod inventory;
mod keeper;
mod ledger;
mod listing;
mod load;
mod lock;
mod log;
mod lost;
mod manifest;
mod medium;
mod mounts;
mod name;
mod open;
mod pace;
mod packed;
mod permissions;
mod plan;
mod probe;
mod queue;
mod read_only;
mod reader;
mod real_disk;
mod recovery;
mod replace;
mod request;
mod rewrite;
mod scan;
mod segment;
mod shared;
mod space;
mod stall;
mod state;
mod stats;
mod steps;
mod superseded;
mod terms;
#[cfg(test)]
mod tests;
mod unsynced;
mod upkeep;
mod verify;
mod walk;
mod warc;
mod window;
mod writer;

pub use archive::DiskArchive;
pub use backup::{Backup, Restored};
pub use builder::DiskArchiveBuilder;
pub use stats::Stats;
pub use verify::{Damage, Verification};
#[cfg(feature = "testing")]
pub(crate) use {
    medium::{FileId, Lock, Medium, MediumFile},
    real_disk::RealDisk,
};
