//! A real process that is killed under load: whatever it answered with 2xx is in the archive.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tower_inbox::DiskArchive;

use crate::{process::Receiver, support::archived};

const ROUNDS: usize = 50;
const CLIENTS: usize = 16;

/// About 4 KiB each, and no two alike.
fn extraction(round: usize, client: usize, number: usize) -> Bytes {
    let id = format!("{round}-{client}-{number}");
    let padding = id.repeat(4096 / id.len());
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

/// Posts one delivery after the other until the server is gone.
async fn post_until_killed(receiver: Arc<Receiver>, sent: Sent, round: usize, client: usize) {
    for number in 0.. {
        let body = extraction(round, client, number);
        sent.all.lock().unwrap().insert(body.clone());
        match receiver.post_signed(body.clone()).await {
            Ok(answer) if answer.status().is_success() => {
                sent.acknowledged.lock().unwrap().insert(body);
            }
            Ok(answer) => panic!("answered {}", answer.status()),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_each_kill() {
    let directory = tempfile::tempdir().unwrap();
    let sent = Sent::default();
    for round in 0..ROUNDS {
        let receiver = Arc::new(Receiver::start(directory.path(), &[]));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                tokio::spawn(post_until_killed(receiver.clone(), sent.clone(), round, client))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100 + 37 * round as u64)).await;
        receiver.kill();
        for client in clients {
            client.await.unwrap();
        }
        drop(Arc::into_inner(receiver).unwrap());
        assert_recovered(&directory, &sent).await;
    }
}

async fn assert_recovered(directory: &tempfile::TempDir, sent: &Sent) {
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    let found = archived(&archive).await;
    let bodies: HashSet<_> = found.iter().map(|entry| entry.delivery.body().clone()).collect();
    assert_eq!(bodies.len(), found.len(), "a delivery was found twice");
    let acknowledged = sent.acknowledged.lock().unwrap();
    assert!(acknowledged.len() > CLIENTS, "too little load: {}", acknowledged.len());
    let lost = acknowledged.difference(&bodies).count();
    assert_eq!(lost, 0, "{lost} of {} acknowledged deliveries are lost", acknowledged.len());
    let invented = bodies.difference(&sent.all.lock().unwrap()).count();
    assert_eq!(invented, 0, "{invented} deliveries were never sent");
}
