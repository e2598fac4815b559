use std::io;

use super::window::{WINDOW, Window};
use crate::archive::disk::{
    format::{
        entry::DeliveryMeta,
        warc::{
            Checksum, Flaw, Header, Kind, LONGEST_NOTE, MAGIC, Meaning, Salt, TRAILER, kind_of,
            meaning_of,
        },
    },
    fs::medium::MediumFile,
};

/// The read size that covers nearly every header, in bytes.
const MOST_HEADERS: usize = 4 * 1024;

/// Reads a segment record by record, and skips damaged bytes.
#[derive(Debug)]
pub(in crate::archive::disk) struct Walk<'f> {
    window: Window<'f>,
    salt: Salt,
    length: u64,
    at: u64,
}

/// The next item in a segment.
#[derive(Debug)]
pub(in crate::archive::disk) enum Step {
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

impl<'f> Walk<'f> {
    /// Starts at the end of a record, or at 0.
    pub(in crate::archive::disk) fn starting_at(
        file: &'f dyn MediumFile,
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
    pub(in crate::archive::disk) fn step(&mut self) -> io::Result<Option<Step>> {
        let offset = self.at;
        if offset >= self.length {
            return Ok(None);
        }
        let step = match self.probe(offset)? {
            Probe::Whole { length, meaning } => Step::Record { offset, length, meaning },
            Probe::Spoilt { length, meta } => Step::Damage { offset, length, meta },
            Probe::NoRecord => match self.next_header(offset + 1)? {
                Some(next) => Step::Damage { offset, length: next - offset, meta: None },
                None => Step::Torn { offset },
            },
        };
        self.at = match &step {
            Step::Record { length, .. } | Step::Damage { length, .. } => offset + length,
            Step::Torn { .. } => self.length,
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
