use std::path::PathBuf;

/// A call that changed the disk. Files go by their number, since they can be renamed while they are open.
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
