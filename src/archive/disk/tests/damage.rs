use std::{
    io::{self, IoSlice},
    time::Duration,
};

use super::{bytes, delivery};
use crate::{
    archive::disk::{
        format::{
            compressed::compress,
            entry::{DeliveryMeta, Entry},
            name::{SegmentName, SegmentState},
            warc::{Encoded, Meaning, Salt, encode, warcinfo},
        },
        fs::file_system::DiskFile,
        read::scanner::{PlainScanner, RecordScanner, Scanned},
    },
    delivery::{Delivery, Outcome},
};

/// A read-only segment in memory.
#[derive(Debug)]
struct InMemory(Vec<u8>);

impl DiskFile for InMemory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = &self.0[usize::try_from(offset).unwrap().min(self.0.len())..];
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_vectored(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Returns the positions and meanings of the records found.
fn records_in(file: &InMemory, salt: Salt) -> Vec<(u64, u64, String)> {
    let mut walk = PlainScanner::starting_at(file, salt, 0).unwrap();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(step) = walk.read_next().unwrap() {
        let (Scanned::Record { offset, .. }
        | Scanned::Damage { offset, .. }
        | Scanned::Torn { offset }) = &step;
        assert!(*offset == at, "a step begins where the last one ended");
        match step {
            Scanned::Record { offset, length, meaning } => {
                at = offset + length;
                found.push((offset, length, format!("{meaning:?}")));
            }
            Scanned::Damage { offset, length, .. } => at = offset + length,
            Scanned::Torn { .. } => at = file.0.len() as u64,
        }
    }
    assert_eq!(at, file.0.len() as u64, "every byte is accounted for");
    found
}

fn segment(salt: Salt, deliveries: &[Delivery]) -> InMemory {
    let name = SegmentName { sequence: 1, salt };
    let outcome = |one: &Delivery| {
        let state = Outcome::processed(200).into();
        encode(&Entry::State { of: one.id(), state }, salt)
    };
    let records = deliveries.iter().flat_map(|one| {
        [encode(&Entry::Delivery { delivery: one.clone(), leased: false }, salt), outcome(one)]
    });
    let records: Vec<Encoded> = [warcinfo(name)].into_iter().chain(records).collect();
    InMemory(bytes(&records))
}

#[test]
fn one_flipped_bit_loses_at_most_one_record() {
    let salt = Salt::random();
    let hostile = segment(Salt::random(), &[delivery("/m", b"forged")]).0;
    let mut file =
        segment(salt, &[delivery("/m", b"a"), delivery("/m", b""), delivery("/m", &hostile)]);
    let sound = records_in(&file, salt);
    assert_eq!(sound.len(), 7);
    for bit in 0..file.0.len() * 8 {
        file.0[bit / 8] ^= 1 << (bit % 8);
        let found = records_in(&file, salt);
        file.0[bit / 8] ^= 1 << (bit % 8);
        assert!(found.iter().all(|record| sound.contains(record)), "bit {bit} makes a record");
        assert!(found.len() + 1 >= sound.len(), "bit {bit} leaves {} records", found.len());
    }
}

/// Returns the number of records found in a segment of this form, and the length of its damage.
fn sealed_in(file: &InMemory, salt: Salt, segment_state: SegmentState) -> (usize, u64) {
    let name = SegmentName { sequence: 1, salt };
    let mut steps = RecordScanner::of(file, name, segment_state).unwrap();
    let (mut records, mut damaged) = (0, 0);
    while let Some(step) = steps.read_next().unwrap() {
        match step {
            Scanned::Record { .. } => records += 1,
            Scanned::Damage { length, .. } => damaged += length,
            Scanned::Torn { .. } => panic!("the end of a sealed segment is torn"),
        }
    }
    (records, damaged)
}

/// Returns the segment with each record compressed.
fn packed(whole: &InMemory, salt: Salt) -> InMemory {
    let records = records_in(whole, salt);
    let place = |offset| usize::try_from(offset).unwrap();
    let record = |(at, length, _): &(u64, u64, String)| &whole.0[place(*at)..place(at + length)];
    InMemory(records.iter().flat_map(|found| compress(record(found)).unwrap()).collect())
}

#[test]
fn each_flipped_bit_of_a_sealed_segment_is_damage_of_one_record_at_most_and_no_torn_end() {
    let salt = Salt::random();
    let whole = segment(salt, &[delivery("/m", b"a"), delivery("/m", b"b")]);
    for (segment_state, mut file) in [
        (SegmentState::Compressed, packed(&whole, salt)),
        (SegmentState::Sealed, InMemory(whole.0.clone())),
    ] {
        let (sound, damaged) = sealed_in(&file, salt, segment_state);
        assert_eq!((sound, damaged), (5, 0));
        // Searching for the next member is slow.
        let step = if segment_state == SegmentState::Compressed { 9 } else { 1 };
        for bit in (0..8 * file.0.len()).step_by(step) {
            file.0[bit / 8] ^= 1 << (bit % 8);
            let (records, damaged) = sealed_in(&file, salt, segment_state);
            assert!(records + 1 >= sound, "{segment_state:?}: bit {bit} leaves {records} records");
            assert_eq!(damaged > 0, records < sound, "{segment_state:?}: bit {bit}");
            // Some bytes of a gzip member have no effect, such as its time.
            assert!(
                damaged > 0 || segment_state == SegmentState::Compressed,
                "bit {bit} is not seen"
            );
            file.0[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_segment_that_ends_anywhere_has_the_records_before_its_end() {
    let salt = Salt::random();
    let whole = segment(salt, &[delivery("/m", b"a"), delivery("/m", b"b")]);
    let sound = records_in(&whole, salt);
    for end in 0..=whole.0.len() {
        let found = records_in(&InMemory(whole.0[..end].to_vec()), salt);
        let before = sound.iter().filter(|(at, length, _)| at + length <= end as u64);
        assert_eq!(found, before.cloned().collect::<Vec<_>>(), "end at {end}");
    }
}

#[test]
fn a_record_in_a_body_is_no_delivery_even_where_the_header_around_it_is_lost() {
    let salt = Salt::random();
    let forged = delivery("/m", b"forged");
    // Everything is valid except the salt, which is secret.
    let body = segment(Salt::random(), std::slice::from_ref(&forged)).0;
    let mut file = segment(salt, &[delivery("/m", &body), delivery("/m", b"after")]);
    let sound = records_in(&file, salt).len();
    let header = file.0.windows(11).position(|bytes| bytes == b"Inbox-Model").unwrap();
    file.0[header] ^= 1;
    let found = records_in(&file, salt);
    assert_eq!(found.len(), sound - 1);
    let forged = format!("{:?}", forged.id());
    assert!(found.iter().all(|(_, _, meaning)| !meaning.contains(&forged)));
}

#[test]
fn with_the_salt_the_same_bytes_would_be_a_record() {
    // Control for the test above: only the salt rejects the forged record.
    let salt = Salt::random();
    let forged = delivery("/m", b"forged");
    let body = segment(salt, std::slice::from_ref(&forged)).0;
    let mut file = segment(salt, &[delivery("/m", &body)]);
    let header = file.0.windows(11).position(|bytes| bytes == b"Inbox-Model").unwrap();
    file.0[header] ^= 1;
    let forged = format!("{:?}", forged.id());
    assert!(records_in(&file, salt).iter().any(|(_, _, meaning)| meaning.contains(&forged)));
}

#[test]
fn a_page_of_zeroes_loses_only_the_records_that_it_touches() {
    let salt = Salt::random();
    let deliveries: Vec<_> =
        (0..20).map(|n| delivery("/m", format!("number {n}").as_bytes())).collect();
    let whole = segment(salt, &deliveries).0;
    let sound = records_in(&InMemory(whole.clone()), salt);
    for page in (0..whole.len()).step_by(4096) {
        let end = (page + 4096).min(whole.len());
        let mut torn = whole.clone();
        torn[page..end].fill(0);
        let touched =
            |(at, length, _): &&(u64, u64, String)| at + length > page as u64 && *at < end as u64;
        let found = records_in(&InMemory(torn), salt);
        assert_eq!(found.len(), sound.len() - sound.iter().filter(touched).count());
    }
}

/// The processor time of this thread, which does not increase on a busy machine. Available only on Linux.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

#[test]
fn a_body_full_of_beginnings_does_not_hold_up_the_search() {
    let salt = Salt::random();
    for piece in [
        "WARC/1.1\r\n",
        "x: WARC/1.1\r\n",
        "WARC/1.1\r\nWARC-Type: request\r\n",
        "\r\n\r\nWARC/1.1\r\nWARC-Type: request\r\nContent-Length: 99999999\r\n",
    ] {
        let body = piece.repeat((1 << 18) / piece.len());
        let mut file = segment(salt, &[delivery("/m", body.as_bytes()), delivery("/m", b"b")]);
        let sound = records_in(&file, salt).len();
        let header = file.0.windows(11).position(|bytes| bytes == b"Inbox-Model").unwrap();
        file.0[header] ^= 1;
        let before = worked();
        assert_eq!(records_in(&file, salt).len(), sound - 1);
        // A search that scans to the end from each start of a record takes minutes.
        let search = worked().saturating_sub(before);
        assert!(search < Duration::from_secs(20), "{piece:?} took {search:?}");
    }
}

#[test]
fn record_meanings_round_trip() {
    let salt = Salt::random();
    let one = delivery("/m", b"a");
    let file = segment(salt, std::slice::from_ref(&one));
    let mut walk = PlainScanner::starting_at(&file, salt, 0).unwrap();
    let mut meanings = Vec::new();
    while let Some(Scanned::Record { meaning, .. }) = walk.read_next().unwrap() {
        meanings.push(meaning);
    }
    let [Meaning::Nothing, Meaning::Delivery { meta, .. }, Meaning::State { of, .. }] =
        meanings.as_slice()
    else {
        panic!("{meanings:?}");
    };
    assert_eq!((meta, *of), (&DeliveryMeta::of(&one), one.id()));
}
