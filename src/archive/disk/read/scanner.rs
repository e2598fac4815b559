use std::io::{self, BufRead, Read};

use crate::archive::disk::{
    format::{
        compressed::CompressedScanner,
        entry::DeliveryMeta,
        name::{SegmentName, SegmentState},
        warc::{
            Checksum, Flaw, Header, Kind, LONGEST_NOTE, MAGIC, Meaning, Salt, TRAILER, kind_of,
            meaning_of,
        },
    },
    fs::{file_io::read_full, file_system::DiskFile},
};

/// The read size that covers nearly every header, in bytes.
const MOST_HEADERS: usize = 4 * 1024;

/// Reads a segment record by record, and skips damaged bytes.
#[derive(Debug)]
pub(in crate::archive::disk) struct PlainScanner<'f> {
    window: Window<'f>,
    salt: Salt,
    length: u64,
    at: u64,
}

/// The next item in a segment.
#[derive(Debug)]
pub(in crate::archive::disk) enum Scanned {
    /// A record whose checksums match.
    Record { offset: u64, length: u64, meaning: Meaning },
    /// Invalid bytes in the place of a record, and the metadata if the header of a delivery is intact.
    Damage { offset: u64, length: u64, meta: Option<DeliveryMeta> },
    /// Invalid bytes up to the end: an incomplete write when the process or the machine crashed.
    Torn { offset: u64 },
}

enum Probe {
    Whole {
        length: u64,
        meaning: Meaning,
    },
    /// The header and the end of the record are intact, but the data between them is damaged.
    Spoilt {
        length: u64,
        meta: Option<DeliveryMeta>,
    },
    NoRecord,
}

/// The header fields that are kept while the block is read through the same window.
struct Head {
    length: u64,
    record_length: u64,
    content_length: u64,
    expected: u32,
    checksum: Checksum,
    kind: Kind,
}

impl<'f> PlainScanner<'f> {
    /// Starts at the end of a record, or at 0.
    pub(in crate::archive::disk) fn starting_at(
        file: &'f dyn DiskFile,
        salt: Salt,
        offset: u64,
    ) -> io::Result<Self> {
        let length = file.len()?;
        Ok(Self { window: Window::new(file, length), salt, length, at: offset })
    }

    /// Returns the length of the segment.
    pub(in crate::archive::disk) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the next step; `None` at the end.
    pub(in crate::archive::disk) fn read_next(&mut self) -> io::Result<Option<Scanned>> {
        let offset = self.at;
        if offset >= self.length {
            return Ok(None);
        }
        let step = match self.probe(offset)? {
            Probe::Whole { length, meaning } => Scanned::Record { offset, length, meaning },
            Probe::Spoilt { length, meta } => Scanned::Damage { offset, length, meta },
            Probe::NoRecord => match self.next_header(offset + 1)? {
                Some(next) => Scanned::Damage { offset, length: next - offset, meta: None },
                None => Scanned::Torn { offset },
            },
        };
        self.at = match &step {
            Scanned::Record { length, .. } | Scanned::Damage { length, .. } => offset + length,
            Scanned::Torn { .. } => self.length,
        };
        Ok(Some(step))
    }

    fn probe(&mut self, offset: u64) -> io::Result<Probe> {
        let Some(head) = self.head(offset)? else {
            return Ok(Probe::NoRecord);
        };
        let Some(end) = offset.checked_add(head.record_length).filter(|end| *end <= self.length)
        else {
            return Ok(Probe::NoRecord);
        };
        if !self.window.at(end - TRAILER.len() as u64, TRAILER.len())?.starts_with(TRAILER) {
            return Ok(Probe::NoRecord);
        }
        self.read_block(offset + head.length, head)
    }

    /// Returns the header at `offset`, if its checksum matches.
    fn head(&mut self, offset: u64) -> io::Result<Option<Head>> {
        match self.head_within(offset, MOST_HEADERS)? {
            Err(Flaw::Cut) => Ok(self.head_within(offset, WINDOW)?.unwrap_or_default()),
            found => Ok(found.unwrap_or_default()),
        }
    }

    fn head_within(&mut self, offset: u64, limit: usize) -> io::Result<Result<Option<Head>, Flaw>> {
        let salt = self.salt;
        let window = self.window.at(offset, limit)?;
        let window = window.get(..limit).unwrap_or(window);
        Ok(Header::parse(window, salt).map(|header| head(&header, salt)))
    }

    fn read_block(&mut self, start: u64, head: Head) -> io::Result<Probe> {
        let mut checksum = head.checksum;
        let end = start + head.content_length;
        let mut at = start;
        while at < end {
            let window = self.window.at(at, 1)?;
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let Some(part) = window.get(..left.min(window.len())).filter(|part| !part.is_empty())
            else {
                return Ok(Probe::NoRecord);
            };
            checksum.update(part);
            at += part.len() as u64;
        }
        let length = head.record_length;
        if checksum.finish() != head.expected {
            return Ok(Probe::Spoilt { length, meta: head.kind.meta() });
        }
        let meaning = self.meaning(head.kind, start, head.content_length)?;
        Ok(Probe::Whole { length, meaning })
    }

