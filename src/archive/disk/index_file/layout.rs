//! The pages and sections of an index file.
//!
//! A file is a row of pages of 4096 bytes, each with a checksum, so that a part of it can be read and trusted without
//! the rest. A section is a row of pages that holds rows of one width, or a text. No row crosses a page.

use std::io;

use serde::{Deserialize, Serialize};

use crate::archive::disk::{
    file_io::read_full,
    medium::MediumFile,
    warc::{Checksum, Salt},
};

/// The bytes of a page, its checksum included.
pub(super) const PAGE: usize = 4096;

/// The bytes of a page that hold rows.
pub(super) const PAYLOAD: usize = PAGE - size_of::<u32>();

/// Where a section begins, in pages, and how many rows it has. A text has as many rows as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) page: u32,
    pub(super) rows: u32,
}

impl Section {
    /// The page of a row, and where the row begins in it.
    fn find(self, width: usize, row: u32) -> (u32, usize) {
        let in_page = u32::try_from(PAYLOAD / width).unwrap_or(1).max(1);
        let offset = usize::try_from(row % in_page).unwrap_or_default() * width;
        (self.page + row / in_page, offset)
    }
}

/// Collects the pages of a file.
#[derive(Debug)]
pub(super) struct PageWriter {
    salt: Salt,
    bytes: Vec<u8>,
}

impl PageWriter {
    /// Leaves the first page free.
    pub(super) fn new(salt: Salt) -> Self {
        Self { salt, bytes: vec![0; PAGE] }
    }

    fn next_page(&self) -> u32 {
        u32::try_from(self.bytes.len() / PAGE).unwrap_or(u32::MAX)
    }

    /// Adds a section of rows of this width.
    pub(super) fn section(&mut self, width: usize, rows: &[u8]) -> Section {
        let page = self.next_page();
        for some in rows.chunks((PAYLOAD / width).max(1) * width) {
            self.page(some);
        }
        let rows = u32::try_from(rows.len() / width).unwrap_or(u32::MAX);
        Section { page, rows }
    }

    fn page(&mut self, payload: &[u8]) {
        let page = page(self.salt, self.next_page(), payload);
        self.bytes.extend_from_slice(&page);
    }

    /// The bytes of the file, of which this is the first page.
    pub(super) fn finish(mut self, first: &[u8]) -> Vec<u8> {
        let first = page(self.salt, 0, first);
        if let Some(free) = self.bytes.get_mut(..PAGE) {
            free.copy_from_slice(&first);
        }
        self.bytes
    }
}

fn page(salt: Salt, number: u32, payload: &[u8]) -> Vec<u8> {
    let mut page = payload.to_vec();
    page.resize(PAYLOAD, 0);
    let checksum = checksum(salt, number, &page);
    page.extend_from_slice(&checksum.to_le_bytes());
    page
}

fn checksum(salt: Salt, page: u32, payload: &[u8]) -> u32 {
    Checksum::new(salt).with(&page.to_le_bytes()).with(payload).finish()
}

/// Reads pages. Keeps the one that was read last.
#[derive(Debug)]
pub(super) struct Pages<'f> {
    file: &'f dyn MediumFile,
    salt: Salt,
    number: Option<u32>,
    page: Vec<u8>,
}

impl<'f> Pages<'f> {
    pub(super) fn new(file: &'f dyn MediumFile, salt: Salt) -> Self {
        Self { file, salt, number: None, page: Vec::new() }
    }

    /// The payload of a page.
    pub(super) fn page(&mut self, number: u32) -> io::Result<&[u8]> {
        if self.number != Some(number) {
            self.number = None;
            self.page.resize(PAGE, 0);
            let read = read_full(self.file, &mut self.page, u64::from(number) * PAGE as u64)?;
            let (payload, sum) = self.page.split_at_checked(PAYLOAD).unwrap_or_default();
            if read < PAGE || sum != checksum(self.salt, number, payload).to_le_bytes() {
                return Err(damaged("the checksum of a page does not match"));
            }
            self.number = Some(number);
        }
        Ok(self.page.get(..PAYLOAD).unwrap_or_default())
    }

    /// A row of a section whose rows have this width.
    pub(super) fn row(&mut self, section: Section, width: usize, row: u32) -> io::Result<&[u8]> {
        let (page, offset) = section.find(width, row);
        let page = self.page(page)?;
        page.get(offset..offset + width).ok_or_else(|| damaged("a row lies outside of its page"))
    }

    /// The first row whose key is not less than `key`. The rows are sorted by the bytes that they begin with.
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

    /// Bytes of a section that is a text.
    pub(super) fn text(&mut self, section: Section, from: u32, length: u32) -> io::Result<Vec<u8>> {
        let end = from.checked_add(length).filter(|end| *end <= section.rows);
        let end = end.ok_or_else(|| damaged("a text lies outside of its section"))?;
        let mut text = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let mut at = from;
        while at < end {
            let (page, offset) = section.find(1, at);
            let wanted = usize::try_from(end - at).unwrap_or_default();
            let page = self.page(page)?.get(offset..).unwrap_or_default();
            let some = page.get(..wanted.min(page.len())).unwrap_or_default();
            text.extend_from_slice(some);
            at += u32::try_from(some.len()).unwrap_or_default();
        }
        Ok(text)
    }
}

/// An index file is not what was written.
pub(super) fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
