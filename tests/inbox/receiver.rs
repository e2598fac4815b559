//! The example `receiver` from outside: real payloads, graceful stop, and another reader of its archive.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_inbox::{DiskArchive, Outcome};

use crate::{
    process::{EXTRACTION, IMAGE_GROUP, Receiver, command, signature},
    support::{answer, archived},
};

/// Payloads of providers, which are not part of this repository. `None`, with a note, where they are missing; but in CI
/// that is a failure.
fn real_payloads(folder: &str) -> Option<Vec<PathBuf>> {
    let root = env::var_os("INBOX_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        PathBuf::from,
    );
    let Ok(found) = fs::read_dir(root.join(folder)) else {
        assert!(env::var_os("CI").is_none(), "there are no payloads in {}", root.display());
        eprintln!("not tested with real payloads: there is no {}", root.join(folder).display());
        return None;
    };
    let files: Vec<_> = found.map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{folder} is empty");
    Some(files)
}

fn our_payloads() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mindee");
    ["invoice.json", "failed.json"].map(|file| folder.join(file)).into()
}

/// Null and absent are the same, and 1 and 1.0 are.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, normal(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Number(number) => number.as_f64().into(),
        other => other,
    }
}

async fn assert_comes_back(receiver: &Receiver, file: &Path) -> Vec<u8> {
    let body = fs::read(file).unwrap();
    let answer = answer(receiver.post_signed(body.clone()).await.unwrap()).await;
    assert_eq!(answer.status, 200, "{}: {}", file.display(), answer.body);
    assert!(answer.headers.contains_key("inbox-delivery-id"));
    let original = normal(serde_json::from_slice(&body).unwrap());
    let returned = normal(serde_json::from_str(&answer.body).unwrap());
    assert_eq!(returned, original, "{}", file.display());
    body
}

/// The digest of each body, by delivery id, as warcio reads it.
fn read_by_warcio(directory: &Path) -> HashMap<String, String> {
    let python = env::var("INBOX_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/warc_reader.py");
    let output = Command::new(python).arg(script).arg(directory).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() && errors.contains("No module named 'warcio'") {
        assert!(env::var_os("CI").is_none(), "warcio is not installed: {errors}");
        eprintln!("not read by warcio: `pip install warcio`, and name that Python in INBOX_PYTHON");
        return HashMap::new();
    }
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            (text("id"), text("sha256"))
        })
        .collect()
}

#[tokio::test]
async fn payloads_come_back_equal_and_another_reader_finds_their_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &[]);
    let mut files = our_payloads();
    for folder in ["mindee/v2/extraction", "mindee/v2/webhook"] {
        files.extend(real_payloads(folder).unwrap_or_default());
    }
    let mut sent = Vec::new();
    for file in &files {
        sent.push(assert_comes_back(&receiver, file).await);
    }
    assert!(receiver.stop().success());

    let archive = DiskArchive::open(directory.path()).await.unwrap();
    let found = archived(&archive).await;
    assert_eq!(found.len(), sent.len());
    let by_warcio = read_by_warcio(directory.path());
    for (entry, body) in found.iter().zip(&sent) {
        assert_eq!(entry.delivery.body(), body);
        assert_eq!(entry.outcome, Some(Outcome::Processed { status: 200 }));
        if !by_warcio.is_empty() {
            let id = entry.delivery.id().to_string();
            assert_eq!(by_warcio[&id], entry.delivery.digest().to_string());
        }
    }
}

#[tokio::test]
async fn a_group_of_images_needs_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &["--token", "t&t"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/foxyai");
    let mut groups = 0;
    for file in fs::read_dir(folder).unwrap() {
        let body = fs::read(file.unwrap().path()).unwrap();
        let path = format!("{IMAGE_GROUP}?token=t%26t");
        let response = receiver.post(&path, &[], body.clone()).await.unwrap();
        let answer = answer(response).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let returned = normal(serde_json::from_str(&answer.body).unwrap());
        assert_eq!(returned, normal(serde_json::from_slice(&body).unwrap()));
        groups += 1;
    }
    assert!(groups >= 2, "the same group twice, with two versions, should be among them");
    for wrong in ["", "?token=t", "?token=t%26t&token=t"] {
        let response = receiver.post(&format!("{IMAGE_GROUP}{wrong}"), &[], "{}").await.unwrap();
        assert_eq!(response.status(), 401, "{wrong}");
    }
    assert!(receiver.stop().success());
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    assert_eq!(archived(&archive).await.len(), groups, "each state of a group is a delivery");
    for file in fs::read_dir(directory.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("t%26t") && !text.contains("t&t"), "the token is in the archive");
    }
}

#[tokio::test]
async fn without_a_secret_it_refuses_to_start() {
    let directory = tempfile::tempdir().unwrap();
    let program = command(directory.path(), &[]).get_program().to_owned();
    let output = Command::new(program).env_remove("INBOX_SECRET").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--unsigned"));
}

/// Reads the head and, by its content-length, the body of one answer.
async fn read_answer(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

fn raw_post(body: &str, connection: &str) -> String {
    format!(
        "POST {EXTRACTION} HTTP/1.1\r\nhost: x\r\nx-signature: {}\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n{body}",
        signature(body.as_bytes()),
        body.len()
    )
}

const EXTRACTED: &str = r#"{"inference": {"id": "i", "model": {"id": "m"}, "result": {"fields": {}}, "file": {"name": "f", "page_count": 1, "mime_type": "x"}}}"#;

#[tokio::test]
async fn what_was_begun_is_answered_archived_and_settled_when_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &[]);
    let request = raw_post(EXTRACTED, "close");
    let (first, rest) = request.split_at(request.len() - 10);
    let mut socket = TcpStream::connect(receiver.address()).await.unwrap();
    socket.write_all(first.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopping = tokio::task::spawn_blocking(move || receiver.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!stopping.is_finished(), "it did not wait for a delivery that had begun");
    socket.write_all(rest.as_bytes()).await.unwrap();
    let answer = read_answer(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(stopping.await.unwrap().success());
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    let found = archived(&archive).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].outcome, Some(Outcome::Processed { status: 200 }));
}

#[tokio::test]
async fn a_client_that_hangs_up_mid_body_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &[]);
    let request = raw_post(EXTRACTED, "close");
    let mut cut = TcpStream::connect(receiver.address()).await.unwrap();
    cut.write_all(&request.as_bytes()[..request.len() - 10]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(cut);
    let other = EXTRACTED.replace("\"i\"", "\"j\"");
    assert_eq!(receiver.post_signed(other).await.unwrap().status(), 200);
    assert!(receiver.stop().success());
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    assert_eq!(archived(&archive).await.len(), 1, "the one that was whole");
}

#[tokio::test]
async fn a_repeat_is_recognised_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let receiver = Receiver::start(directory.path(), &[]);
        let response = receiver.post_signed(EXTRACTED).await.unwrap();
        assert_eq!(response.status(), 200);
        ids.push(response.headers()["inbox-delivery-id"].clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.is_empty(), ids.len() == 2, "the repeat has the status of the first only");
        assert!(receiver.stop().success());
    }
    assert_eq!(ids[0], ids[1]);
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    assert_eq!(archived(&archive).await.len(), 1);
}
