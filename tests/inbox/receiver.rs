//! The example `receiver` as a process: real payloads, graceful shutdown, the lock of its directory, and another reader
//! of its archive.

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_inbox::{DiskArchive, archive::ArchiveError};

use crate::{
    meaning::by_meaning,
    numbers::numbers,
    support::{
        answer, archived,
        hooks::{ALL, FAL_KEY, Hook, hooks},
        processed,
        receiver_process::{EXTRACTION, IMAGE_GROUP, Receiver, command, signature},
    },
};

async fn assert_comes_back(receiver: &Receiver, hook: &Hook, file: &Path) -> Vec<u8> {
    let body = fs::read(file).unwrap();
    let response = receiver.post_signed_by(&*hook.scheme, hook.path, body.clone()).await.unwrap();
    let answer = answer(response).await;
    let what = format!("{} at {}", file.display(), hook.path);
    assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    assert!(answer.headers.contains_key("inbox-delivery-id"));
    let original = by_meaning(serde_json::from_slice(&body).unwrap());
    let returned = by_meaning(serde_json::from_str(&answer.body).unwrap());
    assert_eq!(returned, original, "{what}");
    assert_eq!(numbers(answer.body.as_bytes()), numbers(&body), "{what}: numbers changed");
    body
}

/// Returns the digest of each body, by delivery id, as read by warcio.
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
async fn real_payloads_are_decoded_losslessly_and_found_in_the_archive_by_another_reader() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &ALL);
    let mut sent = Vec::new();
    for hook in hooks() {
        for file in &hook.files {
            sent.push(assert_comes_back(&receiver, &hook, file).await);
        }
    }
    assert!(receiver.stop().success());

    let archive = DiskArchive::open(directory.path()).await.unwrap();
    let found = archived(&archive).await;
    assert_eq!(found.len(), sent.len());
    let by_warcio = read_by_warcio(directory.path());
    for (entry, body) in found.iter().zip(&sent) {
        assert_eq!(entry.delivery.body(), body);
        assert_eq!(processed(&entry.state), Some(200));
        if !by_warcio.is_empty() {
            let id = entry.delivery.id().to_string();
            assert_eq!(by_warcio[&id], entry.delivery.digest().to_string());
        }
    }
}

/// No fixture contains a single image, so one is taken from a group.
#[tokio::test]
async fn foxyai_image_is_posted_without_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &ALL);
    let hooks = hooks();
    let group = hooks.iter().find(|hook| hook.path == IMAGE_GROUP).unwrap();
    let image = hooks.iter().find(|hook| hook.path == "/hooks/foxyai/image").unwrap();
    let group: Value = serde_json::from_slice(&fs::read(&group.files[0]).unwrap()).unwrap();
    let file = directory.path().join("image.json");
    fs::write(&file, group["images"][0].to_string()).unwrap();
    assert_comes_back(&receiver, image, &file).await;
    assert!(receiver.stop().success());
}

#[tokio::test]
async fn unsigned_payloads_are_answered_401() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &ALL);
    let hooks = hooks();
    for hook in &hooks {
        assert_eq!(
            receiver.post(hook.path, &[], "{}").await.unwrap().status(),
            401,
            "{}",
            hook.path
        );
        let signed = hook.scheme.signature("msg_1", b"[]", std::time::SystemTime::now()).unwrap();
        if signed.query().is_some() || hook.path == "/hooks/assemblyai" {
            continue; // A token is valid with any body.
        }
        let headers: Vec<_> = signed.headers().iter().collect();
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let response = receiver.post(hook.path, &headers, "{}").await.unwrap();
        assert_eq!(response.status(), 401, "signed for another body at {}", hook.path);
    }
    assert!(receiver.stop().success());
    let archive = DiskArchive::open(directory.path()).await.unwrap();
    assert!(archived(&archive).await.is_empty());
}

#[tokio::test]
async fn unsigned_payloads_are_accepted_with_the_option_unsigned() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(directory.path(), &["--unsigned"]);
    for hook in hooks() {
        let body = hook.files.first().map_or_else(
            || br#"{"_id": "i", "status": "completed", "updatedAt": "2026"}"#.to_vec(),
            |file| fs::read(file).unwrap(),
        );
        let response = receiver.post(hook.path, &[], body).await.unwrap();
        assert_eq!(response.status(), 200, "{}", hook.path);
    }
    assert!(receiver.stop().success());
}

#[tokio::test]
async fn path_without_a_valid_secret_is_left_out_and_logged() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path(), &["--secret", "not base64!"]);
    let receiver = Receiver::of(command.stderr(Stdio::piped()));
    for hook in hooks() {
        let left_out = ["/hooks/standard", "/hooks/replicate", "/hooks/fal"].contains(&hook.path);
        let status = receiver.post(hook.path, &[], "{}").await.unwrap().status();
        assert_eq!(status, if left_out { 404 } else { 401 }, "{}", hook.path);
    }
    let errors = receiver.stop_and_read_errors();
    assert!(errors.contains("/hooks/standard is left out"), "{errors}");
    assert!(errors.contains("/hooks/replicate is left out"), "{errors}");
    assert!(!errors.contains("not base64!"), "it shows the secret");
}

