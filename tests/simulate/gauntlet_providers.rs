//! The gauntlet as Standard Webhooks and as FoxyAI: an inbox passes it, and receivers with a mistake fail exactly its
//! scenarios.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{Router, body::Body, extract::RawQuery, routing::post};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::Sha256;
use tower_inbox::{
    Inbox, MemoryArchive, Model, Secret,
    provider::{foxyai, standard},
    signature::{QueryToken, StandardWebhooks},
    simulate::{Gauntlet, Payloads, Target, VerdictKind},
};

use crate::{gauntlet::scenarios, support::PATH};

/// The body limit of the receivers, in bytes: over the large result.
const LIMIT: usize = 5 << 18;

const SECRETS: [&str; 2] =
    ["whsec_dGhlIGZpcnN0IHNlY3JldCBvZiB0aGUgdGVzdA==", "whsec_dGhlIHNlY29uZCBzZWNyZXQgb2YgaXQ="];

fn secrets() -> Vec<Secret> {
    SECRETS.map(|text| Secret::new(text).named(text)).to_vec()
}

fn target(app: Router) -> Target {
    Target::service(app, PATH).unwrap()
}

/// The gauntlet as Standard Webhooks.
fn as_standard(app: Router) -> Gauntlet {
    Gauntlet::standard(target(app), Secret::new(SECRETS[0]))
        .second_scheme(StandardWebhooks::new(Secret::new(SECRETS[1])))
        .oversized(LIMIT + 1)
}

/// The gauntlet as FoxyAI.
fn as_foxyai(app: Router) -> Gauntlet {
    Gauntlet::foxyai(target(app), "token", Secret::new(SECRETS[0]))
        .second_scheme(QueryToken::new("token", Secret::new(SECRETS[1])))
        .oversized(LIMIT + 1)
}

fn inbox(model: Model) -> Router {
    let inbox =
        Inbox::builder(MemoryArchive::new()).model(PATH, model.body_limit(LIMIT)).build().unwrap();
    Router::new().route(PATH, post(async || StatusCode::OK)).layer(inbox.layer())
}

/// Fails if a scenario fails, or if other ones are not applicable.
async fn assert_passes(gauntlet: Gauntlet, not_applicable: &[&str]) {
    let gauntlet = gauntlet.restart_with(async || Ok(()));
    assert_eq!(scenarios(&gauntlet, VerdictKind::NotApplicable).await, not_applicable);
    for verdict in gauntlet.run().await.unwrap() {
        assert_ne!(verdict.kind(), VerdictKind::Fail, "{verdict}");
    }
}

#[tokio::test]
async fn inbox_passes_every_scenario_of_standard_webhooks() {
    let model = standard::event::<Value>().signed_with(secrets());
    assert_passes(as_standard(inbox(model)), &[]).await;
}

#[tokio::test]
async fn inbox_passes_every_applicable_scenario_of_foxyai() {
    let model = foxyai::image_group().token_in_query("token", secrets());
    let not_applicable =
        ["wrong-signature", "stale-signature", "reserialized-signature", "signature-list"];
    assert_passes(as_foxyai(inbox(model)), &not_applicable).await;
}

#[tokio::test]
async fn scenarios_without_their_payload_or_signature_are_not_applicable() {
    let app = Router::new().route(PATH, post(async || StatusCode::OK));
    let payloads = || Payloads::new(r#"{"id": 1}"#, r#"{"id": 2}"#);
    let gauntlet = Gauntlet::new(target(app), tower_inbox::signature::Unsigned, payloads);
    let verdicts = gauntlet.run().await.unwrap();
    let reason = |name: &str| {
        verdicts.iter().find(|verdict| verdict.scenario().name() == name).unwrap().reason()
    };
    for (name, expected) in [
        ("late-older-state", "the payload has no earlier state"),
        ("failed-result", "there is no payload of a failure"),
        ("missing-signature", "the sender has no signature and no token"),
        ("signature-list", "the sender has one signature"),
    ] {
        assert_eq!(reason(name), Some(expected));
    }
}

/// A mistake of a receiver of Standard Webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Accepts signatures of any age.
    IgnoresTimestamps,
    /// Processes each request, and fails when it stores an event again.
    IgnoresMessageIds,
    /// Reads the first signature of the header only.
    ReadsOneSignature,
}

/// A receiver of Standard Webhooks with a flaw, written without the inbox.
#[derive(Clone)]
struct Receiver {
    flaw: Flaw,
    message_ids: Arc<Mutex<HashSet<String>>>,
    events: Arc<Mutex<HashSet<Bytes>>>,
}