    fn meaning(&mut self, kind: Kind, block: u64, length: u64) -> io::Result<Meaning> {
        let wanted = if matches!(kind, Kind::Note { .. }) { length.min(LONGEST_NOTE) } else { 0 };
        let length = usize::try_from(wanted).unwrap_or(0);
        let block = self.window.at(block, length)?.get(..length).unwrap_or_default();
        Ok(meaning_of(kind, block))
    }

    /// Returns the next offset, starting at `from`, of a header whose checksum matches. A body cannot contain one,
    /// because the salt is secret.
    fn next_header(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at < self.length {
            let window = self.window.at(at, MAGIC.len())?;
            match window.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
                Some(place) => {
                    at += place as u64;
                    if self.is_header(at)? {
                        return Ok(Some(at));
                    }
                    at += 1;
                }
                // The last bytes may be the start of a header that continues beyond the window.
                None => at += (window.len().saturating_sub(MAGIC.len() - 1)).max(1) as u64,
            }
        }
        Ok(None)
    }

    /// Returns whether a valid header begins at `offset`. Bodies can be full of bytes that look like the start of a
    /// header. The end of a header is searched for at any distance only after a trailer, where a record is expected,
    /// and otherwise only nearby, so that a hostile body cannot make the scan excessively slow.
    fn is_header(&mut self, offset: u64) -> io::Result<bool> {
        let trailer = offset.saturating_sub(TRAILER.len() as u64);
        if self.window.at(trailer, TRAILER.len())?.starts_with(TRAILER) {
            return Ok(self.head(offset)?.is_some());
        }
        Ok(self.head_within(offset, MOST_HEADERS)?.is_ok_and(|head| head.is_some()))
    }
}

fn head(header: &Header<'_>, salt: Salt) -> Option<Head> {
    Some(Head {
        length: header.len() as u64,
        record_length: header.record_length()?,
        content_length: header.content_length(),
        expected: header.expected(),
        checksum: header.begin_checksum(salt),
        kind: kind_of(header),
    })
}

/// Reads a segment in any form.
///
/// Only the end of a segment that was being written can be torn. A sealed segment was complete when it was renamed, so
/// that invalid bytes at its end are damage, as anywhere else.
#[derive(Debug)]
pub(in crate::archive::disk) enum RecordScanner<'f> {
    Open(PlainScanner<'f>),
    Sealed(PlainScanner<'f>),
    Packed(CompressedScanner<'f>),
}

impl<'f> RecordScanner<'f> {
    pub(in crate::archive::disk) fn of(
        file: &'f dyn DiskFile,
        name: SegmentName,
        segment_state: SegmentState,
    ) -> io::Result<Self> {
        Self::starting_at(file, name, segment_state, 0)
    }

    /// Starts at the end of a record. A compressed segment is always read from its beginning.
    pub(in crate::archive::disk) fn starting_at(
        file: &'f dyn DiskFile,
        name: SegmentName,
        segment_state: SegmentState,
        offset: u64,
    ) -> io::Result<Self> {
        Ok(match segment_state {
            SegmentState::Active => Self::Open(PlainScanner::starting_at(file, name.salt, offset)?),
            SegmentState::Sealed => {
                Self::Sealed(PlainScanner::starting_at(file, name.salt, offset)?)
            }
            SegmentState::Compressed => Self::Packed(CompressedScanner::new(file, name.salt)?),
        })
    }

    pub(in crate::archive::disk) fn read_next(&mut self) -> io::Result<Option<Scanned>> {
        match self {
            Self::Open(walk) => walk.read_next(),
            Self::Sealed(walk) => {
                let length = walk.length();
                Ok(walk.read_next()?.map(|step| not_torn(step, length)))
            }
            Self::Packed(walk) => walk.read_next(),
        }
    }
}

fn not_torn(step: Scanned, end: u64) -> Scanned {
    match step {
        Scanned::Torn { offset } => {
            Scanned::Damage { offset, length: end.saturating_sub(offset), meta: None }
        }
        step => step,
    }
}

/// The size of one read, and the maximum length of a header, in bytes.
pub(in crate::archive::disk) const WINDOW: usize = 512 * 1024;

/// The most recently read part of a file. When moving forward in small steps, nearly every step is already in memory.
#[derive(Debug)]
pub(in crate::archive::disk) struct Window<'f> {
    file: &'f dyn DiskFile,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'f> Window<'f> {
    /// Creates a window on a file of this length.
    pub(in crate::archive::disk) fn new(file: &'f dyn DiskFile, length: u64) -> Self {
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
