//! What a sealed segment holds, so that opening need not read it. Text, a line for each record; the last line is a
//! checksum over the others. It may be deleted at any time, and does not count unless it fits the segment.

use std::{
    fmt::Write,
    num::NonZeroU64,
    thread::{self, available_parallelism},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::{
    entry::{DeliveryMeta, Place, Tombstone},
    name::SegmentName,
    warc::{Checksum, Meaning},
};
use crate::{
    archive::{nanos, parse_nanos},
    delivery::{Digest, Fingerprint},
};

/// How many bytes the last line has.
const LAST: usize = "checksum crc32:00000000\n".len();

/// A thread of its own takes longer to start than so many bytes take to parse.
const WORTH_A_THREAD: usize = 128 * 1024;

/// The file for a segment of this length.
pub(super) fn print<'m>(
    name: SegmentName,
    length: u64,
    records: impl IntoIterator<Item = &'m (Place, Meaning)>,
) -> String {
    let mut text = first_line(name, length);
    for (place, meaning) in records {
        if let Some(what) = line(meaning) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {} {what}", place.offset, place.length);
        }
    }
    let checksum = Checksum::new(name.salt).with(text.as_bytes()).finish();
    let _ = writeln!(text, "checksum crc32:{checksum:08x}");
    text
}

fn first_line(name: SegmentName, length: u64) -> String {
    format!("{}{length}\n", first_words(name))
}

fn first_words(name: SegmentName) -> String {
    format!("inbox-index 1 {name} ")
}

fn line(meaning: &Meaning) -> Option<String> {
    match meaning {
        Meaning::Delivery { meta, leased: false } => Some(format!("delivery {}", print_meta(meta))),
        Meaning::Delivery { meta, leased: true } => Some(format!("leased {}", print_meta(meta))),
        Meaning::State { of, state } => Some(format!("state {of} {state}")),
        Meaning::Removal(ids) => {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            Some(format!("removes {}", ids.join(" ")))
        }
        Meaning::Removed(Tombstone { meta, state, removed_at }) => {
            Some(format!("removed {} {} {state}", print_meta(meta), nanos(*removed_at)))
        }
        Meaning::Nothing => None,
    }
}

fn print_meta(meta: &DeliveryMeta) -> String {
    let DeliveryMeta { id, model, digest, fingerprint, received_at } = meta;
    // Base64 takes a fraction of the time of hexadecimal digits to read, and most of a file is digests.
    let [digest, fingerprint] =
        [digest.as_bytes(), fingerprint.as_bytes()].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    format!("{id} {digest} {fingerprint} {} {model}", nanos(*received_at))
}

/// How many bytes more than this length the segment had when the file was written. A segment that was cut between two
/// records looks whole without this.
pub(super) fn missing(text: &str, name: SegmentName, length: u64) -> Option<NonZeroU64> {
    let had = checked(text, name)?.strip_prefix(&first_words(name))?.lines().next()?;
    NonZeroU64::new(had.parse::<u64>().ok()?.checked_sub(length)?)
}

/// The file without its last line, if that fits.
fn checked(text: &str, name: SegmentName) -> Option<&str> {
    let (covered, last) = text.split_at_checked(text.len().checked_sub(LAST)?)?;
    let checksum = Checksum::new(name.salt).with(covered.as_bytes()).finish();
    (last == format!("checksum crc32:{checksum:08x}\n")).then_some(covered)
}

/// What the file tells of a segment of this length; `None` if it does not fit.
pub(super) fn parse(text: &str, name: SegmentName, length: u64) -> Option<Vec<(Place, Meaning)>> {
    let lines = checked(text, name)?.strip_prefix(&first_line(name, length))?;
    let threads = available_parallelism().map_or(1, usize::from);
    let parts = (lines.len() / WORTH_A_THREAD).clamp(1, threads);
    records_of(&split(lines, parts), name)
}

/// The records of parts of a file, which are parsed at the same time.
fn records_of(parts: &[&str], name: SegmentName) -> Option<Vec<(Place, Meaning)>> {
    let parse = |lines: &str| -> Option<Vec<_>> {
        lines.split_terminator('\n').map(|line| record(line, name)).collect()
    };
    let (first, rest) = parts.split_first()?;
    thread::scope(|scope| {
        let rest: Vec<_> = rest.iter().map(|part| scope.spawn(move || parse(part))).collect();
        let mut records = parse(first)?;
        for part in rest {
            records.extend(part.join().ok()??);
        }
        Some(records)
    })
}

/// Splits lines into so many parts, or fewer, of about the same length.
fn split(mut lines: &str, parts: usize) -> Vec<&str> {
    let mut split = Vec::with_capacity(parts);
    let each = lines.len() / parts.max(1);
    while split.len() + 1 < parts
        && let Some(end) = lines.as_bytes().iter().skip(each).position(|byte| *byte == b'\n')
        && let Some((part, rest)) = lines.split_at_checked(each + end + 1)
    {
        split.push(part);
        lines = rest;
    }
    split.push(lines);
    split
}

fn record(line: &str, segment: SegmentName) -> Option<(Place, Meaning)> {
    let mut words = line.splitn(4, ' ');
    let place =
        Place { segment, offset: words.next()?.parse().ok()?, length: words.next()?.parse().ok()? };
    let (kind, rest) = (words.next()?, words.next()?);
    Some((place, meaning(kind, rest)?))
}

