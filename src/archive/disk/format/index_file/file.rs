use std::{
    io,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{
    build::Filter,
    layout::{PAYLOAD, PageWriter, Pages, Section, damaged},
    row::{self, ENTRY, FOREIGN, take_id},
};
use crate::{
    archive::{
        Counts, Query, StateFilter,
        disk::{
            format::{
                name::{SegmentName, SegmentState},
                warc::Salt,
            },
            fs::file_system::{DiskFile, Failure, FileSystem},
            index::{ForeignRecord, IndexEntry, LogPosition, Position},
        },
    },
    delivery::{DeliveryId, ModelName, State, StateKind},
};

const MAGIC: &[u8; 16] = b"inbox-index   2\n";

/// The length of the first page, in bytes: magic bytes, generation, and position of the header.
pub(super) const FIRST: usize = MAGIC.len() + 8 + 8 + 4;

/// The width of a row with the prefix of an id, and a number.
pub(super) const ID_ROW: usize = ID_PREFIX + NUMBER;

/// In a UUID version 7, these bytes are the time and twelve random bits.
pub(super) const ID_PREFIX: usize = 8;

/// The width of a row with the prefix of a fingerprint or of an inference id, and a number.
pub(super) const KEY_ROW: usize = KEY_PREFIX + NUMBER;

pub(super) const KEY_PREFIX: usize = 6;

pub(super) const NUMBER: usize = size_of::<u32>();

/// The part of an index file that is held in memory.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) segment: String,
    /// Random: an index file written later under the same name has a different generation.
    pub(super) generation: u64,
    /// The number of bytes of the segment that the file covers.
    pub(super) length: u64,
    /// Whether the segment is compressed.
    pub(super) packed: bool,
    /// Whether the segment was sealed.
    pub(super) sealed: bool,
    /// All records of the log before this position are included.
    #[serde(rename = "folded")]
    pub(super) flushed: LogPosition,
    pub(super) entries: u32,
    pub(super) models: Vec<String>,
    /// The number of deliveries with a body of each model, by state.
    pub(super) counts: Vec<Vec<u64>>,
    /// The number of deliveries without a body.
    pub(super) removed: u64,
    /// The times of receipt of the first and the last delivery with a body.
    pub(super) received: Option<(SystemTime, SystemTime)>,
    /// The lowest and the highest id.
    pub(super) ids: Option<([u8; 16], [u8; 16])>,
    /// The other segments that contain deliveries for which this one records states.
    pub(super) homes: Vec<String>,
    /// Bytes that are not a record: their offset, and the number of the next entry.
    pub(super) damages: Vec<(u64, u32)>,
    pub(super) sections: Sections,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sections {
    pub(super) entries: Section,
    pub(super) by_id: Section,
    pub(super) by_fingerprint: Section,
    pub(super) by_inference: Section,
    /// The numbers of deliveries that are unsettled, or whose removal is incomplete.
    pub(super) attention: Section,
    pub(super) dead: Section,
    pub(super) undecodable: Section,
    pub(super) foreign: Section,
    pub(super) texts: Section,
    pub(super) fingerprint_filter: Section,
    pub(super) inference_filter: Section,
}

impl Header {
    pub(super) fn note_time(&mut self, at: SystemTime) {
        let (first, last) = self.received.unwrap_or((at, at));
        self.received = Some((first.min(at), last.max(at)));
    }
}

/// Adds the header after the sections, and the first page, which contains the position of the header.
pub(super) fn finish(mut pages: PageWriter, header: &Header) -> Vec<u8> {
    // Serialization fails only for maps with keys that are not strings, and the header has none.
    let text = serde_json::to_vec(header).unwrap_or_default();
    let section = pages.section(1, &text);
    let mut first = MAGIC.to_vec();
    first.extend_from_slice(&header.generation.to_le_bytes());
    first.extend_from_slice(&section.offset.to_le_bytes());
    first.extend_from_slice(&section.rows.to_le_bytes());
    pages.finish(&first)
}

/// Returns the generation of a file and the position of its header, both from the first page.
fn first_page(pages: &mut Pages<'_>) -> io::Result<(u64, Section)> {
    let first = pages.page(0, FIRST)?.strip_prefix(MAGIC).unwrap_or_default();
    let parts = first.split_first_chunk().and_then(|(generation, rest)| {
        let (offset, rest) = rest.split_first_chunk()?;
        Some((*generation, *offset, *rest.first_chunk()?))
    });
    let (generation, offset, rows) = parts.ok_or_else(|| damaged("it is no index file"))?;
    let section = Section { offset: u64::from_le_bytes(offset), rows: u32::from_le_bytes(rows) };
    Ok((u64::from_le_bytes(generation), section))
}

fn read_header(file: &dyn DiskFile, name: SegmentName) -> io::Result<Header> {
    let mut pages = Pages::new(file, name.salt);
    let (generation, section) = first_page(&mut pages)?;
    // A damaged length must not determine how much memory is allocated.
    if u64::from(section.rows) > file.len()? {
        return Err(damaged("its header is longer than the file"));
    }
    let text = pages.text(section, 0, section.rows)?;
    let header: Header = serde_json::from_slice(&text).map_err(io::Error::other)?;
    if header.generation != generation || header.segment != name.to_string() {
        return Err(damaged("it is of another segment"));
    }
    Ok(header)
}

/// An index file that matches its segment. Rows are read on demand.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct IndexFile {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    salt: Salt,
    header: Arc<Header>,
    models: Arc<[ModelName]>,
    /// Loaded only if appends use them.
    filters: Option<Arc<(Filter, Filter)>>,
    /// Kept open while the file may be renamed or removed.
    pinned: Option<Arc<dyn DiskFile>>,
}

