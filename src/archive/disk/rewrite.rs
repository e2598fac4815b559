use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    entry::{Entry, Facts, Place, Tombstone},
    failure::Failure,
    file_io::read_full,
    load::indexed,
    lost::{Part, parts},
    medium::{Medium, MediumFile},
    name::{Form, SegmentName},
    packed::{is_packed, pack},
    replace::Replacement,
    steps::Steps,
    walk::Step,
    warc::{Meaning, encode},
};
use crate::delivery::{DeliveryId, Outcome};

/// A segment written anew, durable under a name of its own. Nothing has changed for readers yet.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) unfinished: PathBuf,
    pub(super) form: Form,
    /// How long it is, and was.
    pub(super) length: u64,
    pub(super) old_length: u64,
    /// What it holds now. Empty of meaning where a record says nothing to the index.
    pub(super) records: Vec<(Place, Meaning)>,
    /// Whether a part of it is damaged.
    pub(super) damaged: bool,
}

impl Rewritten {
    /// The deliveries in it, and where each lies.
    pub(super) fn deliveries(&self) -> impl Iterator<Item = (DeliveryId, Place)> {
        self.records.iter().filter_map(|(place, meaning)| match meaning {
            Meaning::Delivery(facts) => Some((facts.id, *place)),
            _ => None,
        })
    }

    /// The deliveries of which it holds the line in the ledger.
    pub(super) fn removed(&self) -> HashSet<DeliveryId> {
        let removed = |meaning: &Meaning| match meaning {
            Meaning::Removed(tombstone) => Some(tombstone.facts.id),
            _ => None,
        };
        self.records.iter().filter_map(|(_, meaning)| removed(meaning)).collect()
    }
}

/// What becomes of a delivery that is removed, besides its facts.
#[derive(Clone, Debug)]
pub(super) struct Burial {
    pub(super) outcome: Option<Outcome>,
    pub(super) removed_at: SystemTime,
    /// Where it lies in the segment, as far as that is known.
    pub(super) place: Option<Place>,
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
    pub(super) drop: &'a HashMap<DeliveryId, Burial>,
    /// Whether damaged bytes are kept as they are, for who wants to save something out of them.
    pub(super) keep_damage: bool,
}

impl Rewrite<'_> {
    /// Writes the segment anew.
    pub(super) fn run(&self) -> Result<Rewritten, Failure> {
        let path = self.name.path(self.dir, self.from);
        let file = self.medium.open_read(&path).map_err(Failure::to("open", &path))?;
        let old = Old { path: &path, file: &*file };
        let old_length = old.file.len().map_err(old.unread())?;
        let mut out = Out {
            file: Replacement::begin(self.medium, &self.name.path(self.dir, self.to))?,
            segment: self.name,
            pack: self.to == Form::Packed,
            records: Vec::new(),
            damaged: false,
        };
        let mut steps = Steps::of(old.file, self.name, self.from).map_err(old.unread())?;
        while let Some(step) = steps.step().map_err(old.unread())? {
            match step {
                Step::Record { offset, length, meaning } => {
                    self.record(meaning, &old, (offset, length), &mut out)?;
                }
                Step::Damage { offset, length, facts } => {
                    self.damage(facts.as_ref(), &old, (offset, length), &mut out)?;
                }
                // Nobody was told that it is there.
                Step::Torn { .. } => {}
            }
        }
        let (length, damaged, records) = (out.file.length(), out.damaged, out.records);
        let unfinished = out.file.finish()?;
        Ok(Rewritten { unfinished, form: self.to, length, old_length, records, damaged })
    }

    fn record(
        &self,
        meaning: Meaning,
        old: &Old<'_>,
        (offset, length): (u64, u64),
        out: &mut Out,
    ) -> Result<(), Failure> {
        let of = match &meaning {
            Meaning::Delivery(facts) => Some(facts.id),
            Meaning::Outcome { of, .. } => Some(*of),
            Meaning::Removed(_) | Meaning::Nothing => None,
        };
        match (of.and_then(|of| self.drop.get(&of)), meaning) {
            (Some(burial), Meaning::Delivery(facts)) => self.bury(facts, burial, out),
            // The outcome stands in what stays of the delivery.
            (Some(_), _) => Ok(()),
            (None, meaning) => out.write(&old.read(offset, length)?, meaning),
        }
    }

    fn bury(&self, facts: Facts, burial: &Burial, out: &mut Out) -> Result<(), Failure> {
        let Burial { outcome, removed_at, .. } = burial.clone();
        let tombstone = Tombstone { facts, outcome, removed_at };
        let entry = Entry::Removed(tombstone.clone());
        let record = encode(&entry, self.name.salt).slices().concat();
        out.write(&record, Meaning::Removed(tombstone))
    }

    /// Keeps damaged bytes but for those of deliveries that are removed. What these were is told by their headers, or
    /// by the index file; if neither does, nothing can be said of them any more.
    fn damage(
        &self,
        facts: Option<&Facts>,
        old: &Old<'_>,
        (offset, length): (u64, u64),
        out: &mut Out,
    ) -> Result<(), Failure> {
        let spoilt = facts.map(|facts| facts.id);
        let parts = parts(offset..offset + length, spoilt, self.drop);
        let mut known = None;
        for part in parts {
            match part {
                Part::Rest(range) if self.keep_damage => {
                    out.damaged = true;
                    out.file.write(&old.read(range.start, range.end - range.start)?)?;
                }
                Part::Rest(_) => {}
                Part::Of(id) => {
                    let known = known.get_or_insert_with(|| self.known(facts.cloned(), old));
                    if let (Some(facts), Some(burial)) = (known.remove(&id), self.drop.get(&id)) {
                        self.bury(facts, burial, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is known of those that are removed, without their records.
    fn known(&self, facts: Option<Facts>, old: &Old<'_>) -> HashMap<DeliveryId, Facts> {
        let length = old.file.len().unwrap_or_default();
        let indexed = indexed(self.medium, self.dir, self.name, length).unwrap_or_default();
        let indexed = indexed.into_iter().filter_map(|(_, meaning)| match meaning {
            Meaning::Delivery(facts) => Some(facts),
            _ => None,
        });
        let known = indexed.chain(facts).filter(|facts| self.drop.contains_key(&facts.id));
        known.map(|facts| (facts.id, facts)).collect()
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
    damaged: bool,
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
