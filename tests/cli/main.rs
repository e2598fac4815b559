//! Runs the `inbox` command as a process.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod backup;
#[cfg(feature = "axum")]
mod beside_server;
mod command_line;
mod doctor;
mod export;
#[expect(unreachable_pub, reason = "the command writes it for a module of a library")]
mod generated;
mod list;
mod listen;
mod model;
#[cfg(feature = "page")]
mod page;
mod permissions;
mod providers;
mod quarantine;
mod remove;
mod replay;
mod retry;
mod send;
mod show;
mod simulate;
mod simulate_foxyai;
mod simulate_standard;
#[cfg(feature = "cli-tls")]
mod tls;
mod verify;
mod warcio;

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Outcome,
    archive::{Acquire, Append, DiskArchiveBuilder},
    delivery::{InferenceDigest, InferenceKey},
    testing::Sample,
};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn inbox(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.env("INBOX_ARCHIVE", dir).env_remove("INBOX_SECRET").args(arguments).output().unwrap()
}

/// Returns the standard error of a command.
fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the standard output of a command, which must succeed.
fn written(dir: &Path, arguments: &[&str]) -> String {
    let output = inbox(dir, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn builder(dir: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(dir).segment_size(4000).maintenance_interval(None)
}

async fn append(archive: &DiskArchive, delivery: &Delivery) {
    let _ = archive.append(Append::new(delivery.clone())).await.unwrap();
}

async fn settle(archive: &DiskArchive, id: DeliveryId, outcome: Outcome) {
    let lease = archive.acquire(Acquire::new(id)).await.unwrap().lease.unwrap();
    archive.settle(lease, outcome, HOUR).await.unwrap();
}

/// Appends a delivery of `model` and settles it.
async fn settled(archive: &DiskArchive, model: &str, body: &str, outcome: Outcome) -> Delivery {
    let delivery = Sample::of(model).body(body.to_owned()).delivery();
    append(archive, &delivery).await;
    settle(archive, delivery.id(), outcome).await;
    delivery
}

/// Adds the inference `key` of `model` to an outcome.
fn as_inference(outcome: Outcome, model: &str, key: &InferenceKey) -> Outcome {
    let body = DeliveryId::new().to_string();
    let digest = tower_inbox::Digest::of(body.as_bytes());
    outcome.with_inference(Some(InferenceDigest::of(&model.parse().unwrap(), key, digest)))
}

/// Appends ten deliveries, received one hour apart from the Unix epoch on. The fourth is pending, the others are
/// processed.
async fn fill(archive: &DiskArchive) -> Vec<Delivery> {
    let mut all = Vec::new();
    for number in 0_u32..10 {
        let sample = Sample::of("/m").body(format!("<{number}>\u{0}\r\n").repeat(100));
        let one = sample.received_at(HOUR * number).delivery();
        append(archive, &one).await;
        if number != 3 {
            settle(archive, one.id(), Outcome::processed(200)).await;
        }
        all.push(one);
    }
    all
}

/// Parses the JSON objects of a listing, one per line.
fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(text: &str) -> Vec<String> {
    objects(text).iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect()
}

/// Two versions of the inference `inv_1` of `/m`, `inv_1` of `/other`, `inv_2` of `/m`, and an undecodable delivery.
async fn inferences(archive: &DiskArchive) -> Vec<Delivery> {
    let version = |version| InferenceKey::versioned("inv_1", version);
    let mut all = Vec::new();
    for (model, key, outcome) in [
        ("/m", version("1"), Outcome::processed(200)),
        ("/m", version("2"), Outcome::failed("503")),
        ("/other", InferenceKey::new("inv_1"), Outcome::dead("404")),
        ("/m", InferenceKey::new("inv_2"), Outcome::processed(200)),
    ] {
        let (body, outcome) = (format!("{model} {key}"), as_inference(outcome, model, &key));
        all.push(settled(archive, model, &body, outcome).await);
    }
    all.push(settled(archive, "/m", "undecodable", Outcome::undecodable("$.a")).await);
    all
}
