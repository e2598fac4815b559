use std::collections::HashMap;

use super::{
    file::{FIRST, Header, ID_PREFIX, ID_ROW, KEY_PREFIX, KEY_ROW, NUMBER, Sections, finish},
    layout::{PAYLOAD, PageWriter},
    row::{ENTRY, FOREIGN, Texts, foreign_flags, put_entry, put_state},
};
use crate::{
    archive::{
        Counts,
        disk::{
            format::name::{SegmentName, SegmentState},
            index::{Body, ForeignRecord, IndexEntry, LogPosition, Position},
        },
    },
    delivery::{ModelName, StateKind},
};

/// Collects the contents of an index file.
#[derive(Debug)]
pub(in crate::archive::disk) struct Builder {
    name: SegmentName,
    header: Header,
    models: HashMap<ModelName, u32>,
    homes: HashMap<SegmentName, u32>,
    texts: Texts,
    entries: Vec<u8>,
    ids: Vec<([u8; 16], u32)>,
    fingerprints: Vec<([u8; 12], u32)>,
    inferences: Vec<([u8; 12], u32)>,
    attention: Vec<u8>,
    dead: Vec<u8>,
    undecodable: Vec<u8>,
    foreign: Vec<u8>,
    counts: Counts,
}

/// The properties of an index file that apply to its segment as a whole.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) struct Coverage {
    /// The number of bytes of the segment that the file covers.
    pub(in crate::archive::disk) length: u64,
    pub(in crate::archive::disk) segment_state: SegmentState,
    /// All records before this position of the log are included.
    pub(in crate::archive::disk) flushed: LogPosition,
}

