use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    entry::{Entry, Place, Tombstone},
    failure::Failure,
    file_io::read_full,
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
}

/// What becomes of a delivery that is removed, besides its facts.
#[derive(Clone, Debug)]
pub(super) struct Burial {
    pub(super) outcome: Option<Outcome>,
    pub(super) removed_at: SystemTime,
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
        let old_length = file.len().map_err(Failure::to("read", &path))?;
        let mut out = Out {
            file: Replacement::begin(self.medium, &self.name.path(self.dir, self.to))?,
            segment: self.name,
            pack: self.to == Form::Packed,
            records: Vec::new(),
        };
        let mut damaged = false;
        let mut steps =
            Steps::of(&*file, self.name, self.from).map_err(Failure::to("read", &path))?;
        while let Some(step) = steps.step().map_err(Failure::to("read", &path))? {
            match step {
                Step::Record { offset, length, meaning } => {
                    let record =
                        || read(&*file, offset, length).map_err(Failure::to("read", &path));
                    self.record(meaning, record, &mut out)?;
                }
                Step::Damage { offset, length } => {
                    damaged |= self.keep_damage;
                    if !self.keep_damage {
                        continue;
                    }
                    let bytes = read(&*file, offset, length).map_err(Failure::to("read", &path))?;
                    out.file.write(&bytes)?;
                }
                // Nobody was told that it is there.
                Step::Torn { .. } => {}
            }
        }
        let (length, records) = (out.file.length(), out.records);
        let unfinished = out.file.finish()?;
        Ok(Rewritten { unfinished, form: self.to, length, old_length, records, damaged })
    }

    fn record(
        &self,
        meaning: Meaning,
        bytes: impl FnOnce() -> Result<Vec<u8>, Failure>,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let of = match &meaning {
            Meaning::Delivery(facts) => Some(facts.id),
            Meaning::Outcome { of, .. } => Some(*of),
            Meaning::Removed(_) | Meaning::Nothing => None,
        };
        match (of.and_then(|of| self.drop.get(&of)), meaning) {
            (None, meaning) => out.write(&bytes()?, meaning),
            (Some(Burial { outcome, removed_at }), Meaning::Delivery(facts)) => {
                let (outcome, removed_at) = (outcome.clone(), *removed_at);
                let tombstone = Tombstone { facts, outcome, removed_at };
                let entry = Entry::Removed(tombstone.clone());
                let record = encode(&entry, self.name.salt).slices().concat();
                out.write(&record, Meaning::Removed(tombstone))
            }
            // The outcome stands in what stays of the delivery.
            (Some(_), _) => Ok(()),
        }
    }
}

struct Out {
    file: Replacement,
    segment: SegmentName,
    pack: bool,
    records: Vec<(Place, Meaning)>,
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
