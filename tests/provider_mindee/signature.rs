//! The HMACs that Mindee's client libraries test against, over the shared fixtures.

use std::{fs, time::SystemTime};

use http::{Request, request::Parts};
use tower_inbox::{
    Secret,
    provider::{Provider, Signs, mindee},
    signature::{BodyForm, Scheme},
};

use crate::support::shared;

/// Published with the fixtures: a secret of nobody.
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

fn head(signature: &str) -> Parts {
    Request::post("/").header("X-Signature", signature).body(()).unwrap().into_parts().0
}

fn lenient(secret: &str) -> impl Scheme {
    mindee::signature(Secret::new(secret)).form(BodyForm::RawOrWithoutLineBreaks)
}

#[test]
fn the_published_signatures_match_without_line_breaks_and_only_so() {
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

#[test]
fn another_secret_or_another_byte_is_refused() {
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
fn what_cannot_be_decoded_is_answered_422() {
    assert_eq!(mindee::Mindee::NAME, "mindee");
    assert_eq!(mindee::Mindee::PROFILE.undecodable, 422);
}
