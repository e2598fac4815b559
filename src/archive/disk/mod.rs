//! The disk archive.
mod archive;
pub use archive::DiskArchive;
