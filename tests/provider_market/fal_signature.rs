//! fal's signature: created with OpenSSL, outside of this crate, by fal's instructions; with negative cases.

use tower_inbox::{
    provider::fal,
    signature::{Ed25519Key, Ed25519Keys},
};

use crate::{
    signature::{AT, BODY},
    signed::Signed,
};

/// The keys of RFC 8032, section 7.1, tests 1 and 2.
const KEYS: [&str; 2] =
    ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"];

const SIGNED: Signed = Signed {
    body: BODY,
    at: AT,
    headers: &[
        ("X-Fal-Webhook-Request-Id", "req_1"),
        ("X-Fal-Webhook-User-Id", "user_1"),
        ("X-Fal-Webhook-Timestamp", "1772355600"),
        (
            "X-Fal-Webhook-Signature",
            "da8325c79d63f2df0ec942fb84587e57a942385128ab0c931a5f400757067398\
             bfea298d155e5708b45016d28bea2501464b7ee35ed0e669dacc2725f3467404",
        ),
    ],
};

fn set(keys: &[&str]) -> Ed25519Keys {
    let jwk = |x: &&str| format!(r#"{{"kty": "OKP", "crv": "Ed25519", "x": "{x}"}}"#);
    let jwks: Vec<_> = keys.iter().map(jwk).collect();
    let jwks = format!(r#"{{"keys": [{}]}}"#, jwks.join(","));
    Ed25519Keys::new(Ed25519Key::from_jwks(&jwks).unwrap())
}

#[test]
fn fal_signature_under_any_key_of_the_set_is_accepted() {
    let [key, other] = KEYS;
    let stranger = fal::signature(set(&[other]));
    SIGNED.is_all_that_is_accepted_by(&fal::signature(set(&[key])), &stranger);
    SIGNED.is_all_that_is_accepted_by(&fal::signature(set(&[other, key])), &stranger);
}
