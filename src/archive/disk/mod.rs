//! The archive on a disk: an append-only log of WARC 1.1 segments (ISO 28500).
//!
//! A directory holds `NUMBER-SALT.warc` files, and one more that ends in `.open` while it is written; `.warc.gz` is a
//! segment that was compressed. A delivery is a `request` record; an outcome, a repeat, or what stays of a delivery that
//! was removed is a small `metadata` record that refers to it. Each record carries two checksums: one of the header, so
//! that its length can be trusted, and one of all of it. A `.idx` file tells what a segment holds, in sorted rows that are
//! searched where they lie, and may be deleted at any time. `inbox.manifest` lists the segments that there are to be, and
//! `inventory` compares.
//!
//! `queue` → `writer` (`pace`, `plan`, `log`, `segment`) is the way in, `reader` and `scan` the way out, `recovery` (`load`,
//! `walk`) what happens at the start, `keeper` (`rewrite`) what happens to sealed segments. Every file is reached through
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
