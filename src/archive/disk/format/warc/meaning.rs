use super::{
    checksum::Salt,
    decode::{Kind, kind_of, removal_in, state_in},
    header::{Header, TRAILER},
    tombstone,
};
use crate::{
    archive::disk::format::entry::{DeliveryMeta, Tombstone},
    delivery::{DeliveryId, State},
};

/// The maximum length of a note's block that is read, in bytes. The largest removal has 39 KB.
pub(in crate::archive::disk) const LONGEST_NOTE: u64 = 64 * 1024;

/// The effect of a record on the index.
#[derive(Debug)]
pub(in crate::archive::disk) enum Meaning {
    Delivery { meta: DeliveryMeta, leased: bool },
    State { of: DeliveryId, state: State },
    Removal(Vec<DeliveryId>),
    Removed(Vec<Tombstone>),
    Nothing,
}

/// Returns the effect of a record of this kind. The block is not needed for a delivery.
pub(in crate::archive::disk) fn meaning_of(kind: Kind, block: &[u8]) -> Meaning {
    match kind {
        Kind::Delivery { meta, leased } => Meaning::Delivery { meta, leased },
        Kind::Note { of } => std::str::from_utf8(block)
            .map_or(Meaning::Nothing, |block| note_in(of, block).unwrap_or(Meaning::Nothing)),
        Kind::Other => Meaning::Nothing,
    }
}

fn note_in(of: DeliveryId, block: &str) -> Option<Meaning> {
    state_in(block)
        .map(|state| Meaning::State { of, state })
        .or_else(|| removal_in(block).map(Meaning::Removal))
        .or_else(|| tombstone::parse(block).map(Meaning::Removed))
}

/// Returns the effect of a complete record; `None` if its checksums do not match.
pub(in crate::archive::disk) fn whole_record(record: &[u8], salt: Salt) -> Option<Meaning> {
    let header = Header::parse(record, salt).ok()?;
    let block = record.get(header.len()..)?.strip_suffix(TRAILER)?;
    let holds = block.len() as u64 == header.content_length()
        && header.begin_checksum(salt).with(block).finish() == header.expected();
    holds.then(|| meaning_of(kind_of(&header), block))
}
