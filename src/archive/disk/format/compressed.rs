//! Compressed records, each a separate gzip member (Annex D of the standard), so that a record can be read without
//! those before it.

use std::io::{self, Read, Write};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};

use super::warc::{Header, Meaning, Salt, whole_record};
use crate::archive::disk::{
    fs::file_system::DiskFile,
    read::scanner::{Cursor, Scanned, WINDOW, Window},
};

/// The start of every member: the magic bytes, and deflate as the method.
const MEMBER: &[u8] = &[0x1f, 0x8b, 8];

/// Compresses a record into a member.
pub(in crate::archive::disk) fn compress(record: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(record)?;
    encoder.finish()
}

/// Returns whether these bytes begin a member, and not an uncompressed record.
pub(in crate::archive::disk) fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(MEMBER)
}

/// Decompresses a member into a record.
pub(in crate::archive::disk) fn decompress(member: &[u8]) -> io::Result<Vec<u8>> {
    let mut record = Vec::with_capacity(member.len().saturating_mul(4));
    GzDecoder::new(member).read_to_end(&mut record)?;
    Ok(record)
}

/// Decompresses at most `most` bytes of the record in a member that may be truncated or damaged.
pub(in crate::archive::disk) fn decompress_start(member: &[u8], most: usize) -> Vec<u8> {
    let mut start = Vec::new();
    // Bytes before the damage are used, because the record has its own checksum.
    let _ = GzDecoder::new(member).take(most as u64).read_to_end(&mut start);
    start
}

/// Reads a compressed segment record by record, and skips damaged bytes.
#[derive(Debug)]
pub(in crate::archive::disk) struct CompressedScanner<'f> {
    file: &'f dyn DiskFile,
    salt: Salt,
    length: u64,
    at: u64,
}

impl<'f> CompressedScanner<'f> {
    pub(in crate::archive::disk) fn new(file: &'f dyn DiskFile, salt: Salt) -> io::Result<Self> {
        Ok(Self { file, salt, length: file.len()?, at: 0 })
    }

    /// Returns the next step; `None` at the end. The end of a compressed segment is never torn, because the segment was
    /// complete when it was renamed.
    pub(in crate::archive::disk) fn read_next(&mut self) -> io::Result<Option<Scanned>> {
        let offset = self.at;
        if offset >= self.length {
            return Ok(None);
        }
        if let Some((length, meaning)) = self.member(offset)? {
            self.at = offset + length;
            return Ok(Some(Scanned::Record { offset, length, meaning }));
        }
        self.at = self.next_member(offset + 1)?;
        Ok(Some(Scanned::Damage { offset, length: self.at - offset, meta: None }))
    }

    /// Returns the length of the member at `offset` and the meaning of its record, if its checksums match.
    fn member(&self, offset: u64) -> io::Result<Option<(u64, Meaning)>> {
        let mut decoder = GzDecoder::new(Cursor::new(self.file, offset));
        let record = read_record(&mut decoder, self.salt);
        let cursor = decoder.into_inner();
        let end = cursor.finish()?;
        let meaning = record.and_then(|record| whole_record(&record, self.salt));
        Ok(meaning.map(|meaning| (end - offset, meaning)))
    }

    fn next_member(&self, from: u64) -> io::Result<u64> {
        let mut window = Window::new(self.file, self.length);
        let mut at = from;
        while at < self.length {
            let bytes = window.at(at, MEMBER.len())?;
            match bytes.windows(MEMBER.len()).position(|bytes| bytes == MEMBER) {
                Some(place) => {
                    at += place as u64;
                    if self.member(at)?.is_some() {
                        return Ok(at);
                    }
                    at += 1;
                }
                None => at += (bytes.len().saturating_sub(MEMBER.len() - 1)).max(1) as u64,
            }
        }
        Ok(self.length)
    }
}

/// Bytes in a body may look like an endless member, so no more is decompressed than a valid header specifies.
fn read_record(decoder: &mut impl Read, salt: Salt) -> Option<Vec<u8>> {
    let mut record = Vec::new();
    decoder.take(WINDOW as u64).read_to_end(&mut record).ok()?;
    let length = Header::parse(&record, salt).ok()?.record_length()?;
    let rest = length.saturating_sub(record.len() as u64);
    // One byte more than the expected length, so that the end of the member, which holds its checksum, is read.
    decoder.take(rest.saturating_add(1)).read_to_end(&mut record).ok()?;
    (record.len() as u64 == length).then_some(record)
}
