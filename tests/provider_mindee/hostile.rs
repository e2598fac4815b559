//! Damaged and hostile payloads: an error or a payload, and never a panic.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use tower_inbox::provider::{
    Payload,
    foxyai::{Image, ImageGroup},
    mindee::{Classification, Crop, Extraction, Ocr, Split, catalogue::FinancialDocument},
    mindee_v1,
};

use crate::support::{by_meaning, own, shared};

fn decode_all(body: &Bytes) {
    let _ = Extraction::<FinancialDocument>::decode(body).map(|read| format!("{read:?}"));
    let _ = <Extraction>::decode(body).map(|read| written(&read));
    let _ = (<Classification>::decode(body), <Crop>::decode(body), <Split>::decode(body));
    let _ = (Ocr::decode(body), <mindee_v1::Response>::decode(body));
    let _ = (ImageGroup::decode(body), Image::decode(body));
}

fn written(payload: &Extraction) -> Value {
    serde_json::to_value(payload).unwrap()
}

fn originals() -> Vec<Vec<u8>> {
    let ours = ["mindee/invoice.json", "mindee/failed.json", "foxyai/group_completed.json"];
    let theirs = [
        "mindee/v1/get_completed.json",
        "mindee/v2/extraction/deep_nested_fields.json",
        "mindee/v2/crop/crop_single.json",
    ];
    let folder: Vec<PathBuf> = shared().into_iter().collect();
    let theirs = folder.iter().flat_map(|folder| theirs.map(|name| folder.join(name)));
    let theirs = theirs.map(|path| fs::read(path).unwrap());
    ours.map(|name| own(name).to_vec()).into_iter().chain(theirs).collect()
}

#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, &'static str),
}

const PIECES: [&str; 12] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    "null",
    "1e400",
    "-0",
    "\\ud800",
    "\"value\":1,",
    "\"fields\":{},",
];

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        at().prop_map(Damage::Cut),
        (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        (at(), prop::sample::select(&PIECES[..])).prop_map(|(at, piece)| Damage::Insert(at, piece)),
    ]
}

fn inflict(body: &mut Vec<u8>, damage: &Damage) {
    if body.is_empty() {
        return;
    }
    let length = body.len();
    match damage {
        Damage::Set(at, byte) => at.get_mut(body).clone_from(byte),
        Damage::Cut(at) => body.truncate(at.index(length)),
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let piece = body.drain(from.min(to)..from.max(to)).collect::<Vec<_>>();
            let at = from.min(to);
            body.splice(at..at, piece.repeat(2));
        }
        Damage::Insert(at, piece) => {
            let at = at.index(length);
            body.splice(at..at, piece.bytes());
        }
    }
}

/// Generates JSON of fields, with the names and members that distinguish kinds.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(
            &["value", "fields", "items", "confidence", "locations", "page", "polygon"][..]
        )
        .prop_map(str::to_owned),
        ".{0,8}",
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_payloads_do_not_panic(which in 0..6_usize, damages in prop::collection::vec(damage(), 1..6)) {
        let originals = originals();
        let mut body = originals[which % originals.len()].clone();
        for damage in &damages {
            inflict(&mut body, damage);
        }
        decode_all(&Bytes::from(body));
    }

    #[test]
    fn decoded_fields_round_trip(field in json()) {
        let body = serde_json::json!({"inference": {"id": "i", "model": {"id": "m"}, "file": {"name": "f", "new": field},
            "result": {"fields": {"a": field}}}});
        let bytes = Bytes::from(serde_json::to_vec(&body).unwrap());
        decode_all(&bytes);
        if let Ok(read) = <Extraction>::decode(&bytes) {
            let original: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(by_meaning(written(&read)), by_meaning(original));
        }
    }
}
