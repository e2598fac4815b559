use std::io;

use super::{file_io::read_full, medium::MediumFile};

/// How much is read at once, and the longest header that is looked for.
pub(super) const WINDOW: usize = 512 * 1024;

/// The part of a file that was read last. Going forward in small steps, nearly every step is in memory already.
#[derive(Debug)]
pub(super) struct Window<'f> {
    file: &'f dyn MediumFile,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'f> Window<'f> {
    /// A window on a file of this length.
    pub(super) fn new(file: &'f dyn MediumFile, length: u64) -> Self {
        Self { file, length, start: 0, bytes: Vec::new() }
    }

    /// At least `wanted` bytes from `offset` on (no more than [`WINDOW`]), as many as are at hand; fewer only at the end
    /// of the file.
    pub(super) fn at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let end = self.length.min(offset.saturating_add(wanted as u64));
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            self.fill(offset)?;
        }
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        // No more than there is: a length in a damaged header must not decide how much memory is taken.
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(WINDOW);
        self.bytes.resize(left.min(WINDOW), 0);
        self.start = offset;
        let read = read_full(self.file, &mut self.bytes, offset)?;
        self.bytes.truncate(read);
        Ok(())
    }
}