/// The reason why an index file is not used.
#[derive(Debug)]
pub(in crate::archive::disk) enum IndexMismatch {
    Missing,
    /// The file covers more bytes than the segment has: this many are missing.
    Longer(NonZeroU64),
    Other(io::Error),
}

/// The state that a segment records for a delivery in another segment.
#[derive(Debug)]
pub(in crate::archive::disk) struct Foreign {
    pub(in crate::archive::disk) position: Position,
    pub(in crate::archive::disk) id: DeliveryId,
    pub(in crate::archive::disk) removed: bool,
    pub(in crate::archive::disk) record: ForeignRecord,
    pub(in crate::archive::disk) state: State,
}

/// Returns the number of bytes missing at the end of a segment of this length, according to its index file.
pub(in crate::archive::disk) fn missing(
    fs: &dyn FileSystem,
    dir: &Path,
    name: SegmentName,
    length: u64,
) -> Option<NonZeroU64> {
    let file = fs.open_read(&name.index_path(dir)).ok()?;
    let header = read_header(&*file, name).ok()?;
    NonZeroU64::new(header.length.checked_sub(length)?)
}

impl IndexFile {
    /// Opens the index file of a segment, if it matches a segment of this form and length. The segment may be longer:
    /// the rest still has to be read.
    pub(in crate::archive::disk) fn open(
        fs: &Arc<dyn FileSystem>,
        path: PathBuf,
        (name, segment_state): (SegmentName, SegmentState),
        length: u64,
    ) -> Result<Self, IndexMismatch> {
        let file = fs.open_read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => IndexMismatch::Missing,
            _ => IndexMismatch::Other(error),
        })?;
        let header = read_header(&*file, name).map_err(IndexMismatch::Other)?;
        if let Some(missing) = header.length.checked_sub(length).and_then(NonZeroU64::new) {
            return Err(IndexMismatch::Longer(missing));
        }
        let is_compressed = segment_state == SegmentState::Compressed;
        if header.packed != is_compressed || (is_compressed && header.length != length) {
            return Err(IndexMismatch::Other(damaged("it is of another form of the segment")));
        }
        let models = header.models.iter().map(|model| model.parse()).collect::<Result<_, _>>();
        let models = models.map_err(|error| IndexMismatch::Other(io::Error::other(error)))?;
        let fs = Arc::clone(fs);
        let header = Arc::new(header);
        Ok(Self { fs, path, salt: name.salt, header, models, filters: None, pinned: None })
    }

    /// Loads the filters into memory.
    pub(in crate::archive::disk) fn with_filters(mut self) -> Result<Self, Failure> {
        let Sections { fingerprint_filter, inference_filter, .. } = self.header.sections;
        let filters = self.read(|pages| {
            let fingerprints = pages.text(fingerprint_filter, 0, fingerprint_filter.rows)?;
            let inferences = pages.text(inference_filter, 0, inference_filter.rows)?;
            Ok((Filter::from_bytes(fingerprints), Filter::from_bytes(inferences)))
        })?;
        self.filters = Some(Arc::new(filters));
        Ok(self)
    }

    /// Keeps the file open, so that it can be read after its name is removed.
    pub(in crate::archive::disk) fn pin(&mut self) -> Result<(), Failure> {
        self.pinned = Some(self.file().map_err(Failure::to("open", &self.path))?);
        Ok(())
    }

    /// Sets the new path of the file after a rename.
    pub(in crate::archive::disk) fn renamed(&mut self, path: PathBuf) {
        self.path = path;
        self.pinned = None;
    }

    pub(in crate::archive::disk) fn length(&self) -> u64 {
        self.header.length
    }

    pub(in crate::archive::disk) fn is_sealed(&self) -> bool {
        self.header.sealed
    }

    pub(in crate::archive::disk) fn flushed(&self) -> LogPosition {
        self.header.flushed
    }

    /// Returns the number of entries.
    pub(in crate::archive::disk) fn len(&self) -> u32 {
        self.header.entries
    }

    pub(in crate::archive::disk) fn removed(&self) -> u64 {
        self.header.removed
    }

    pub(in crate::archive::disk) fn received(&self) -> Option<(SystemTime, SystemTime)> {
        self.header.received
    }

    pub(in crate::archive::disk) fn damages(&self) -> &[(u64, u32)] {
        &self.header.damages
    }

    pub(in crate::archive::disk) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (model, of_model) in self.models.iter().zip(&self.header.counts) {
            for (kind, count) in StateKind::ALL.into_iter().zip(of_model) {
                counts.add(model, kind, *count);
            }
        }
        counts
    }

    /// Returns true if this id is between the lowest and the highest id of the file.
    pub(in crate::archive::disk) fn may_hold_id(&self, id: DeliveryId) -> bool {
        self.header.ids.is_some_and(|(first, last)| (first..=last).contains(id.as_bytes()))
    }

    /// Returns those of these sorted ids that are between the lowest and the highest id of the file.
    pub(in crate::archive::disk) fn ids_in_range<'i>(
        &self,
        ids: &'i [DeliveryId],
    ) -> &'i [DeliveryId] {
        let Some((first, last)) = self.header.ids else { return &[] };
        let from = ids.partition_point(|id| *id.as_bytes() < first);
        let to = ids.partition_point(|id| *id.as_bytes() <= last);
        ids.get(from..to).unwrap_or_default()
    }

    pub(in crate::archive::disk) fn may_hold_fingerprint(&self, fingerprint: &[u8; 12]) -> bool {
        self.filters.as_ref().is_none_or(|filters| filters.0.may_hold(fingerprint))
    }

    pub(in crate::archive::disk) fn may_hold_inference(&self, inference: &[u8; 12]) -> bool {
        self.filters.as_ref().is_none_or(|filters| filters.1.may_hold(inference))
    }

    fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        match &self.pinned {
            Some(file) => Ok(Arc::clone(file)),
            None => Ok(self.fs.open_read(&self.path)?.into()),
        }
    }

    /// Reads pages of the file that was opened, not of a file that has replaced it.
    fn read<T>(&self, read: impl FnOnce(&mut Pages<'_>) -> io::Result<T>) -> Result<T, Failure> {
        let read = || {
            let file = self.file()?;
            let mut pages = Pages::new(&*file, self.salt);
            if first_page(&mut pages)?.0 != self.header.generation {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the index file was replaced"));
            }
            read(&mut pages)
        };
        read().map_err(Failure::to("read", &self.path))
    }

    fn entry_in(&self, pages: &mut Pages<'_>, number: u32) -> io::Result<IndexEntry> {
        // Copied, because the text of the row is on another page.
        let mut row = [0; ENTRY];
        row.copy_from_slice(pages.row(self.header.sections.entries, ENTRY, number)?);
        let mut text = |start, length| self.text(pages, start, length);
        let entry = row::entry(&row, &self.models, &mut text)?;
        entry.ok_or_else(|| damaged("an entry is not what was written"))
    }

    fn text(&self, pages: &mut Pages<'_>, start: u32, length: u32) -> io::Result<String> {
        let text = pages.text(self.header.sections.texts, start, length)?;
        String::from_utf8(text).map_err(io::Error::other)
    }

    /// Returns the entry with this number.
    pub(in crate::archive::disk) fn entry(&self, number: u32) -> Result<IndexEntry, Failure> {
        self.read(|pages| self.entry_in(pages, number))
    }

    /// Returns the entries with these numbers.
    pub(in crate::archive::disk) fn entries(
        &self,
        numbers: impl IntoIterator<Item = u32>,
    ) -> Result<Vec<(u32, IndexEntry)>, Failure> {
        self.read(|pages| {
            numbers.into_iter().map(|number| Ok((number, self.entry_in(pages, number)?))).collect()
        })
    }

    /// Returns the numbers of the entries with this id.
    pub(in crate::archive::disk) fn of_id(&self, id: DeliveryId) -> Result<Vec<u32>, Failure> {
        let prefix = id.as_bytes().get(..ID_PREFIX).unwrap_or_default();
        self.find(self.header.sections.by_id, ID_ROW, prefix, |entry| entry.id == id)
    }

    /// Returns the entries with these ids, which must be sorted. Reads each page of the range once.
    pub(in crate::archive::disk) fn of_ids(
        &self,
        ids: &[DeliveryId],
    ) -> Result<Vec<(u32, IndexEntry)>, Failure> {
        let section = self.header.sections.by_id;
        let prefix = |id: &DeliveryId| id.as_bytes().first_chunk::<ID_PREFIX>().copied();
        let mut prefixes: Vec<_> = ids.iter().filter_map(prefix).collect();
        prefixes.dedup();
        let (Some(first), Some(last)) = (prefixes.first(), prefixes.last()) else {
            return Ok(Vec::new());
        };
        self.read(|pages| {
            let mut numbers = Vec::new();
            for row in pages.lower_bound(section, ID_ROW, first)?..section.rows {
                let row = pages.row(section, ID_ROW, row)?;
                let (Some(prefix), Some(number)) = (row.first_chunk(), row.last_chunk()) else {
                    break;
                };
                if prefix > last {
                    break;
                }
                if prefixes.binary_search(prefix).is_ok() {
                    numbers.push(u32::from_be_bytes(*number));
                }
            }
            numbers.sort_unstable();
            let entries = numbers.into_iter();
            let entries = entries.map(|number| Ok((number, self.entry_in(pages, number)?)));
            let is_wanted = |entry: &IndexEntry| ids.binary_search(&entry.id).is_ok();
            let wanted = |found: &io::Result<(u32, IndexEntry)>| {
                found.as_ref().map_or(true, |(_, entry)| is_wanted(entry))
            };
            entries.filter(wanted).collect()
        })
    }

    /// Returns the numbers of the entries with this fingerprint, in order.
    pub(in crate::archive::disk) fn of_fingerprint(
        &self,
        of: &[u8; 12],
    ) -> Result<Vec<u32>, Failure> {
        let prefix = of.get(..KEY_PREFIX).unwrap_or_default();
        let section = self.header.sections.by_fingerprint;
        self.find(section, KEY_ROW, prefix, |entry| entry.fingerprint == *of)
    }

    /// Returns the numbers of the entries that were processed as this inference, in order.
    pub(in crate::archive::disk) fn of_inference(
        &self,
        of: &[u8; 12],
    ) -> Result<Vec<u32>, Failure> {
        let prefix = of.get(..KEY_PREFIX).unwrap_or_default();
        let is_of = |entry: &IndexEntry| {
            entry.processed_as().is_some_and(|inference| inference.id().as_bytes() == of)
        };
        self.find(self.header.sections.by_inference, KEY_ROW, prefix, is_of)
    }

    /// Returns the numbers of the rows that start with a prefix and whose entries match the full key.
    fn find(
        &self,
        section: Section,
        width: usize,
        prefix: &[u8],
        is_of: impl Fn(&IndexEntry) -> bool,
    ) -> Result<Vec<u32>, Failure> {
        self.read(|pages| {
            let first = pages.lower_bound(section, width, prefix)?;
            let mut candidates = Vec::new();
            for row in first..section.rows {
                let row = pages.row(section, width, row)?;
                let Some(number) = row.strip_prefix(prefix) else { break };
                candidates.extend(number.first_chunk().map(|number| u32::from_be_bytes(*number)));
            }
            let mut numbers = Vec::new();
            for number in candidates {
                if is_of(&self.entry_in(pages, number)?) {
                    numbers.push(number);
                }
            }
            Ok(numbers)
        })
    }

    /// Returns the numbers of the entries that must be in memory.
    pub(in crate::archive::disk) fn attention(&self) -> Result<Vec<u32>, Failure> {
        let section = self.header.sections.attention;
        self.read(|pages| numbers(pages, section, 0..section.rows))
    }

    /// Returns the numbers in `range` whose entries may match the states of the query, if the file lists them; `None`
    /// if any may.
    pub(in crate::archive::disk) fn listed(
        &self,
        query: &Query,
        range: std::ops::Range<u32>,
    ) -> Result<Option<Vec<u32>>, Failure> {
        let section = match query.selected_states() {
            StateFilter::Only(StateKind::Dead) => self.header.sections.dead,
            StateFilter::Only(StateKind::Undecodable) => self.header.sections.undecodable,
            // All of these are in memory.
            StateFilter::Pending | StateFilter::Unsettled => return Ok(Some(Vec::new())),
            StateFilter::Only(kind) if !kind.is_settled() => return Ok(Some(Vec::new())),
            _ => return Ok(None),
        };
        self.read(|pages| {
            let from = pages.lower_bound(section, NUMBER, &range.start.to_be_bytes())?;
            let to = pages.lower_bound(section, NUMBER, &range.end.to_be_bytes())?;
            Ok(Some(numbers(pages, section, from..to)?))
        })
    }

    /// Returns true if the segment records states of deliveries in the other segment with this name.
    pub(in crate::archive::disk) fn has_home(&self, segment: &str) -> bool {
        self.header.homes.iter().any(|home| home == segment)
    }

    /// Returns the states that the segment records for deliveries in other segments.
    pub(in crate::archive::disk) fn foreign(&self) -> Result<Vec<Foreign>, Failure> {
        let section = self.header.sections.foreign;
        if section.rows == 0 {
            return Ok(Vec::new());
        }
        let homes: Vec<_> =
            self.header.homes.iter().map(|home| SegmentName::of_text(home)).collect();
        self.read(|pages| {
            (0..section.rows).map(|row| self.foreign_row(pages, row, &homes)).collect()
        })
    }

    fn foreign_row(
        &self,
        pages: &mut Pages<'_>,
        row: u32,
        homes: &[Option<SegmentName>],
    ) -> io::Result<Foreign> {
        let unknown = || damaged("a state is not what was written");
        let mut bytes = [0; FOREIGN];
        bytes.copy_from_slice(pages.row(self.header.sections.foreign, FOREIGN, row)?);
        let (home, rest) = bytes.split_first_chunk().ok_or_else(unknown)?;
        let (number, mut rest) = rest.split_first_chunk().ok_or_else(unknown)?;
        let home = usize::try_from(u32::from_le_bytes(*home)).ok();
        let segment = home.and_then(|home| *homes.get(home)?).ok_or_else(unknown)?;
        let position = Position { segment, number: u32::from_le_bytes(*number) };
        let id = take_id(&mut rest);
        let (flags, rest) = rest.split_first().ok_or_else(unknown)?;
        let (removed, record) = row::of_foreign_flags(*flags);
        let mut text = |start, length| self.text(pages, start, length);
        let state = row::state(rest, &mut text)?.ok_or_else(unknown)?;
        Ok(Foreign { position, id, removed, record, state })
    }
}

fn numbers(
    pages: &mut Pages<'_>,
    section: Section,
    rows: std::ops::Range<u32>,
) -> io::Result<Vec<u32>> {
    rows.map(|row| {
        let number = pages.row(section, NUMBER, row)?.first_chunk().copied();
        Ok(u32::from_be_bytes(number.unwrap_or_default()))
    })
    .collect()
}

const _: () = assert!(ENTRY <= PAYLOAD && FOREIGN <= PAYLOAD);
