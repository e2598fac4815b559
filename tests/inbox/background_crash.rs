//! Kills a process under load while its workers process deliveries: after the last start, every acknowledged inference
//! is processed.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tower_inbox::{
    Archive, DiskArchive,
    archive::{LedgerEntry, Query},
    delivery::StateKind,
};

use crate::support::receiver_process::Receiver;

const ROUNDS: usize = 50;
const CLIENTS: usize = 6;

fn extraction(key: &str) -> Bytes {
    format!(
        r#"{{"inference": {{"id": "{key}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    )
    .into()
}

type Keys = Arc<Mutex<HashSet<String>>>;

/// Posts deliveries, each twice, until the server stops responding.
async fn post_until_killed(receiver: Arc<Receiver>, acknowledged: Keys, name: String) {
    for number in 0.. {
        let key = format!("{name}-{number}");
        for _ in 0..2 {
            match receiver.post_signed(extraction(&key)).await {
                Ok(answer) if answer.status() == 202 => {
                    acknowledged.lock().unwrap().insert(key.clone());
                }
                Ok(answer) => panic!("status {}", answer.status()),
                Err(_) => return,
            }
        }
    }
}

fn start(directory: &Path, log: &Path) -> Arc<Receiver> {
    let log = log.to_str().unwrap();
    let conduct = ["--background", "4", "--handler-log", log, "--fail", "0.2", "--slow", "3"];
    Arc::new(Receiver::start(directory, &conduct))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_inferences_are_processed_after_every_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (archive, log) = (directory.path().join("inbox"), directory.path().join("runs"));
    let acknowledged = Keys::default();
    for round in 0..ROUNDS {
        let wanted = acknowledged.lock().unwrap().len() + 1 + round % 7;
        let receiver = start(&archive, &log);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let name = format!("{round}-{client}");
                tokio::spawn(post_until_killed(receiver.clone(), acknowledged.clone(), name))
            })
            .collect();
        while acknowledged.lock().unwrap().len() < wanted {
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
    }
    drain(&archive, &log).await;
    let processed = processed(&archive).await;
    let handled = handled(&log);
    let acknowledged = acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.difference(&handled).collect();
    assert!(
        lost.is_empty(),
        "{} of {} never reached the handler: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    let unprocessed: Vec<_> = acknowledged.difference(&processed).collect();
    assert!(unprocessed.is_empty(), "not processed in the end: {unprocessed:?}");
}

/// Returns the keys of processed deliveries. The handler's log is no proof: it is written before the handler fails.
async fn processed(archive: &Path) -> HashSet<String> {
    let reading = DiskArchive::read_only(archive).await.unwrap();
    let mut entries = reading.scan(Query::all().state(StateKind::Processed));
    let mut keys = HashSet::new();
    while let Some(entry) = entries.next().await {
        let body = entry.unwrap().delivery.body().clone();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        keys.insert(body["inference"]["id"].as_str().unwrap().to_owned());
    }
    keys
}

/// Starts the process a last time, and waits until everything is settled. Failed deliveries are retried immediately,
/// because their backoff may be longer than the test; pending ones must be processed without a retry.
async fn drain(archive: &Path, log: &Path) {
    let receiver = start(archive, log);
    let failed = || Query::all().state(StateKind::Failed);
    let mut left = Vec::new();
    for _ in 0..60 {
        DiskArchive::request_retry(archive, failed(), Duration::from_secs(1)).await.unwrap();
        left = unsettled(archive).await;
        if left.is_empty() {
            receiver.kill();
            return;
        }
    }
    panic!("some deliveries are not settled after a minute: {left:#?}");
}

async fn unsettled(archive: &Path) -> Vec<LedgerEntry> {
    let reading = DiskArchive::read_only(archive).await.unwrap();
    let mut entries = reading.ledger(Query::all().unsettled());
    let mut left = Vec::new();
    while let Some(entry) = entries.next().await {
        left.push(entry.unwrap());
    }
    left
}

/// Returns the keys in the handler's log. Line format: `MODEL INFERENCE-KEY DELIVERY-ID ATTEMPT`.
fn handled(log: &Path) -> HashSet<String> {
    let log = fs::read_to_string(log).unwrap();
    log.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
}