#[tokio::test]
async fn fal_key_is_read_as_hexadecimal_or_base64() {
    let hooks = hooks();
    let fal = hooks.iter().find(|hook| hook.path == "/hooks/fal").unwrap();
    let base64 = FAL_KEY.replace('_', "/") + "=";
    let hex = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    for key in [&base64, hex] {
        let directory = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(directory.path(), &["--fal-key", key]);
        assert_comes_back(&receiver, fal, &fal.files[0]).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = command(directory.path(), &["--fal-key", "x"]).output().unwrap();
    assert!(!output.status.success());
}

#[tokio::test]
async fn foxyai_group_requires_its_token() {
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
        let returned = by_meaning(serde_json::from_str(&answer.body).unwrap());
        assert_eq!(returned, by_meaning(serde_json::from_slice(&body).unwrap()));
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
async fn receiver_without_a_secret_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let program = command(directory.path(), &[]).get_program().to_owned();
    let output = Command::new(program).env_remove("INBOX_SECRET").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--unsigned"));
}

/// Reads the head of one response and, by its `content-length`, the body.
async fn read_answer(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn raw_post(body: &str, connection: &str) -> String {
    format!(
        "POST {EXTRACTION} HTTP/1.1\r\nhost: x\r\nx-signature: {}\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n{body}",
        signature(body.as_bytes()),
        body.len()
    )
}

pub(crate) const EXTRACTED: &str = r#"{"inference": {"id": "i", "model": {"id": "m"}, "result": {"fields": {}}, "file": {"name": "f", "page_count": 1, "mime_type": "x"}}}"#;

#[tokio::test]
async fn started_deliveries_are_answered_archived_and_settled_at_shutdown() {
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
    assert_eq!(processed(&found[0].state), Some(200));
}

/// Returns the log of a receiver at level `info`, without a terminal, after this number of deliveries.
async fn log_of_deliveries(deliveries: usize, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path(), arguments);
    command.env("RUST_LOG", "info").stderr(Stdio::piped());
    let receiver = Receiver::of(&mut command);
    for n in 0..deliveries {
        // The id has the length of Mindee's ids.
        let id = format!("\"01234567-89ab-cdef-0123-4567{n:08}\"");
        let status = receiver.post_signed(EXTRACTED.replace("\"i\"", &id)).await.unwrap().status();
        assert!(status.is_success());
    }
    receiver.stop_and_read_errors()
}

#[tokio::test]
async fn log_has_less_than_300_bytes_for_a_delivery_at_info_and_no_colours() {
    const DELIVERIES: usize = 40;
    for arguments in [&[][..], &["--background", "2"]] {
        let log = log_of_deliveries(DELIVERIES, arguments).await;
        let processed: Vec<_> = log.lines().filter(|line| line.contains("processed")).collect();
        // Deliveries that no worker has claimed by the time of the shutdown are left for the next start.
        let all = arguments.is_empty();
        assert!(!processed.is_empty() && (!all || processed.len() == DELIVERIES), "{log}");
        let lines = log.lines().filter(|line| line.contains("delivery{")).count();
        assert_eq!(lines, processed.len(), "{log}");
        let longest = processed.iter().map(|line| line.len()).max();
        assert!(longest.is_some_and(|bytes| bytes < 300), "{longest:?}: {}", processed[0]);
        assert!(!log.contains('\x1b'), "{log}");
    }
}

#[tokio::test]
async fn incomplete_body_of_a_client_that_hangs_up_is_not_archived() {
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
async fn repeat_is_recognized_after_a_restart() {
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

#[tokio::test]
async fn second_process_is_refused_with_the_locked_directory_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let first = Receiver::start(directory.path(), &[]);
    let here = DiskArchive::open(directory.path()).await.unwrap_err();
    assert!(
        matches!(&here, ArchiveError::Locked { path, .. } if path == directory.path()),
        "{here}"
    );
    let second = command(directory.path(), &[]).stderr(Stdio::piped()).output().unwrap();
    assert!(!second.status.success());
    let error = String::from_utf8(second.stderr).unwrap();
    let directory_name = directory.path().file_name().unwrap().to_str().unwrap();
    assert!(error.contains("Locked") && error.contains(directory_name), "{error}");
    let answer = first.post_signed("{}").await.unwrap();
    assert_ne!(answer.status(), http::StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    // The lock is released when its process ends.
    DiskArchive::open(directory.path()).await.unwrap();
}
