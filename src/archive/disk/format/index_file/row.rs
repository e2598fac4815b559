//! Encodes entries as rows of fixed width.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use bytes::{Buf, BufMut};

use crate::{
    archive::disk::index::{Body, ForeignRecord, IndexEntry, Span},
    delivery::{DeliveryId, InferenceDigest, ModelName, Outcome, State, from_nanos, to_nanos},
};

/// The bytes of a state: kind, flags, attempts or status, crashes or offset of its reason, length of the reason, due
/// time, inference or delivery.
pub(super) const STATE: usize = 2 + 4 + 4 + 2 + 4 + InferenceDigest::LENGTH;

/// The bytes of an entry: id, fingerprint, time of receipt, kind of body, offset, length, model, state.
pub(super) const ENTRY: usize = 16 + 12 + 8 + 1 + 6 + 5 + 3 + STATE;

/// The bytes of a state that a segment records for a delivery in another one: segment, number in it, id, flags, state.
pub(super) const FOREIGN: usize = 4 + 4 + 16 + 1 + STATE;

const REMOVED: u8 = 1;
const ONLY_REMOVAL: u8 = 2;

const POISONED: u8 = 1;
const HAS_INFERENCE: u8 = 2;
const HAS_DUE: u8 = 4;

/// The texts of a file: each distinct reason once.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) bytes: Vec<u8>,
    known: HashMap<String, (u32, u16)>,
}

impl Texts {
    fn place(&mut self, text: &str) -> (u32, u16) {
        if let Some(place) = self.known.get(text) {
            return *place;
        }
        let start = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        // A reason has at most 512 bytes.
        let length = u16::try_from(text.len()).unwrap_or_default();
        self.bytes.extend_from_slice(text.as_bytes());
        self.known.insert(text.to_owned(), (start, length));
        (start, length)
    }
}

/// Reads a text of a file.
pub(super) type Text<'t> = &'t mut dyn FnMut(u32, u32) -> std::io::Result<String>;

pub(super) fn put_entry(entry: &IndexEntry, model: u32, texts: &mut Texts, row: &mut Vec<u8>) {
    row.put_slice(entry.id.as_bytes());
    row.put_slice(&entry.fingerprint);
    row.put_i64_le(to_nanos(entry.received_at));
    let (tag, Span { offset, length }) = match entry.body {
        Body::Stored(span) => (0, span),
        Body::Removed(span) => (1, span),
        Body::Copy(span) => (2, span),
        Body::Erased => (3, Span::default()),
        Body::Forgotten => (4, Span::default()),
    };
    row.put_u8(tag);
    row.put_uint_le(offset, 6);
    row.put_uint_le(length, 5);
    row.put_uint_le(model.into(), 3);
    put_state(&entry.state, texts, row);
}

/// Decodes a row that is [`ENTRY`] bytes long. Returns `None` if the row is damaged.
pub(super) fn entry(
    mut row: &[u8],
    models: &[ModelName],
    text: Text<'_>,
) -> std::io::Result<Option<IndexEntry>> {
    if row.len() < ENTRY {
        return Ok(None);
    }
    let id = take_id(&mut row);
    let mut fingerprint = [0; 12];
    row.copy_to_slice(&mut fingerprint);
    let received_at = from_nanos(row.get_i64_le());
    let (tag, offset, length) = (row.get_u8(), row.get_uint_le(6), row.get_uint_le(5));
    let span = Span { offset, length };
    let body = match tag {
        0 => Body::Stored(span),
        1 => Body::Removed(span),
        2 => Body::Copy(span),
        3 => Body::Erased,
        4 => Body::Forgotten,
        _ => return Ok(None),
    };
    let model = usize::try_from(row.get_uint_le(3)).ok().and_then(|model| models.get(model));
    let (Some(model), Some(received_at)) = (model.cloned(), received_at) else { return Ok(None) };
    let Some(state) = state(row, text)? else { return Ok(None) };
    Ok(Some(IndexEntry { id, model, fingerprint, received_at, body, state }))
}

pub(super) fn put_state(state: &State, texts: &mut Texts, row: &mut Vec<u8>) {
    let mut parts = Parts::default();
    parts.kind = match state {
        State::Pending { attempts, crashes } => {
            (parts.number, parts.start) = (*attempts, *crashes);
            0
        }
        State::Leased { attempts, crashes } => {
            (parts.number, parts.start) = (*attempts, *crashes);
            1
        }
        State::Outcome(outcome) => outcome_parts(outcome, texts, &mut parts),
    };
    let Parts { kind, flags, number, start, length, due, reference } = parts;
    row.put_u8(kind);
    row.put_u8(flags);
    row.put_u32_le(number);
    row.put_u32_le(start);
    row.put_u16_le(length);
    row.put_u32_le(due);
    row.put_slice(&reference);
}

#[derive(Default)]
struct Parts {
    kind: u8,
    flags: u8,
    /// The number of attempts, or the status.
    number: u32,
    /// The number of crashes, or the offset of the reason.
    start: u32,
    length: u16,
    /// In whole seconds since 1970, up to 2106. Later times are stored as the maximum.
    due: u32,
    reference: [u8; InferenceDigest::LENGTH],
}

impl Parts {
    fn set_inference(&mut self, inference: Option<InferenceDigest>) {
        if let Some(inference) = inference {
            self.flags |= HAS_INFERENCE;
            self.reference = inference.to_bytes();
        }
    }
}

