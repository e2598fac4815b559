//! `inbox verify` and `inbox stats`.

use std::fs;

use tower_inbox::{Archive, archive::Query};

use super::{builder, fill, inbox, objects, written};

#[tokio::test]
async fn verify_reports_damage() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    archive.maintain_now().await.unwrap();
    assert!(written(dir.path(), &["verify"]).starts_with("sound: 10 deliveries"));
    let segment = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    let segment = segment.filter(|file| file.extension().unwrap() == "gz").min().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let output = inbox(dir.path(), &["verify"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with(segment.to_str().unwrap()), "{text}");
    let object =
        objects(&String::from_utf8(inbox(dir.path(), &["verify", "--json"]).stdout).unwrap());
    assert_eq!(object[0]["damages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn verify_fails_for_a_missing_segment_and_for_a_directory_that_is_not_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    archive.maintain_now().await.unwrap();
    let segment = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    let segment = segment.filter(|file| file.extension().unwrap() == "gz").min().unwrap();
    fs::remove_file(&segment).unwrap();
    let output = inbox(dir.path(), &["verify"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(": the segment is missing\ndamaged in 1 place"), "{text}");

    let other = tempfile::tempdir().unwrap();
    let output = inbox(other.path(), &["verify"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("is not an archive"), "{text}");
}

#[tokio::test]
async fn verify_checks_the_end_of_a_sealed_segment() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).compress_after(None).open().await.unwrap();
    fill(&archive).await;
    archive.maintain_now().await.unwrap();
    let segment = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    let segment = segment.filter(|file| file.extension().unwrap() == "warc").min().unwrap();
    let whole = fs::read(&segment).unwrap();
    let last = whole.windows(10).rposition(|bytes| bytes == b"WARC/1.1\r\n").unwrap();
    for way in ["header", "trailer", "cut"] {
        let mut bytes = whole.clone();
        match way {
            "header" => bytes[last + 20] ^= 1,
            "trailer" => *bytes.last_mut().unwrap() ^= 1,
            _ => bytes.truncate(last + 100),
        }
        fs::write(&segment, &bytes).unwrap();
        let output = inbox(dir.path(), &["verify", "--json"]);
        let object = &objects(&String::from_utf8(output.stdout).unwrap())[0];
        assert_eq!(output.status.code(), Some(1), "{object}");
        let damage = &object["damages"].as_array().unwrap()[0];
        assert_eq!((&damage["offset"], &object["torn"]), (&last.into(), &0.into()), "{object}");
        assert_eq!(damage["length"], bytes.len() - last, "{object}");
    }
}

#[tokio::test]
async fn stats_counts_by_state() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    archive.remove(Query::all().id(all[0].id())).await.unwrap();
    let stats = &objects(&written(dir.path(), &["stats", "--json"]))[0];
    assert_eq!((&stats["deliveries"], &stats["removed"]), (&9.into(), &1.into()));
    assert_eq!(stats["received"]["last"], "1970-01-01T09:00:00.000Z");
    assert_eq!(stats["states"], serde_json::json!({ "pending": 1, "processed": 8 }));
    assert!(written(dir.path(), &["stats"]).contains("9  deliveries"));
}
