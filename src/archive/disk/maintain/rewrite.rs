use std::{
    collections::{HashMap, HashSet},
    io,
    ops::Range,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::indexing::NewLayout;
use crate::{
    archive::disk::{
        format::{
            compressed::{compress, is_compressed},
            entry::{DeliveryMeta, Entry, MAX_REMOVED, Place, Tombstone},
            name::{SegmentName, SegmentState},
            warc::{MAX_LEDGER_ENTRIES, Meaning, encode},
        },
        fs::{
            file_io::read_full,
            file_system::{DiskFile, Failure, FileSystem},
            replace::Replacement,
        },
        index::Span,
        read::scanner::{RecordScanner, Scanned},
    },
    delivery::{DeliveryId, State},
};

/// A rewritten segment, durable under a temporary name. Not yet visible to readers.
#[derive(Debug)]
pub(in crate::archive::disk) struct Rewritten {
    pub(in crate::archive::disk) unfinished: PathBuf,
    pub(in crate::archive::disk) segment_state: SegmentState,
    /// The length of the file, in bytes.
    pub(in crate::archive::disk) length: u64,
    /// Its records. The meaning is `Meaning::Nothing` for records that do not affect the index.
    pub(in crate::archive::disk) records: Vec<(Place, Meaning)>,
    /// Damaged ranges: the offset of each, and the number of deliveries and ledger entries before it.
    pub(in crate::archive::disk) damages: Vec<(u64, u32)>,
}

impl Rewritten {
    /// Returns the new locations of its deliveries.
    pub(in crate::archive::disk) fn moved(&self, erased: HashSet<DeliveryId>) -> NewLayout {
        let spans = self.records.iter().filter_map(|(place, meaning)| match meaning {
            Meaning::Delivery { meta, .. } => Some((meta.id, Span::of(*place))),
            _ => None,
        });
        NewLayout {
            segment_state: self.segment_state,
            length: self.length,
            spans: spans.collect(),
            damages: self.damages.clone(),
            erased,
        }
    }

    /// Returns the deliveries whose ledger entries it contains.
    pub(in crate::archive::disk) fn removed(&self) -> HashSet<DeliveryId> {
        let removed = self.records.iter().flat_map(|(_, meaning)| match meaning {
            Meaning::Removed(tombstones) => tombstones.as_slice(),
            _ => &[],
        });
        removed.map(|tombstone| tombstone.meta.id).collect()
    }
}

/// The content of the ledger entry that replaces a removed delivery, and the location of the delivery.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct Removal {
    /// The metadata from the index.
    pub(in crate::archive::disk) meta: DeliveryMeta,
    pub(in crate::archive::disk) state: State,
    pub(in crate::archive::disk) removed_at: SystemTime,
    /// The location in the segment.
    pub(in crate::archive::disk) place: Place,
}

/// A rewrite of a segment.
pub(in crate::archive::disk) struct Rewrite<'a> {
    pub(in crate::archive::disk) fs: &'a dyn FileSystem,
    pub(in crate::archive::disk) dir: &'a Path,
    pub(in crate::archive::disk) name: SegmentName,
    pub(in crate::archive::disk) from: SegmentState,
    pub(in crate::archive::disk) to: SegmentState,
    /// The deliveries to replace with these ledger entries.
    pub(in crate::archive::disk) drop: &'a HashMap<DeliveryId, Removal>,
    /// The offsets of further records to leave out, in addition to those of `drop`.
    pub(in crate::archive::disk) skip: &'a HashSet<u64>,
    /// Returns those of these removed deliveries that have bytes left, which need the record of their removal.
    pub(in crate::archive::disk) not_erased:
        &'a dyn Fn(Vec<DeliveryId>) -> Result<Vec<DeliveryId>, Failure>,
}

