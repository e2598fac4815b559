/// How much an archive takes, and how much is left for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Room {
    /// What it takes, in bytes.
    pub used: u64,
    /// What is free where it lies, in bytes.
    pub free: u64,
}

impl Room {
    /// For archives: how much they take, and how much is free.
    pub fn new(used: u64, free: u64) -> Self {
        Self { used, free }
    }
}
