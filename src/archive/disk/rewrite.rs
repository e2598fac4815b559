use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    entry::{DeliveryMeta, Entry, Place, Tombstone},
    failure::Failure,
    file_io::read_full,
    index::Span,
    indexing::Moved,
    lost::{Part, parts},
    medium::{Medium, MediumFile},
    name::{Form, SegmentName},
    packed::{is_packed, pack},
    replace::Replacement,
    steps::Steps,
    walk::Step,
    warc::{Meaning, encode},
};
use crate::delivery::{DeliveryId, State};

/// A segment written anew, durable under a name of its own. Nothing has changed for readers yet.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) unfinished: PathBuf,
    pub(super) form: Form,
    /// How long it is.
    pub(super) length: u64,
    /// What it holds now. Empty of meaning where a record says nothing to the index.
    pub(super) records: Vec<(Place, Meaning)>,
    /// Bytes that are no record: where they begin, and how many deliveries and ledger entries come before.
    pub(super) damages: Vec<(u64, u32)>,
}

impl Rewritten {
    /// Where its deliveries lie.
    pub(super) fn moved(&self, erased: HashSet<DeliveryId>) -> Moved {
        let spans = self.records.iter().filter_map(|(place, meaning)| match meaning {
            Meaning::Delivery { meta, .. } => Some((meta.id, Span::of(*place))),
            _ => None,
        });
        Moved {
            form: self.form,
            length: self.length,
            spans: spans.collect(),
            damages: self.damages.clone(),
            erased,
        }
    }

    /// The deliveries of which it holds the line in the ledger.
    pub(super) fn removed(&self) -> HashSet<DeliveryId> {
        let removed = |meaning: &Meaning| match meaning {
            Meaning::Removed(tombstone) => Some(tombstone.meta.id),
            _ => None,
        };
        self.records.iter().filter_map(|(_, meaning)| removed(meaning)).collect()
    }
}

/// What is written in the place of a delivery that was removed, besides its metadata.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    /// As the index knows it.
    pub(super) meta: DeliveryMeta,
    pub(super) state: State,
    pub(super) removed_at: SystemTime,
    /// Where it lies in the segment.
    pub(super) place: Place,
}

/// What is done to a segment.
#[derive(Debug)]
pub(super) struct Rewrite<'a> {
    pub(super) medium: &'a dyn Medium,
    pub(super) dir: &'a Path,
    pub(super) name: SegmentName,
    pub(super) from: Form,
    pub(super) to: Form,
    /// The deliveries of which only this is to stay.
    pub(super) drop: &'a HashMap<DeliveryId, Removal>,
    /// Where the records begin that are left out, besides those of `drop`.
    pub(super) skip: &'a HashSet<u64>,
}

impl Rewrite<'_> {
    /// Writes the segment anew.
    pub(super) fn run(&self) -> Result<Rewritten, Failure> {
        let path = self.name.path(self.dir, self.from);
        let file = self.medium.open_read(&path).map_err(Failure::to("open", &path))?;
        let old = Old { path: &path, file: &*file };
        let mut out = Out {
            file: Replacement::begin(self.medium, &self.name.path(self.dir, self.to))?,
            segment: self.name,
            pack: self.to == Form::Packed,
            records: Vec::new(),
            entries: 0,
            damages: Vec::new(),
        };
        let mut steps = Steps::of(old.file, self.name, self.from).map_err(old.unread())?;
        while let Some(step) = steps.step().map_err(old.unread())? {
            match step {
                Step::Record { offset, length, meaning } => {
                    self.record(meaning, &old, (offset, length), &mut out)?;
                }
                Step::Damage { offset, length, meta } => {
                    self.damage(meta.as_ref(), &old, (offset, length), &mut out)?;
                }
                // Nobody was told that it is there.
                Step::Torn { .. } => {}
            }
        }
        let (length, damages, records) = (out.file.length(), out.damages, out.records);
        let unfinished = out.file.finish()?;
        Ok(Rewritten { unfinished, form: self.to, length, records, damages })
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
            (Some(removal), Meaning::Delivery { meta, .. }) => self.bury(meta, removal, out),
            // The ledger entry holds the latest state.
            (Some(_), _) => Ok(()),
            (None, meaning) => out.write(&old.read(offset, length)?, meaning),
        }
    }

    fn bury(&self, meta: DeliveryMeta, removal: &Removal, out: &mut Out) -> Result<(), Failure> {
        let Removal { state, removed_at, .. } = removal.clone();
        let tombstone = Tombstone { meta, state, removed_at };
        let entry = Entry::Removed(tombstone.clone());
        let record = encode(&entry, self.name.salt).slices().concat();
        out.write(&record, Meaning::Removed(tombstone))
    }

    /// Keeps damaged bytes, except those of deliveries that are removed: others may be saved out of them. The metadata of
    /// those that are removed is in their headers or in the index file; if neither can be read, no ledger entry is written.
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
                    out.damages.push((out.file.length(), out.entries));
                    out.file.write(&old.read(range.start, range.end - range.start)?)?;
                }
                Part::Of(id) => {
                    let known = known.get_or_insert_with(|| self.known(meta.cloned()));
                    if let (Some(meta), Some(removal)) = (known.remove(&id), self.drop.get(&id)) {
                        self.bury(meta, removal, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is known of those that are removed, without their records.
    fn known(&self, meta: Option<DeliveryMeta>) -> HashMap<DeliveryId, DeliveryMeta> {
        let of_header = meta.map(|meta| (meta.id, meta));
        let of_index = self.drop.iter().map(|(id, removal)| (*id, removal.meta.clone()));
        of_index.chain(of_header.filter(|(id, _)| self.drop.contains_key(id))).collect()
    }
}

/// The segment as it was.
struct Old<'a> {
    path: &'a Path,
    file: &'a dyn MediumFile,
}

impl Old<'_> {
    fn unread(&self) -> impl FnOnce(io::Error) -> Failure {
        Failure::to("read", self.path)
    }

    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
        read(self.file, offset, length).map_err(self.unread())
    }
}

struct Out {
    file: Replacement,
    segment: SegmentName,
    pack: bool,
    records: Vec<(Place, Meaning)>,
    entries: u32,
    damages: Vec<(u64, u32)>,
}

impl Out {
    fn write(&mut self, record: &[u8], meaning: Meaning) -> Result<(), Failure> {
        let offset = self.file.length();
        if self.pack && !is_packed(record) {
            let member = pack(record).map_err(Failure::to("compress", Path::new("a record")))?;
            self.file.write(&member)?;
        } else {
            self.file.write(record)?;
        }
        let length = self.file.length() - offset;
        let is_entry = matches!(meaning, Meaning::Delivery { .. } | Meaning::Removed(_));
        self.entries += u32::from(is_entry);
        self.records.push((Place { segment: self.segment, offset, length }, meaning));
        Ok(())
    }
}

fn read(file: &dyn MediumFile, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = read_full(file, &mut bytes, offset)?;
    if read < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