/// Fills the parts, and returns the number of the kind.
fn outcome_parts(outcome: &Outcome, texts: &mut Texts, parts: &mut Parts) -> u8 {
    parts.set_inference(outcome.inference());
    (parts.start, parts.length) = outcome.reason().map_or((0, 0), |reason| texts.place(reason));
    match outcome {
        Outcome::Processed { status, .. } => {
            parts.number = (*status).into();
            2
        }
        Outcome::Failed { attempts, due, .. } => {
            parts.number = *attempts;
            if let Some(due) = due {
                parts.flags |= HAS_DUE;
                let since = due.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                parts.due = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
            }
            3
        }
        Outcome::Dead { poisoned, .. } => {
            parts.flags |= if *poisoned { POISONED } else { 0 };
            4
        }
        Outcome::Undecodable { .. } => 5,
        Outcome::Repeat { of } => {
            if let Some(start) = parts.reference.first_chunk_mut() {
                *start = *of.as_bytes();
            }
            6
        }
    }
}

/// Decodes the state in a row of [`STATE`] or more bytes. Returns `None` if the row is damaged.
pub(super) fn state(mut row: &[u8], text: Text<'_>) -> std::io::Result<Option<State>> {
    if row.len() < STATE {
        return Ok(None);
    }
    let (kind, flags) = (row.get_u8(), row.get_u8());
    let (attempts, start, length) = (row.get_u32_le(), row.get_u32_le(), row.get_u16_le());
    let due = SystemTime::UNIX_EPOCH + Duration::from_secs(row.get_u32_le().into());
    let due = (flags & HAS_DUE != 0).then_some(due);
    let status = u16::try_from(attempts).unwrap_or_default();
    let id = row.first_chunk().map(|bytes| DeliveryId::from_bytes(*bytes));
    let inference = row.first_chunk().map(|bytes| InferenceDigest::from_bytes(*bytes));
    let inference = inference.filter(|_| flags & HAS_INFERENCE != 0);
    let reason = if length > 0 { text(start, length.into())? } else { String::new() };
    let outcome = match kind {
        0 => return Ok(Some(State::Pending { attempts, crashes: start })),
        1 => return Ok(Some(State::Leased { attempts, crashes: start })),
        2 => Outcome::Processed { status, inference },
        3 => Outcome::Failed { attempts, reason, due, inference },
        4 => Outcome::Dead { reason, poisoned: flags & POISONED != 0, inference },
        5 => Outcome::Undecodable { reason },
        6 => match id {
            Some(of) => Outcome::Repeat { of },
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(outcome.into()))
}

pub(super) fn foreign_flags(removed: bool, record: ForeignRecord) -> u8 {
    let removed = if removed { REMOVED } else { 0 };
    match record {
        ForeignRecord::State => removed,
        ForeignRecord::Removal => removed | ONLY_REMOVAL,
    }
}

/// Returns whether the delivery is removed, and what the segment records about it.
pub(super) fn of_foreign_flags(flags: u8) -> (bool, ForeignRecord) {
    let only_removal = flags & ONLY_REMOVAL != 0;
    let record = if only_removal { ForeignRecord::Removal } else { ForeignRecord::State };
    (flags & REMOVED != 0, record)
}

pub(super) fn take_id(row: &mut &[u8]) -> DeliveryId {
    let mut id = [0; 16];
    row.copy_to_slice(&mut id);
    DeliveryId::from_bytes(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Digest, InferenceKey};

    #[test]
    fn every_state_reads_back_from_its_row() {
        let model = "/m".parse().unwrap();
        let inference = Some(InferenceDigest::of(
            &model,
            &InferenceKey::versioned("key", "1"),
            Digest::of(b""),
        ));
        let early = SystemTime::UNIX_EPOCH - Duration::new(3, 5);
        for state in [
            State::Pending { attempts: 3, crashes: 1 },
            State::Leased { attempts: 3, crashes: 1 },
            Outcome::processed(204).into(),
            Outcome::processed(200).with_inference(inference).into(),
            Outcome::failed_at(7, "no").into(),
            Outcome::failed_at(7, "no")
                .due_at(SystemTime::UNIX_EPOCH + Duration::from_secs(7))
                .with_inference(inference)
                .into(),
            Outcome::dead("no").into(),
            Outcome::poisoned("no").with_inference(inference).into(),
            Outcome::undecodable("$.a").into(),
            Outcome::repeat(DeliveryId::new()).into(),
        ] {
            let mut texts = Texts::default();
            for body in
                [Body::Erased, Body::Stored(Span { offset: 1 << 40, length: 9 }), Body::Forgotten]
            {
                let entry = IndexEntry {
                    id: DeliveryId::new(),
                    model: "/m".parse().unwrap(),
                    fingerprint: [7; 12],
                    received_at: early,
                    body,
                    state: state.clone(),
                };
                let mut row = Vec::new();
                put_entry(&entry, 0, &mut texts, &mut row);
                assert_eq!(row.len(), ENTRY);
                let mut text = |start: u32, length: u32| {
                    let range = start as usize..(start + length) as usize;
                    Ok(String::from_utf8(texts.bytes[range].to_vec()).unwrap())
                };
                let models = [entry.model.clone()];
                assert_eq!(super::entry(&row, &models, &mut text).unwrap(), Some(entry));
            }
        }
    }
}