impl Receiver {
    async fn receive(self, headers: HeaderMap, body: Body) -> StatusCode {
        let Ok(body) = axum::body::to_bytes(body, LIMIT).await else {
            return StatusCode::PAYLOAD_TOO_LARGE;
        };
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let [Some(id), Some(time), Some(signatures)] = names.map(header) else {
            return StatusCode::UNAUTHORIZED;
        };
        let is_current = self.flaw == Flaw::IgnoresTimestamps || is_current(time);
        let read = if self.flaw == Flaw::ReadsOneSignature { 1 } else { usize::MAX };
        let mut signatures = signatures.split(' ').take(read);
        if !is_current || !signatures.any(|signature| is_signed(signature, id, time, &body)) {
            return StatusCode::UNAUTHORIZED;
        }
        if serde_json::from_slice::<Value>(&body).is_err() {
            return StatusCode::UNPROCESSABLE_ENTITY;
        }
        let is_new = self.message_ids.lock().unwrap().insert(id.to_owned());
        if is_new || self.flaw == Flaw::IgnoresMessageIds {
            self.store(body)
        } else {
            StatusCode::OK
        }
    }

    fn store(&self, event: Bytes) -> StatusCode {
        let is_new = self.events.lock().unwrap().insert(event);
        if is_new { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
    }
}

/// Returns true if the time is at most five minutes from now.
fn is_current(time: &str) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    time.parse::<u64>().is_ok_and(|time| now.abs_diff(time) <= 300)
}

fn is_signed(signature: &str, id: &str, time: &str, body: &[u8]) -> bool {
    let given = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
    SECRETS.into_iter().any(|secret| {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let mac = mac.chain_update(format!("{id}.{time}.")).chain_update(body);
        given.as_ref().is_some_and(|given| mac.verify_slice(given).is_ok())
    })
}

async fn failures(flaw: Flaw) -> Vec<&'static str> {
    let receiver = Receiver { flaw, message_ids: Arc::default(), events: Arc::default() };
    let handler = async move |headers: HeaderMap, body: Body| receiver.receive(headers, body).await;
    scenarios(&as_standard(Router::new().route(PATH, post(handler))), VerdictKind::Fail).await
}

// Time is paused, so that no load of the machine ends the wait before a hang-up early.
#[tokio::test(start_paused = true)]
async fn receiver_of_standard_webhooks_without_a_flaw_passes() {
    assert!(failures(Flaw::None).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn receiver_that_ignores_timestamps_fails_stale_signature() {
    assert_eq!(failures(Flaw::IgnoresTimestamps).await, ["stale-signature"]);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_ignores_message_ids_fails_duplicates() {
    let expected = ["duplicate", "concurrent-duplicate", "hang-up"];
    assert_eq!(failures(Flaw::IgnoresMessageIds).await, expected);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_reads_one_signature_fails_signature_list() {
    assert_eq!(failures(Flaw::ReadsOneSignature).await, ["signature-list"]);
}

/// A mistake of a receiver of FoxyAI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoxyAiFlaw {
    None,
    /// Rejects wrong tokens, but not a missing one.
    AcceptsMissingTokens,
    /// Rejects a snapshot that is older than the one that it has.
    RejectsOlderSnapshots,
}

/// A receiver of FoxyAI with a flaw. It stores the time of the last update by the id of the group.
#[derive(Clone)]
struct FoxyAiReceiver {
    flaw: FoxyAiFlaw,
    updates: Arc<Mutex<HashMap<String, String>>>,
}

impl FoxyAiReceiver {
    async fn receive(self, RawQuery(query): RawQuery, body: Body) -> StatusCode {
        let Ok(body) = axum::body::to_bytes(body, LIMIT).await else {
            return StatusCode::PAYLOAD_TOO_LARGE;
        };
        let query = query.unwrap_or_default();
        let token = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
        let is_accepted = match token {
            Some((_, token)) => SECRETS.contains(&&*token),
            None => self.flaw == FoxyAiFlaw::AcceptsMissingTokens,
        };
        match serde_json::from_slice::<Value>(&body) {
            _ if !is_accepted => StatusCode::UNAUTHORIZED,
            Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Ok(group) => self.store(&group),
        }
    }

    fn store(&self, group: &Value) -> StatusCode {
        let text = |name: &str| group[name].as_str().unwrap_or_default().to_owned();
        let mut updates = self.updates.lock().unwrap();
        let stored = updates.entry(text("_id")).or_default();
        if *stored > text("updatedAt") && self.flaw == FoxyAiFlaw::RejectsOlderSnapshots {
            return StatusCode::CONFLICT;
        }
        *stored = text("updatedAt").max(stored.clone());
        StatusCode::OK
    }
}

#[tokio::test(start_paused = true)]
async fn receivers_of_foxyai_fail_the_scenario_of_their_flaw() {
    for (flaw, expected) in [
        (FoxyAiFlaw::None, &[][..]),
        (FoxyAiFlaw::AcceptsMissingTokens, &["missing-signature"]),
        (FoxyAiFlaw::RejectsOlderSnapshots, &["late-older-state"]),
    ] {
        let receiver = FoxyAiReceiver { flaw, updates: Arc::default() };
        let handler = async move |query: RawQuery, body: Body| receiver.receive(query, body).await;
        let gauntlet = as_foxyai(Router::new().route(PATH, post(handler)));
        assert_eq!(scenarios(&gauntlet, VerdictKind::Fail).await, expected, "{flaw:?}");
    }
}
