//! Corrupted payloads. `fuzz/` runs the same check without a limit.

use std::{fs, path::Path};

use proptest::{prelude::*, sample::Index};

use crate::every::load_as_any;

/// Pieces of malformed JSON, and values that a type may fail to decode.
const PIECES: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "1e400",
    "-0",
    "\\ud800",
    "\"id\":7,",
    "{}",
];

#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, &'static str),
    Repeat(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        at().prop_map(Change::Cut),
        (at(), prop::sample::select(&PIECES[..])).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

fn make(change: &Change, body: &mut Vec<u8>) {
    if body.is_empty() {
        return;
    }
    let length = body.len();
    match change {
        Change::Set(at, byte) => at.get_mut(body).clone_from(byte),
        Change::Cut(at) => body.truncate(at.index(length)),
        Change::Insert(at, piece) => {
            let at = at.index(length);
            body.splice(at..at, piece.bytes());
        }
        Change::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let piece = body[from.min(to)..from.max(to)].to_vec();
            body.splice(from..from, piece);
        }
    }
}

fn payloads() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn every_sample_payload_is_decoded_to_some_type() {
    for payload in payloads() {
        assert!(load_as_any(&payload) > 0, "{}", String::from_utf8_lossy(&payload));
    }
}

proptest! {
    #[test]
    fn mangled_payloads_do_not_panic(
        payload in prop::sample::select(payloads()),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut body = payload;
        for change in &changes {
            make(change, &mut body);
        }
        load_as_any(&body);
    }
}
