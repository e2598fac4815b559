//! The archive on a disk: an append-only log of WARC 1.1 segments (ISO 28500).
//!
//! A directory holds `NUMBER-SALT.warc` files, and one more that ends in `.open` while it is written. A delivery is a
//! `request` record; an outcome or a repeat is a small `metadata` record that refers to it. Each record carries two
//! checksums: one of the header, so that its length can be trusted, and one of all of it.
//!
//! `queue` → `writer` (`pace`, `plan`, `log`, `segment`) is the way in, `reader` and `scan` the way out, `recovery` (`walk`) what
//! happens at the start. Every file is reached through `medium`.

mod archive;
mod background;
mod builder;
mod entry;
mod failure;
mod file_io;
mod format;
mod handle;
mod index;
mod log;
mod medium;
mod mounts;
mod name;
mod pace;
mod plan;
mod probe;
mod queue;
mod reader;
mod real_disk;
mod recovery;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
mod unsynced;
mod walk;
mod warc;
mod window;
mod writer;

pub use archive::DiskArchive;
pub use builder::DiskArchiveBuilder;
#[cfg(feature = "testing")]
pub(crate) use {
    medium::{Medium, MediumFile},
    real_disk::RealDisk,
};