fn meaning(kind: &str, rest: &str) -> Option<Meaning> {
    match kind {
        "delivery" => meta(rest).map(|(meta, _)| Meaning::Delivery { meta, leased: false }),
        "leased" => meta(rest).map(|(meta, _)| Meaning::Delivery { meta, leased: true }),
        "state" => {
            let (of, state) = rest.split_once(' ')?;
            Some(Meaning::State { of: of.parse().ok()?, state: state.parse().ok()? })
        }
        "removes" => {
            let ids: Option<_> = rest.split(' ').map(|id| id.parse().ok()).collect();
            Some(Meaning::Removal(ids?))
        }
        "removed" => {
            let (meta, rest) = meta(rest)?;
            let (removed_at, state) = rest.split_once(' ')?;
            let (removed_at, state) = (parse_nanos(removed_at)?, state.parse().ok()?);
            Some(Meaning::Removed(Tombstone { meta, state, removed_at }))
        }
        _ => None,
    }
}

fn meta(text: &str) -> Option<(DeliveryMeta, &str)> {
    let mut words = text.splitn(6, ' ');
    let meta = DeliveryMeta {
        id: words.next()?.parse().ok()?,
        digest: digest(words.next()?)?,
        fingerprint: Fingerprint::from_archive(digest(words.next()?)?),
        received_at: parse_nanos(words.next()?)?,
        model: words.next()?.parse().ok()?,
    };
    Some((meta, words.next().unwrap_or_default()))
}

fn digest(text: &str) -> Option<Digest> {
    // One more than is needed: the decoder asks for room in groups of three.
    let mut bytes = [0; 33];
    let length = STANDARD_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.get(..length)?.try_into().ok().map(Digest::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        archive::disk::tests::{a_place, delivery},
        delivery::{Outcome, State},
    };

    fn records() -> Vec<(Place, Meaning)> {
        let meta = DeliveryMeta::of(&delivery("/m", b"a"));
        let of = meta.id;
        let removed_at = meta.received_at;
        let tombstone =
            |state| Meaning::Removed(Tombstone { meta: meta.clone(), state, removed_at });
        let meanings = [
            Meaning::State { of, state: Outcome::failed("two words").into() },
            Meaning::State { of, state: Outcome::failed("").into() },
            Meaning::Removal(vec![of, crate::delivery::DeliveryId::new()]),
            tombstone(State::NEW),
            tombstone(Outcome::processed(200).into()),
            Meaning::Delivery { meta: meta.clone(), leased: true },
            Meaning::Delivery { meta: meta.clone(), leased: false },
        ];
        let place = a_place();
        meanings.into_iter().map(|meaning| (place, meaning)).collect()
    }

    #[test]
    fn an_index_file_reads_back() {
        let records = records();
        let name = records[0].0.segment;
        let text = print(name, 7, &records);
        assert_eq!(format!("{:?}", parse(&text, name, 7).unwrap()), format!("{records:?}"));
    }

    #[test]
    fn parts_hold_every_line_once_and_whole() {
        let lines = ["a\n", "", "ccc\n", "dd\n"].repeat(25).concat();
        for parts in 0..=120 {
            let split = split(&lines, parts);
            assert_eq!(split.concat(), lines);
            assert!(split.len() <= parts.max(1), "{parts}");
            assert!(split.iter().all(|part| part.is_empty() || part.ends_with('\n')), "{split:?}");
        }
        assert_eq!(split(&lines, 4).len(), 4);
        assert_eq!(split("", 3).concat(), "");
    }

    #[test]
    fn an_index_file_is_parsed_in_parts_in_its_order() {
        let name = a_place().segment;
        let many: Vec<_> = (0..400)
            .flat_map(|_| records())
            .zip(0..)
            .map(|((_, meaning), offset)| (Place { segment: name, offset, length: 1 }, meaning))
            .collect();
        let text = print(name, 7, &many);
        assert!(text.len() > 2 * WORTH_A_THREAD);
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let lines = lines[1..lines.len() - 1].concat();
        for parts in [1, 2, 3, 7] {
            let read = records_of(&split(&lines, parts), name).unwrap();
            assert!(format!("{read:?}") == format!("{many:?}"), "{parts} parts");
            let damaged = lines.replacen("state", "stale", 700);
            assert!(records_of(&split(&damaged, parts), name).is_none(), "{parts} parts");
        }
    }

    #[test]
    fn an_index_file_that_does_not_fit_does_not_count() {
        let records = records();
        let name = records[0].0.segment;
        let text = print(name, 7, &records);
        assert!(parse(&text, name, 8).is_none(), "the segment has another length");
        let other = SegmentName { sequence: 2, ..name };
        assert!(parse(&text, other, 7).is_none(), "it is another segment");
        assert_eq!(missing(&text, other, 5), None);
        let missing = |length| missing(&text, name, length).map(NonZeroU64::get);
        assert_eq!([5, 7, 8].map(missing), [Some(2), None, None]);
        for end in 0..text.len() {
            assert!(parse(&text[..end], name, 7).is_none(), "it ends at {end}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(parse(&String::from_utf8(bytes).unwrap(), name, 7).is_none(), "byte {at}");
        }
    }
}