impl Builder {
    pub(in crate::archive::disk) fn new(name: SegmentName, coverage: Coverage) -> Self {
        let Coverage { length, segment_state, flushed } = coverage;
        let header = Header {
            segment: name.to_string(),
            generation: uuid::Uuid::new_v4().as_u64_pair().0,
            length,
            packed: segment_state == SegmentState::Compressed,
            sealed: segment_state != SegmentState::Active,
            flushed,
            ..Header::default()
        };
        Self {
            name,
            header,
            models: HashMap::new(),
            homes: HashMap::new(),
            texts: Texts::default(),
            entries: Vec::new(),
            ids: Vec::new(),
            fingerprints: Vec::new(),
            inferences: Vec::new(),
            attention: Vec::new(),
            dead: Vec::new(),
            undecodable: Vec::new(),
            foreign: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Adds the entry with the next number.
    pub(in crate::archive::disk) fn entry(&mut self, entry: &IndexEntry) {
        let number = self.header.entries;
        self.header.entries += 1;
        let model = self.model(&entry.model);
        put_entry(entry, model, &mut self.texts, &mut self.entries);
        if entry.needs_attention() {
            self.attention.extend_from_slice(&number.to_be_bytes());
        }
        if !entry.is_delivery() {
            return;
        }
        self.ids.push((*entry.id.as_bytes(), number));
        self.fingerprints.push((entry.fingerprint, number));
        if let Some(inference) = entry.processed_as() {
            self.inferences.push((*inference.id().as_bytes(), number));
        }
        if let Body::Stored(_) = entry.body {
            self.counts.add(&entry.model, entry.state.kind(), 1);
            self.header.note_time(entry.received_at);
            match entry.state.kind() {
                StateKind::Dead => self.dead.extend_from_slice(&number.to_be_bytes()),
                StateKind::Undecodable => self.undecodable.extend_from_slice(&number.to_be_bytes()),
                _ => {}
            }
        } else {
            self.header.removed += 1;
        }
    }

    fn model(&mut self, model: &ModelName) -> u32 {
        if let Some(number) = self.models.get(model) {
            return *number;
        }
        let number = u32::try_from(self.header.models.len()).unwrap_or(u32::MAX);
        self.header.models.push(model.to_string());
        self.models.insert(model.clone(), number);
        number
    }

    /// Adds the state that the segment records for a delivery in another segment.
    pub(in crate::archive::disk) fn foreign(
        &mut self,
        at: Position,
        record: ForeignRecord,
        entry: &IndexEntry,
    ) {
        let next = u32::try_from(self.header.homes.len()).unwrap_or(u32::MAX);
        let home = *self.homes.entry(at.segment).or_insert(next);
        if home == next {
            self.header.homes.push(at.segment.to_string());
        }
        self.foreign.extend_from_slice(&home.to_le_bytes());
        self.foreign.extend_from_slice(&at.number.to_le_bytes());
        self.foreign.extend_from_slice(entry.id.as_bytes());
        let removed = !matches!(entry.body, Body::Stored(_));
        self.foreign.push(foreign_flags(removed, record));
        put_state(&entry.state, &mut self.texts, &mut self.foreign);
    }

    /// Adds bytes that are not a record, before the next entry.
    pub(in crate::archive::disk) fn damage(&mut self, offset: u64, before: u32) {
        self.header.damages.push((offset, before));
    }

    /// Returns the bytes of the file.
    pub(in crate::archive::disk) fn finish(mut self) -> Vec<u8> {
        self.header.counts =
            self.header.models.iter().map(|model| counts_of(&self.counts, model)).collect();
        let fingerprint_filter =
            Filter::of(self.fingerprints.len(), self.fingerprints.iter().map(|(key, _)| key));
        let inference_filter =
            Filter::of(self.inferences.len(), self.inferences.iter().map(|(key, _)| key));
        self.ids.sort_unstable();
        self.fingerprints.sort_unstable();
        self.inferences.sort_unstable();
        self.header.ids = match (self.ids.first(), self.ids.last()) {
            (Some((first, _)), Some((last, _))) => Some((*first, *last)),
            _ => None,
        };
        let mut pages = PageWriter::behind(FIRST, self.name.salt);
        self.header.sections = Sections {
            entries: pages.section(ENTRY, &self.entries),
            by_id: pages.section(ID_ROW, &rows(&self.ids, ID_PREFIX)),
            by_fingerprint: pages.section(KEY_ROW, &rows(&self.fingerprints, KEY_PREFIX)),
            by_inference: pages.section(KEY_ROW, &rows(&self.inferences, KEY_PREFIX)),
            attention: pages.section(NUMBER, &self.attention),
            dead: pages.section(NUMBER, &self.dead),
            undecodable: pages.section(NUMBER, &self.undecodable),
            foreign: pages.section(FOREIGN, &self.foreign),
            texts: pages.section(1, &self.texts.bytes),
            fingerprint_filter: pages.section(1, fingerprint_filter.as_bytes()),
            inference_filter: pages.section(1, inference_filter.as_bytes()),
        };
        finish(pages, &self.header)
    }
}

fn counts_of(counts: &Counts, model: &str) -> Vec<u64> {
    let model = model.parse().ok();
    let count = |kind| model.as_ref().map_or(0, |model| counts.of(model, kind));
    StateKind::ALL.into_iter().map(count).collect()
}

/// Returns a row for each key, with its prefix and its number.
fn rows<const N: usize>(keys: &[([u8; N], u32)], prefix: usize) -> Vec<u8> {
    let mut rows = Vec::with_capacity(keys.len() * (prefix + NUMBER));
    for (key, number) in keys {
        rows.extend_from_slice(key.get(..prefix).unwrap_or_default());
        // Rows with equal keys are in the order of their numbers.
        rows.extend_from_slice(&number.to_be_bytes());
    }
    rows
}

/// Tests, without reading the file, whether a key may be in an index file or is certainly absent.
///
/// A Bloom filter in blocks of 64 bytes (Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters",
/// 2007), so that a lookup touches one cache line. Uses two bytes per key; about one in a thousand absent keys is a
/// false positive. The keys are digests, so that their bytes serve as the hashes.
#[derive(Clone, Debug, Default)]
pub(in crate::archive::disk) struct Filter(Vec<u8>);

const BLOCK: usize = 64;
const BYTES_PER_KEY: usize = 2;

/// The number of bits that a key sets: the number of 9-bit groups that fit in eight bytes.
const BITS: u32 = 7;

impl Filter {
    pub(super) fn of<'k>(keys: usize, all: impl Iterator<Item = &'k [u8; 12]>) -> Self {
        if keys == 0 {
            return Self::default();
        }
        let mut filter = Self(vec![0; (keys * BYTES_PER_KEY).div_ceil(BLOCK) * BLOCK]);
        for key in all {
            let block = filter.block(key);
            for (byte, bit) in bits(key) {
                if let Some(byte) = filter.0.get_mut(block + byte) {
                    *byte |= bit;
                }
            }
        }
        filter
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns true if the key may be present.
    pub(super) fn may_hold(&self, key: &[u8; 12]) -> bool {
        let block = self.block(key);
        bits(key).all(|(byte, bit)| self.0.get(block + byte).is_some_and(|byte| byte & bit != 0))
    }

    /// Returns the offset of the block of a key.
    fn block(&self, key: &[u8; 12]) -> usize {
        let blocks = (self.0.len() / BLOCK) as u64;
        let share = key.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        usize::try_from((share * blocks) >> 32).unwrap_or_default() * BLOCK
    }
}

/// Returns the bits that a key sets in its block.
fn bits(key: &[u8; 12]) -> impl Iterator<Item = (usize, u8)> {
    let mut left = key.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (0..BITS).map(move |_| {
        let bit = left % (BLOCK as u64 * 8);
        left /= BLOCK as u64 * 8;
        (usize::try_from(bit / 8).unwrap_or_default(), 1 << (bit % 8))
    })
}

const _: () = assert!(PAYLOAD > BLOCK, "a filter is stored as a text");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Digest;

    fn key(number: u32) -> [u8; 12] {
        *Digest::of(&number.to_le_bytes()).as_bytes().first_chunk().unwrap()
    }

    #[test]
    fn filter_holds_every_key_and_is_rarely_wrong_about_others() {
        let keys: Vec<_> = (0..10_000).map(key).collect();
        let filter = Filter::of(keys.len(), keys.iter());
        assert_eq!(filter.as_bytes().len(), 20_032);
        assert!(keys.iter().all(|key| filter.may_hold(key)));
        let wrong = (10_000..110_000).map(key).filter(|key| filter.may_hold(key)).count();
        assert!(wrong < 500, "{wrong} of 100000");
        assert!(!Filter::default().may_hold(&keys[0]), "an empty filter holds nothing");
    }
}
