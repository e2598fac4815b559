/// The storage space of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageUsage {
    /// The bytes that the archive uses.
    pub used: u64,
    /// The bytes that are free where the archive is stored.
    pub free: u64,
}

impl StorageUsage {
    /// For archives: the bytes used and free.
    pub fn new(used: u64, free: u64) -> Self {
        Self { used, free }
    }
}
