//! `docs/archive.md`: a stopped archive can be copied with `cp -a` or rsync, and the copy is a valid archive.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use http::Request;
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_inbox::{
    Archive, DeliveryId, DiskArchive, Inbox, Secret, archive::Query, layer::InboxBody,
    provider::runpod,
};

async fn respond(
    _: Request<InboxBody<Full<bytes::Bytes>>>,
) -> Result<http::Response<String>, std::io::Error> {
    Ok(http::Response::default())
}

/// Receives `jobs` into the archive at `path`, and closes it.
async fn receive(path: &Path, jobs: std::ops::Range<u32>) {
    let archive = DiskArchive::open(path).await.unwrap();
    let model =
        runpod::job::<serde_json::Value>().token_in_query("token", Secret::new("correct horse"));
    let inbox = Inbox::builder(archive.clone()).model("/jobs", model).build().unwrap();
    let service = inbox.layer().layer(service_fn(respond));
    for job in jobs {
        let body = format!(r#"{{"id": "{job}", "status": "COMPLETED"}}"#);
        let request = Request::post("/jobs?token=correct%20horse").body(body.into()).unwrap();
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 200);
    }
    inbox.settled().await;
    archive.close().await;
}

/// Returns the deliveries with their bodies.
async fn deliveries(path: &Path) -> BTreeSet<(DeliveryId, Vec<u8>)> {
    let archive = DiskArchive::read_only(path).await.unwrap();
    let (mut entries, mut all) = (archive.scan(Query::all()), BTreeSet::new());
    while let Some(entry) = entries.next().await {
        let delivery = entry.unwrap().delivery;
        all.insert((delivery.id(), delivery.body().to_vec()));
    }
    all
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn verify(archive: &Path) {
    run(Command::new(env!("CARGO_BIN_EXE_inbox")).arg("verify").arg("--archive").arg(archive));
}

/// Copies a stopped archive twice, verifies the copy, and receives into it.
async fn assert_copies(copy: impl Fn(&Path, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    let [archive, backup] =
        ["archive", "backup"].map(|name| -> PathBuf { directory.path().join(name) });
    for jobs in [0..3, 3..6] {
        receive(&archive, jobs).await;
        copy(&archive, &backup);
        verify(&backup);
        assert_eq!(deliveries(&backup).await, deliveries(&archive).await);
    }
    receive(&backup, 6..7).await;
    assert_eq!(deliveries(&backup).await.len(), 7);
    verify(&backup);
}

#[tokio::test]
async fn stopped_archive_copied_with_cp_a_is_an_archive_with_every_delivery() {
    assert_copies(|from, to| {
        // Copy to a new directory: `cp` does not delete segments that were renamed.
        drop(std::fs::remove_dir_all(to));
        run(Command::new("cp").arg("-a").arg(from).arg(to));
    })
    .await;
}

#[tokio::test]
async fn stopped_archive_copied_with_rsync_is_an_archive_with_every_delivery() {
    if Command::new("rsync").arg("--version").output().is_err() {
        eprintln!(
            "skipped: stopped_archive_copied_with_rsync_is_an_archive_with_every_delivery needs rsync"
        );
        return;
    }
    assert_copies(|from, to| {
        run(Command::new("rsync").args(["-a", "--delete"]).arg(from.join("")).arg(to));
    })
    .await;
}
