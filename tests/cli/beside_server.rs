//! The command on an archive that a server in another process has open: the example `receiver`.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tower_inbox::{Archive, Delivery, DiskArchive, Outcome, delivery::StateKind, testing::Sample};

use super::{append, builder, inbox, settle, written};

const MODEL: &str = "/hooks/mindee/extraction";

struct Receiver(Child);

impl Receiver {
    /// Starts a receiver whose workers log what they process.
    fn start(archive: &Path, log: &Path) -> Self {
        let mut command = Command::new(example());
        command.args(["--listen", "127.0.0.1:0", "--secret", "c2VjcmV0", "--background", "2"]);
        command.arg("--archive").arg(archive).arg("--handler-log").arg(log);
        let mut child = command.env("RUST_LOG", "error").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "{line}");
        Self(child)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of the example. Cargo builds examples with the tests, except for `cargo test --test cli`.
fn example() -> PathBuf {
    let tests = env::current_exe().unwrap();
    let example = tests.parent().unwrap().with_file_name("examples").join("receiver");
    assert!(example.exists(), "build it with `cargo build --example receiver --all-features`");
    example
}

/// Appends a dead extraction.
async fn dead(archive: &DiskArchive, inference: &str) -> Delivery {
    let body = format!(
        r#"{{"inference": {{"id": "{inference}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    );
    let delivery = Sample::of(MODEL).uri(MODEL.parse().unwrap()).body(body).delivery();
    append(archive, &delivery).await;
    settle(archive, delivery.id(), Outcome::dead("the handler returned 404")).await;
    delivery
}

async fn kind(dir: &Path, delivery: &Delivery) -> StateKind {
    let archive = DiskArchive::read_only(dir).await.unwrap();
    archive.state(delivery.id()).await.unwrap().unwrap().kind()
}

#[tokio::test]
async fn running_server_processes_a_dead_delivery_that_is_retried() {
    let dir = tempfile::tempdir().unwrap();
    let (path, log) = (dir.path().join("inbox"), dir.path().join("runs"));
    let archive = builder(&path).open().await.unwrap();
    let (wanted, other) = (dead(&archive, "one").await, dead(&archive, "other").await);
    archive.close().await;
    let receiver = Receiver::start(&path, &log);
    let id = wanted.id().to_string();
    assert_eq!(written(&path, &["dead"]).lines().count(), 3, "a header and two deliveries");
    let said = String::from_utf8(inbox(&path, &["retry", &id]).stderr).unwrap();
    assert!(said.contains("requeued 1 delivery; processed within seconds"), "{said}");
    for _ in 0..300 {
        if kind(&path, &wanted).await == StateKind::Processed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kind(&path, &wanted).await, StateKind::Processed);
    assert_eq!(fs::read_to_string(&log).unwrap(), format!("{MODEL} one {id} 1\n"));
    assert_eq!(kind(&path, &other).await, StateKind::Dead);
    drop(receiver);
}