impl Rewrite<'_> {
    /// Rewrites the segment.
    pub(in crate::archive::disk) fn run(&self) -> Result<Rewritten, Failure> {
        let path = self.name.path(self.dir, self.from);
        let file = self.fs.open_read(&path).map_err(Failure::to("open", &path))?;
        let old = Old { path: &path, file: &*file };
        let mut out = Out {
            file: Replacement::begin(self.fs, &self.name.path(self.dir, self.to))?,
            segment: self.name,
            compress: self.to == SegmentState::Compressed,
            ledger: Vec::new(),
            removals: Vec::new(),
            records: Vec::new(),
            entries: 0,
            damages: Vec::new(),
        };
        let mut steps = RecordScanner::of(old.file, self.name, self.from).map_err(old.unread())?;
        while let Some(step) = steps.read_next().map_err(old.unread())? {
            match step {
                Scanned::Record { offset, length, meaning } => {
                    self.record(meaning, &old, (offset, length), &mut out)?;
                }
                Scanned::Damage { offset, length, meta } => {
                    self.damage(meta.as_ref(), &old, (offset, length), &mut out)?;
                }
                // Torn bytes were never acknowledged.
                Scanned::Torn { .. } => {}
            }
        }
        out.write_ledger()?;
        self.write_removals(&mut out)?;
        let (length, damages, records) = (out.file.length(), out.damages, out.records);
        let unfinished = out.file.finish()?;
        Ok(Rewritten { unfinished, segment_state: self.to, length, records, damages })
    }

    fn record(
        &self,
        meaning: Meaning,
        old: &Old<'_>,
        (offset, length): (u64, u64),
        out: &mut Out,
    ) -> Result<(), Failure> {
        if self.skip.contains(&offset) {
            return Ok(());
        }
        let of = match &meaning {
            Meaning::Delivery { meta, .. } => Some(meta.id),
            Meaning::State { of, .. } => Some(*of),
            Meaning::Removal(_) | Meaning::Removed(_) | Meaning::Nothing => None,
        };
        match (of.and_then(|of| self.drop.get(&of)), meaning) {
            (Some(removal), Meaning::Delivery { meta, .. }) => add_tombstone(meta, removal, out),
            // The ledger entry holds the latest state.
            (Some(_), _) => Ok(()),
            (None, Meaning::Removed(tombstones)) => {
                tombstones.into_iter().try_for_each(|tombstone| out.remember(tombstone))
            }
            (None, Meaning::Removal(ids)) => {
                out.removals.extend(ids);
                Ok(())
            }
            (None, meaning) => {
                // Queued ledger entries must precede the next delivery, which has a number, and states of their
                // deliveries.
                if out.must_come_first(&meaning) {
                    out.write_ledger()?;
                }
                out.write(&old.read(offset, length)?, meaning)
            }
        }
    }

    /// Writes the records of the removals that are still needed. Their order among the other records has no meaning.
    fn write_removals(&self, out: &mut Out) -> Result<(), Failure> {
        let removals = (self.not_erased)(std::mem::take(&mut out.removals))?;
        for ids in removals.chunks(MAX_REMOVED) {
            let removal = Entry::Removal(ids.to_vec());
            let record = encode(&removal, self.name.salt).slices().concat();
            out.write(&record, Meaning::Removal(ids.to_vec()))?;
        }
        Ok(())
    }

    /// Keeps damaged bytes, because deliveries may be recovered from them, but drops those of removed deliveries. The
    /// metadata of the removed deliveries is in their headers or in the index file; if neither can be read, no ledger
    /// entry is written.
    fn damage(
        &self,
        meta: Option<&DeliveryMeta>,
        old: &Old<'_>,
        (offset, length): (u64, u64),
        out: &mut Out,
    ) -> Result<(), Failure> {
        let spoilt = meta.map(|meta| meta.id);
        let parts = parts(offset..offset + length, spoilt, self.drop);
        let mut known = None;
        for part in parts {
            match part {
                Part::Rest(range) => {
                    out.write_ledger()?;
                    out.damages.push((out.file.length(), out.entries));
                    out.file.write(&old.read(range.start, range.end - range.start)?)?;
                }
                Part::Of(id) => {
                    let known = known.get_or_insert_with(|| self.known(meta.cloned()));
                    if let (Some(meta), Some(removal)) = (known.remove(&id), self.drop.get(&id)) {
                        add_tombstone(meta, removal, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the metadata of removed deliveries that is available without their records.
    fn known(&self, meta: Option<DeliveryMeta>) -> HashMap<DeliveryId, DeliveryMeta> {
        let of_header = meta.map(|meta| (meta.id, meta));
        let of_index = self.drop.iter().map(|(id, removal)| (*id, removal.meta.clone()));
        of_index.chain(of_header.filter(|(id, _)| self.drop.contains_key(id))).collect()
    }
}

/// The original segment.
struct Old<'a> {
    path: &'a Path,
    file: &'a dyn DiskFile,
}

impl Old<'_> {
    fn unread(&self) -> impl FnOnce(io::Error) -> Failure {
        Failure::to("read", self.path)
    }

    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
        read(self.file, offset, length).map_err(self.unread())
    }
}

fn add_tombstone(meta: DeliveryMeta, removal: &Removal, out: &mut Out) -> Result<(), Failure> {
    let Removal { state, removed_at, .. } = removal.clone();
    out.remember(Tombstone { meta, state, removed_at })
}

struct Out {
    file: Replacement,
    /// Ledger entries that will be written as one record.
    ledger: Vec<Tombstone>,
    /// The removals recorded in the segment. Those that are still needed are written last.
    removals: Vec<DeliveryId>,
    segment: SegmentName,
    compress: bool,
    records: Vec<(Place, Meaning)>,
    entries: u32,
    damages: Vec<(u64, u32)>,
}

impl Out {
    /// Queues a ledger entry, and writes the queued entries once there are enough.
    fn remember(&mut self, tombstone: Tombstone) -> Result<(), Failure> {
        self.ledger.push(tombstone);
        if self.ledger.len() < MAX_LEDGER_ENTRIES { Ok(()) } else { self.write_ledger() }
    }

    /// Returns whether the queued ledger entries must be written before a record.
    fn must_come_first(&self, meaning: &Meaning) -> bool {
        match meaning {
            Meaning::Delivery { .. } => true,
            Meaning::State { of, .. } => self.ledger.iter().any(|one| one.meta.id == *of),
            Meaning::Removal(_) | Meaning::Removed(_) | Meaning::Nothing => false,
        }
    }

    fn write_ledger(&mut self) -> Result<(), Failure> {
        if self.ledger.is_empty() {
            return Ok(());
        }
        let ledger = std::mem::take(&mut self.ledger);
        let record = encode(&Entry::Removed(ledger.clone()), self.segment.salt).slices().concat();
        self.write(&record, Meaning::Removed(ledger))
    }

    fn write(&mut self, record: &[u8], meaning: Meaning) -> Result<(), Failure> {
        let offset = self.file.length();
        if self.compress && !is_compressed(record) {
            let member =
                compress(record).map_err(Failure::to("compress", Path::new("a record")))?;
            self.file.write(&member)?;
        } else {
            self.file.write(record)?;
        }
        let length = self.file.length() - offset;
        self.entries += match &meaning {
            Meaning::Delivery { .. } => 1,
            Meaning::Removed(ledger) => u32::try_from(ledger.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        self.records.push((Place { segment: self.segment, offset, length }, meaning));
        Ok(())
    }
}

fn read(file: &dyn DiskFile, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = read_full(file, &mut bytes, offset)?;
    if read < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// A part of a damaged range.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::archive::disk) enum Part {
    /// Bytes that belong to no removed delivery.
    Rest(Range<u64>),
    /// Bytes of a removed delivery.
    Of(DeliveryId),
}

/// Splits a damaged range into parts, in order. `spoilt` is the delivery that owns the whole range, if known. For other
/// removed deliveries, the index provides the location.
pub(in crate::archive::disk) fn parts(
    damage: Range<u64>,
    spoilt: Option<DeliveryId>,
    drop: &HashMap<DeliveryId, Removal>,
) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = damage.start;
    for (id, lost) in lost(&damage, spoilt, drop) {
        if at < lost.start {
            parts.push(Part::Rest(at..lost.start));
        }
        parts.push(Part::Of(id));
        at = at.max(lost.end);
    }
    if at < damage.end {
        parts.push(Part::Rest(at..damage.end));
    }
    parts
}

fn lost(
    damage: &Range<u64>,
    spoilt: Option<DeliveryId>,
    drop: &HashMap<DeliveryId, Removal>,
) -> Vec<(DeliveryId, Range<u64>)> {
    let range = |id: DeliveryId, removal: &Removal| {
        if spoilt == Some(id) {
            return Some(damage.clone());
        }
        let place = removal.place;
        let (start, end) = (place.offset, place.offset.saturating_add(place.length));
        (start < damage.end && end > damage.start)
            .then(|| start.max(damage.start)..end.min(damage.end))
    };
    let lost = drop.iter().filter_map(|(id, removal)| Some((*id, range(*id, removal)?)));
    let mut lost: Vec<_> = lost.collect();
    lost.sort_unstable_by_key(|(_, range)| range.start);
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::tests::{a_place, delivery};

    fn removal(offset: u64, length: u64) -> Removal {
        let place = Place { offset, length, ..a_place() };
        let meta = DeliveryMeta::of(&delivery("/m", b""));
        Removal { meta, state: State::NEW, removed_at: SystemTime::UNIX_EPOCH, place }
    }

    #[test]
    fn damaged_bytes_are_kept_except_those_of_removed_deliveries() {
        let [a, b, elsewhere, nowhere] = [(); 4].map(|()| DeliveryId::new());
        let drop = HashMap::from([
            (a, removal(120, 10)),
            (b, removal(180, 50)),
            (elsewhere, removal(200, 5)),
            (nowhere, removal(500, 5)),
        ]);
        let (of, rest) = (Part::Of, Part::Rest);
        assert_eq!(parts(100..200, None, &drop), [rest(100..120), of(a), rest(130..180), of(b)]);
        assert_eq!(parts(120..125, None, &drop), [of(a)]);
        assert_eq!(parts(0..100, None, &drop), [rest(0..100)]);
        assert_eq!(parts(0..100, Some(nowhere), &drop), [of(nowhere)]);
        let another = DeliveryId::new();
        assert_eq!(parts(0..100, Some(another), &drop), [rest(0..100)]);
    }
}
