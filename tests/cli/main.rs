//! The command `inbox`, as it is run.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test says so by panicking")]

mod again;
#[expect(unreachable_pub, reason = "it is what the command writes, for a module of a library")]
mod generated;
#[cfg(feature = "axum")]
mod live;
mod looking;
mod modelling;
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
    Archive, Delivery, DiskArchive, Outcome, archive::DiskArchiveBuilder, testing::Sample,
};

fn inbox(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.env("INBOX_ARCHIVE", dir).args(arguments).output().unwrap()
}

/// What a command writes that goes well.
fn written(dir: &Path, arguments: &[&str]) -> String {
    let output = inbox(dir, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn builder(dir: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(dir).segment_size(4000).upkeep_every(None)
}

/// Ten deliveries, of which one is pending; received an hour apart, from the beginning of 1970 on.
async fn fill(archive: &DiskArchive) -> Vec<Delivery> {
    let mut all = Vec::new();
    for number in 0_u64..10 {
        let sample = Sample::of("/m").body(format!("<{number}>\u{0}\r\n").repeat(100));
        let one = sample.received_at(Duration::from_hours(number)).delivery();
        let _ = archive.append(one.clone()).await.unwrap();
        if number != 3 {
            archive.settle(one.id(), Outcome::processed(200)).await.unwrap();
        }
        all.push(one);
    }
    all
}
