//! The pages and sections of an index file.
//!
//! A section is a sequence of pages, each of at most 4096 bytes with a checksum, so that a part of it can be read and
//! verified without the rest. It contains rows of one width, or a text. No row crosses a page boundary.

use std::io;

use serde::{Deserialize, Serialize};

use crate::archive::disk::{
    format::warc::{Checksum, Salt},
    fs::{file_io::read_full, file_system::DiskFile},
};

const CHECKSUM: usize = size_of::<u32>();

/// The maximum number of bytes of a page that contain rows.
pub(super) const PAYLOAD: usize = 4096 - CHECKSUM;

/// The offset of a section in the file, and its number of rows. A text has as many rows as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) rows: u32,
}

/// Returns the number of rows of this width in a page.
fn rows_in_page(width: usize) -> usize {
    (PAYLOAD / width.max(1)).max(1)
}

/// Collects the pages of a file.
#[derive(Debug)]
pub(super) struct PageWriter {
    salt: Salt,
    /// The number of bytes reserved at the start.
    first: usize,
    bytes: Vec<u8>,
}

impl PageWriter {
    /// Reserves space for a first page with a payload of `first` bytes.
    pub(super) fn behind(first: usize, salt: Salt) -> Self {
        Self { salt, first, bytes: vec![0; first + CHECKSUM] }
    }

    /// Adds a section of rows of this width.
    pub(super) fn section(&mut self, width: usize, rows: &[u8]) -> Section {
        let offset = self.bytes.len() as u64;
        for payload in rows.chunks(rows_in_page(width) * width) {
            let checksum = checksum(self.salt, self.bytes.len() as u64, payload);
            self.bytes.extend_from_slice(payload);
            self.bytes.extend_from_slice(&checksum);
        }
        let rows = u32::try_from(rows.len() / width).unwrap_or(u32::MAX);
        Section { offset, rows }
    }

    /// Returns the bytes of the file. `first` is the payload of the first page.
    pub(super) fn finish(mut self, first: &[u8]) -> Vec<u8> {
        let checksum = checksum(self.salt, 0, first);
        let page = first.iter().chain(&checksum);
        debug_assert_eq!(first.len(), self.first);
        self.bytes.iter_mut().zip(page).for_each(|(to, from)| *to = *from);
        self.bytes
    }
}

fn checksum(salt: Salt, offset: u64, payload: &[u8]) -> [u8; CHECKSUM] {
    Checksum::new(salt).with(&offset.to_le_bytes()).with(payload).finish().to_le_bytes()
}

/// Reads pages, and caches the last one.
#[derive(Debug)]
pub(super) struct Pages<'f> {
    file: &'f dyn DiskFile,
    salt: Salt,
    offset: Option<u64>,
    page: Vec<u8>,
}

impl<'f> Pages<'f> {
    pub(super) fn new(file: &'f dyn DiskFile, salt: Salt) -> Self {
        Self { file, salt, offset: None, page: Vec::new() }
    }

    /// Returns the payload of the page at this offset, `length` bytes long.
    pub(super) fn page(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        if self.offset != Some(offset) || self.page.len() != length {
            self.offset = None;
            self.page.resize(length + CHECKSUM, 0);
            let read = read_full(self.file, &mut self.page, offset)?;
            let (payload, sum) = self.page.split_at_checked(length).unwrap_or_default();
            if read < self.page.len() || sum != checksum(self.salt, offset, payload) {
                return Err(damaged("the checksum of a page does not match"));
            }
            self.page.truncate(length);
            self.offset = Some(offset);
        }
        Ok(&self.page)
    }

    /// Returns the page of a section that contains this row, and the offset of the row in it.
    fn page_of(&mut self, section: Section, width: usize, row: u32) -> io::Result<(&[u8], usize)> {
        if row >= section.rows {
            return Err(damaged("a row lies outside of its section"));
        }
        let in_page = rows_in_page(width);
        let row = usize::try_from(row).unwrap_or(usize::MAX);
        let first = row / in_page * in_page;
        let left = usize::try_from(section.rows).unwrap_or(usize::MAX) - first;
        let before = (row / in_page) as u64 * (in_page * width + CHECKSUM) as u64;
        let page = self.page(section.offset + before, left.min(in_page) * width)?;
        Ok((page, (row - first) * width))
    }

    /// Returns a row of a section whose rows have this width.
    pub(super) fn row(&mut self, section: Section, width: usize, row: u32) -> io::Result<&[u8]> {
        let (page, offset) = self.page_of(section, width, row)?;
        page.get(offset..offset + width).ok_or_else(|| damaged("a row lies outside of its page"))
    }

    /// Returns the first row whose key is not less than `key`. The rows are sorted by their leading bytes.
    pub(super) fn lower_bound(
        &mut self,
        section: Section,
        width: usize,
        key: &[u8],
    ) -> io::Result<u32> {
        let (mut low, mut high) = (0, section.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            let row = self.row(section, width, middle)?;
            if row.get(..key.len()).is_some_and(|prefix| prefix < key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Returns bytes of a section that is a text.
    pub(super) fn text(&mut self, section: Section, from: u32, length: u32) -> io::Result<Vec<u8>> {
        let end = from.checked_add(length).filter(|end| *end <= section.rows);
        let end = end.ok_or_else(|| damaged("a text lies outside of its section"))?;
        let mut text = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let mut at = from;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or_default();
            let (page, offset) = self.page_of(section, 1, at)?;
            let page = page.get(offset..).unwrap_or_default();
            let some = page.get(..wanted.min(page.len())).unwrap_or_default();
            text.extend_from_slice(some);
            at += u32::try_from(some.len()).unwrap_or_default();
        }
        Ok(text)
    }
}

/// The error for an index file whose contents are damaged.
pub(super) fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
