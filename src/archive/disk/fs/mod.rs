//! Access to files: the trait for a file system and its implementation, locks, permissions, free space, and probes.

pub(super) mod file_io;
pub(super) mod file_system;
pub(super) mod lock;
pub(super) mod permissions;
pub(super) mod probe;
pub(super) mod real_disk;
pub(super) mod replace;
pub(super) mod space;
pub(super) mod stall;
pub(super) mod unsynced;
