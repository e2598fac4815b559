use crate::archive::disk::name::SegmentName;

/// Bytes of a segment that are no record.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) struct Damage {
    pub(in crate::archive::disk) segment: SegmentName,
    pub(in crate::archive::disk) offset: u64,
    /// How many deliveries come before it.
    pub(in crate::archive::disk) position: usize,
}
