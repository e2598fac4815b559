use std::path::PathBuf;

/// A call that changed the disk. Files are identified by number, because they can be renamed while open.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Create(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDir(PathBuf),
    Append(usize, Vec<u8>),
    Cut(usize, usize),
    Sync(usize),
    /// A sync that failed.
    Forget(usize),
}
