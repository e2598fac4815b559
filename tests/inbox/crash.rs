//! Kills a process under load: every delivery with a 2xx response is in the archive.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tower_inbox::DiskArchive;

use crate::support::{archived, receiver_process::Receiver};

/// The number of kills on one directory. Each start recovers from the previous kill.
const ROUNDS: usize = 10;
const DIRECTORIES: usize = 5;
const CLIENTS: usize = 8;

/// A unique body of about 1 KiB.
fn extraction(round: usize, client: usize, number: usize) -> Bytes {
    let id = format!("{round}-{client}-{number}");
    let padding = id.repeat(1024 / id.len());
    format!(
        r#"{{"inference": {{"id": "{id}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "{padding}", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    )
    .into()
}

#[derive(Clone, Default)]
struct Sent {
    all: Arc<Mutex<HashSet<Bytes>>>,
    acknowledged: Arc<Mutex<HashSet<Bytes>>>,
}

/// Posts deliveries until the server stops responding.
async fn post_until_killed(receiver: Arc<Receiver>, sent: Sent, round: usize, client: usize) {
    for number in 0.. {
        let body = extraction(round, client, number);
        sent.all.lock().unwrap().insert(body.clone());
        match receiver.post_signed(body.clone()).await {
            Ok(answer) if answer.status().is_success() => {
                sent.acknowledged.lock().unwrap().insert(body);
            }
            Ok(answer) => panic!("status {}", answer.status()),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_deliveries_survive_every_kill() {
    for number in 0..DIRECTORIES {
        let (directory, sent) = (tempfile::tempdir().unwrap(), Sent::default());
        for round in 0..ROUNDS {
            kill_under_load(directory.path(), &sent, round, 1 + 7 * number + 3 * round).await;
            assert_recovered(&directory, &sent).await;
        }
    }
}

/// Kills a receiver after `more` further deliveries were acknowledged, without a time limit.
async fn kill_under_load(directory: &Path, sent: &Sent, round: usize, more: usize) {
    let wanted = sent.acknowledged.lock().unwrap().len() + more;
    let receiver = Arc::new(Receiver::start(directory, &[]));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(post_until_killed(receiver.clone(), sent.clone(), round, client))
        })
        .collect();
    while sent.acknowledged.lock().unwrap().len() < wanted {
        assert!(
            !clients.iter().all(tokio::task::JoinHandle::is_finished),
            "all clients have stopped"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    receiver.kill();
    for client in clients {
        client.await.unwrap();
    }
    drop(Arc::into_inner(receiver).unwrap());
}

async fn assert_recovered(directory: &tempfile::TempDir, sent: &Sent) {
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    let found = archived(&archive).await;
    let bodies: HashSet<_> = found.iter().map(|entry| entry.delivery.body().clone()).collect();
    assert_eq!(bodies.len(), found.len(), "a delivery was found twice");
    let acknowledged = sent.acknowledged.lock().unwrap();
    let lost = acknowledged.difference(&bodies).count();
    assert_eq!(lost, 0, "{lost} of {} acknowledged deliveries are lost", acknowledged.len());
    let invented = bodies.difference(&sent.all.lock().unwrap()).count();
    assert_eq!(invented, 0, "{invented} deliveries were never sent");
}
