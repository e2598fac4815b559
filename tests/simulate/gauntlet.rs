//! The gauntlet as Mindee: an inbox passes it, and each of five receivers with a classic mistake fails exactly its
//! scenarios.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::Sha256;
use tower_inbox::{
    Inbox, MemoryArchive, Secret,
    provider::mindee,
    signature::SecretSet,
    simulate::{Gauntlet, Target, VerdictKind},
};

use crate::support::{PATH, SECOND_SECRET, SECRET};

/// The body limit of the receivers, in bytes: over the large result.
const LIMIT: usize = 5 << 18;

fn gauntlet(app: Router) -> Gauntlet {
    Gauntlet::mindee(Target::service(app, PATH).unwrap(), Secret::new(SECRET))
        .second_scheme(mindee::signature(Secret::new(SECOND_SECRET)))
        .oversized(LIMIT + 1)
}

/// Returns the names of the scenarios with this verdict.
pub(crate) async fn scenarios(gauntlet: &Gauntlet, kind: VerdictKind) -> Vec<&'static str> {
    let verdicts = gauntlet.run().await.unwrap();
    let of_kind = verdicts.iter().filter(|verdict| verdict.kind() == kind);
    of_kind.map(|verdict| verdict.scenario().name()).collect()
}

#[tokio::test]
async fn inbox_passes_every_applicable_scenario_of_the_gauntlet() {
    let secrets =
        SecretSet::from([Secret::new(SECRET), Secret::new(SECOND_SECRET).named("second")]);
    let model = mindee::extraction::<mindee::Fields>().signed_with(secrets).body_limit(LIMIT);
    let inbox = Inbox::builder(MemoryArchive::new()).model(PATH, model).build().unwrap();
    let app = Router::new().route(PATH, post(async || StatusCode::OK)).layer(inbox.layer());
    let gauntlet = gauntlet(app).restart_with(async || Ok(()));
    let not_applicable = ["stale-signature", "signature-list"];
    assert_eq!(scenarios(&gauntlet, VerdictKind::NotApplicable).await, not_applicable);
    for verdict in gauntlet.run().await.unwrap() {
        assert_ne!(verdict.kind(), VerdictKind::Fail, "{verdict}");
    }
}

/// A mistake of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Parses the body first, and verifies what it has serialized again.
    VerifiesReserialized,
    /// A unique constraint of its database becomes a 500.
    FailsDuplicates,
    /// Logs wrong signatures, and answers 200.
    AcceptsWrongSignatures,
    /// Decodes the confidence to a closed enumeration.
    RejectsUnknownValues,
    /// Reads bodies of any length.
    HasNoLimit,
}

/// A receiver with a flaw, written without the inbox.
#[derive(Clone)]
struct Receiver {
    flaw: Flaw,
    stored: Arc<Mutex<HashSet<Bytes>>>,
}

impl Receiver {
    async fn receive(self, headers: HeaderMap, body: Body) -> StatusCode {
        let limit = if self.flaw == Flaw::HasNoLimit { usize::MAX } else { LIMIT };
        let Ok(body) = axum::body::to_bytes(body, limit).await else {
            return StatusCode::PAYLOAD_TOO_LARGE;
        };
        let json = serde_json::from_slice::<Value>(&body);
        let signed = match (&json, self.flaw) {
            (Err(_), Flaw::VerifiesReserialized) => return StatusCode::BAD_REQUEST,
            (Ok(json), Flaw::VerifiesReserialized) => json.to_string().into(),
            _ => body.clone(),
        };
        let is_accepted = self.flaw == Flaw::AcceptsWrongSignatures || is_signed(&headers, &signed);
        match json {
            _ if !is_accepted => StatusCode::UNAUTHORIZED,
            Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Ok(json) if self.flaw == Flaw::RejectsUnknownValues && !has_known_values(&json) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Ok(_) => self.store(body),
        }
    }

    fn store(&self, body: Bytes) -> StatusCode {
        let is_new = self.stored.lock().unwrap().insert(body);
        if !is_new && self.flaw == Flaw::FailsDuplicates {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        StatusCode::OK
    }
}

fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let given = headers.get("x-signature").and_then(|given| hex::decode(given).ok());
    [SECRET, SECOND_SECRET].into_iter().any(|secret| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
        given.as_ref().is_some_and(|given| mac.verify_slice(given).is_ok())
    })
}

/// Returns true if each confidence is a documented one.
fn has_known_values(json: &Value) -> bool {
    match json {
        Value::Object(members) => members.iter().all(|(name, value)| match value.as_str() {
            Some(word) if name == "confidence" => {
                ["Certain", "High", "Medium", "Low"].contains(&word)
            }
            _ => has_known_values(value),
        }),
        Value::Array(items) => items.iter().all(has_known_values),
        _ => true,
    }
}

async fn failures(flaw: Flaw) -> Vec<&'static str> {
    let receiver = Receiver { flaw, stored: Arc::default() };
    let handler = async move |headers: HeaderMap, body: Body| receiver.receive(headers, body).await;
    scenarios(&gauntlet(Router::new().route(PATH, post(handler))), VerdictKind::Fail).await
}

// Time is paused, so that no load of the machine ends the wait before a hang-up early.
#[tokio::test(start_paused = true)]
async fn receiver_without_a_flaw_passes() {
    assert!(failures(Flaw::None).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn receiver_that_verifies_reserialized_json_fails_exact_bytes() {
    let expected = ["exact-bytes", "reserialized-signature"];
    assert_eq!(failures(Flaw::VerifiesReserialized).await, expected);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_answers_5xx_to_duplicates_fails_them() {
    let expected = ["duplicate", "concurrent-duplicate", "hang-up"];
    assert_eq!(failures(Flaw::FailsDuplicates).await, expected);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_answers_2xx_to_wrong_signatures_fails_them() {
    let expected = ["wrong-signature", "reserialized-signature", "missing-signature"];
    assert_eq!(failures(Flaw::AcceptsWrongSignatures).await, expected);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_rejects_unknown_values_fails_unknown_value() {
    assert_eq!(failures(Flaw::RejectsUnknownValues).await, ["unknown-value"]);
}

#[tokio::test(start_paused = true)]
async fn receiver_without_a_body_limit_fails_oversized_bodies() {
    let expected = ["oversized-body", "oversized-chunks"];
    assert_eq!(failures(Flaw::HasNoLimit).await, expected);
}
