//! Support for the provider tests: own and shared fixtures, and semantic comparison of JSON.

mod meaning;
#[allow(dead_code, reason = "not every test program has secrets and values of its own")]
pub(crate) mod members;
mod numbers;

use std::{env, fs, path::PathBuf, time::SystemTime};

use bytes::Bytes;
use http::Request;
use serde::Serialize;
use tower_inbox::{Delivery, DeliveryId, delivery::Redaction, provider::Payload, signature::Proof};

pub(crate) use meaning::by_meaning;
pub(crate) use numbers::numbers;

/// A delivery with this body.
#[allow(dead_code, reason = "not every test program loads deliveries")]
pub(crate) fn delivery(body: impl Into<Bytes>) -> Delivery {
    let (head, ()) = Request::post("/hooks/sample").body(()).unwrap().into_parts();
    Delivery::received(
        DeliveryId::new(),
        "/hooks/sample".parse().unwrap(),
        &head,
        body.into(),
        SystemTime::now(),
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
    )
}

/// A fixture of this repository.
pub(crate) fn own(name: &str) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

/// Returns the folder of the shared fixtures, which are not part of this repository. They are required only in CI.
#[allow(dead_code, reason = "not every test program uses the shared fixtures")]
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = env::var_os("INBOX_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none(), "no shared fixtures at {}", folder.display());
    eprintln!("passed without a look: no shared fixtures at {}", folder.display());
    None
}

/// Decodes `body` as `T`, encodes the result, and compares it with the original.
pub(crate) fn round_trip<T: Payload + Serialize>(body: &Bytes) -> T {
    let payload = T::decode(body).unwrap();
    let written = serde_json::to_value(&payload).unwrap();
    let original = serde_json::from_slice(body).unwrap();
    assert_eq!(by_meaning(written), by_meaning(original));
    assert_eq!(numbers(&serde_json::to_vec(&payload).unwrap()), numbers(body), "numbers changed");
    payload
}
