use std::io::{self, BufRead, Read};

use crate::archive::disk::fs::file_system::DiskFile;

/// The size of one read, in bytes.
const BUFFER: usize = 64 * 1024;

/// Reads a file from an offset. [`Cursor::finish`] distinguishes a disk failure from damage in the data.
#[derive(Debug)]
pub(in crate::archive::disk) struct Cursor<'f> {
    file: &'f dyn DiskFile,
    /// The file offset at which `buffer` begins.
    start: u64,
    buffer: Vec<u8>,
    used: usize,
    failed: Option<io::Error>,
}

impl<'f> Cursor<'f> {
    pub(in crate::archive::disk) fn new(file: &'f dyn DiskFile, offset: u64) -> Self {
        Self { file, start: offset, buffer: Vec::new(), used: 0, failed: None }
    }

    /// Returns the offset of the next byte, or the error if the disk failed.
    pub(in crate::archive::disk) fn finish(self) -> io::Result<u64> {
        self.failed.map_or(Ok(self.start + self.used as u64), Err)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.start += self.used as u64;
        self.used = 0;
        self.buffer.resize(BUFFER, 0);
        let read = self.file.read_at(&mut self.buffer, self.start);
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
            other => other.map(|_| ()),
        }
    }
}

impl BufRead for Cursor<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used >= self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used = self.used.saturating_add(amount).min(self.buffer.len());
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
