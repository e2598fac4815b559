use std::io;

use crate::archive::disk::fs::{file_io::read_full, medium::MediumFile};

/// The size of one read, and the maximum length of a header, in bytes.
pub(in crate::archive::disk) const WINDOW: usize = 512 * 1024;

/// The most recently read part of a file. When moving forward in small steps, nearly every step is already in memory.
#[derive(Debug)]
pub(in crate::archive::disk) struct Window<'f> {
    file: &'f dyn MediumFile,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'f> Window<'f> {
    /// Creates a window on a file of this length.
    pub(in crate::archive::disk) fn new(file: &'f dyn MediumFile, length: u64) -> Self {
        Self { file, length, start: 0, bytes: Vec::new() }
    }

    /// Returns at least `wanted` bytes starting at `offset` (at most [`WINDOW`]), and all further buffered bytes; fewer
    /// only at the end of the file.
    pub(in crate::archive::disk) fn at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let end = self.length.min(offset.saturating_add(wanted as u64));
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            self.fill(offset)?;
        }
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        // Bounded by the file length, so that a length in a damaged header does not determine how much memory is
        // allocated.
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(WINDOW);
        self.bytes.resize(left.min(WINDOW), 0);
        self.start = offset;
        let read = read_full(self.file, &mut self.bytes, offset)?;
        self.bytes.truncate(read);
        Ok(())
    }
}
