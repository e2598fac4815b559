//! The HMACs from the tests of Mindee's client libraries, over the shared fixtures.

use std::{fs, time::SystemTime};

use http::{Request, request::Parts};
use tower_inbox::{
    Secret,
    provider::{Provider, SignedProvider, mindee},
    signature::{BodyForm, Scheme},
};

use crate::support::shared;

/// Published with the fixtures; not a real secret.
const SECRET: &str = "ogNjY44MhvKPGTtVsI8zG82JqWQa68woYQH";

const VECTORS: [(&str, &str); 2] = [
    (
        "mindee/v2/extraction/standard_field_types.json",
        "e51bdf80f1a08ed44ee161100fc30a25cb35b4ede671b0a575dc9064a3f5dbf1",
    ),
    (
        "mindee/v1/get_completed_empty.json",
        "5ed1673e34421217a5dbfcad905ee62261a3dd66c442f3edd19302072bbf70d0",
    ),
];

/// The HMACs of the files in the repository, with their line breaks. The signed bytes have no line breaks.
const OF_THE_FILES: [(&str, &str); 2] = [
    (
        "mindee/v2/extraction/standard_field_types.json",
        "a91d1195b3e6a9ba3edbf21b16a70cc5978213c8376c4a482692210c5540fcd2",
    ),
    (
        "mindee/v1/get_completed_empty.json",
        "c6852f1818c7187d8bbe56891a36ba523b527a256972a1442985c6f47c6e5102",
    ),
];

fn head(signature: &str) -> Parts {
    Request::post("/").header("X-Signature", signature).body(()).unwrap().into_parts().0
}

fn lenient(secret: &str) -> impl Scheme {
    mindee::signature(Secret::new(secret)).form(BodyForm::RawOrWithoutLineBreaks)
}

#[test]
fn published_signatures_match_without_line_breaks_only() {
    let Some(folder) = shared() else { return };
    for (file, signature) in VECTORS {
        let body = fs::read(folder.join(file)).unwrap();
        let proof = lenient(SECRET).verify(&head(signature), &body, SystemTime::now()).unwrap();
        assert_eq!(proof.form(), "without-line-breaks", "{file}");
        let raw = mindee::Mindee::scheme(Secret::new(SECRET).into());
        assert!(raw.verify(&head(signature), &body, SystemTime::now()).is_err(), "{file}");
        let line: Vec<u8> = body.into_iter().filter(|byte| !b"\r\n".contains(byte)).collect();
        assert_eq!(
            raw.verify(&head(signature), &line, SystemTime::now()).unwrap().form(),
            "raw",
            "{file}"
        );
    }
}

/// Each signature is of the file itself, and not of the bytes that a Mindee client library verifies.
#[test]
fn signature_of_a_body_with_line_breaks_does_not_match() {
    let Some(folder) = shared() else { return };
    let raw = mindee::signature(Secret::new(SECRET));
    for (file, signature) in OF_THE_FILES {
        let body = fs::read(folder.join(file)).unwrap();
        let line: Vec<u8> = body.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
        let verify = |scheme: &dyn Scheme, body: &[u8]| {
            scheme
                .verify(&head(signature), body, SystemTime::now())
                .map(|proof| proof.form().to_owned())
        };
        assert!(verify(&raw, &line).is_err(), "{file}");
        assert!(verify(&lenient(SECRET), &line).is_err(), "{file}");
        assert_eq!(verify(&raw, &body).unwrap(), "raw", "{file}: it is one of the file");
        assert!(VECTORS.iter().all(|(_, signed)| *signed != signature));
    }
}

#[test]
fn wrong_secret_or_body_is_rejected() {
    let Some(folder) = shared() else { return };
    for (file, signature) in VECTORS {
        let mut body = fs::read(folder.join(file)).unwrap();
        assert!(
            lenient("another").verify(&head(signature), &body, SystemTime::now()).is_err(),
            "{file}"
        );
        let space = body.iter().position(|byte| *byte == b' ').unwrap();
        body[space] = b'\t';
        assert!(
            lenient(SECRET).verify(&head(signature), &body, SystemTime::now()).is_err(),
            "{file}"
        );
    }
}

#[test]
fn undecodable_delivery_is_answered_422() {
    assert_eq!(mindee::Mindee::NAME, "mindee");
    assert_eq!(mindee::Mindee::PROFILE.undecodable, 422);
}
