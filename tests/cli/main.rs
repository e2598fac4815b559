//! Runs the command `inbox` as a process.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod again;
mod backup;
#[expect(unreachable_pub, reason = "the command writes it for a module of a library")]
mod generated;
#[cfg(feature = "axum")]
mod live;
mod looking;
mod modelling;
mod permissions;
mod removing;
mod senders;
mod sending;
mod warcio;

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Outcome,
    archive::{Acquire, Append, DiskArchiveBuilder},
    delivery::{InferenceDigest, InferenceKey},
    testing::Sample,
};

fn inbox(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.env("INBOX_ARCHIVE", dir).args(arguments).output().unwrap()
}

/// The standard output of a command that succeeds.
fn written(dir: &Path, arguments: &[&str]) -> String {
    let output = inbox(dir, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn builder(dir: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(dir).segment_size(4000).upkeep_every(None)
}

async fn append(archive: &DiskArchive, delivery: &Delivery) {
    let _ = archive.append(Append::new(delivery.clone())).await.unwrap();
}

async fn settle(archive: &DiskArchive, id: DeliveryId, outcome: Outcome) {
    let lease = archive.acquire(Acquire::new(id)).await.unwrap().lease.unwrap();
    archive.settle(lease, outcome, Duration::from_hours(1)).await.unwrap();
}

/// Appends a delivery of `model` and settles it.
async fn settled(archive: &DiskArchive, model: &str, body: &str, outcome: Outcome) -> Delivery {
    let delivery = Sample::of(model).body(body.to_owned()).delivery();
    append(archive, &delivery).await;
    settle(archive, delivery.id(), outcome).await;
    delivery
}

/// The outcome of a delivery of `model` that carried the inference `key`.
fn as_inference(outcome: Outcome, model: &str, key: &InferenceKey) -> Outcome {
    let body = DeliveryId::new().to_string();
    let digest = tower_inbox::Digest::of(body.as_bytes());
    outcome.with_inference(Some(InferenceDigest::of(&model.parse().unwrap(), key, digest)))
}

/// Ten deliveries, of which one is pending; received an hour apart, from the beginning of 1970 on.
async fn fill(archive: &DiskArchive) -> Vec<Delivery> {
    let mut all = Vec::new();
    for number in 0_u64..10 {
        let sample = Sample::of("/m").body(format!("<{number}>\u{0}\r\n").repeat(100));
        let one = sample.received_at(Duration::from_hours(number)).delivery();
        append(archive, &one).await;
        if number != 3 {
            settle(archive, one.id(), Outcome::processed(200)).await;
        }
        all.push(one);
    }
    all
}
