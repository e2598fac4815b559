//! A reader that this project did not write: every form of a segment passes its check, and it finds every body.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use tower_inbox::{Archive, Delivery, archive::Query};

use super::{builder, fill};

/// `None`, with a note, where warcio is not installed; but in CI that is a failure.
fn warcio(arguments: &[&str]) -> Option<Output> {
    let python = env::var("INBOX_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = "import sys; from warcio.cli import main; sys.exit(main())";
    let output = Command::new(python).args(["-c", run]).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("No module named 'warcio'") {
        assert!(env::var_os("CI").is_none(), "warcio is not installed: {errors}");
        eprintln!(
            "not checked by warcio: `pip install warcio`, and name that Python in INBOX_PYTHON"
        );
        return None;
    }
    assert!(
        output.status.success(),
        "{arguments:?}: {errors}{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Some(output)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.to_string_lossy().contains(".warc")).collect()
}

/// Checks the segments; then each body that is left is extracted and compared.
fn assert_readable(dir: &Path, left: &[&Delivery]) -> Option<()> {
    let mut found = 0;
    for segment in segments(dir) {
        let segment = segment.to_str().unwrap();
        warcio(&["check", segment])?;
        let index = warcio(&["index", "-f", "offset,warc-type,warc-record-id", segment])?;
        for line in String::from_utf8(index.stdout).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            if record["warc-type"] != "request" {
                continue;
            }
            let offset = record["offset"].as_str().unwrap();
            let body = warcio(&["extract", "--payload", segment, offset])?.stdout;
            let id = record["warc-record-id"].as_str().unwrap();
            let one = left.iter().find(|one| id == format!("<urn:uuid:{}>", one.id())).unwrap();
            assert!(body == *one.body(), "{segment}: the body of {id} is another");
            found += 1;
        }
    }
    assert_eq!(found, left.len());
    Some(())
}

#[tokio::test]
async fn warcio_reads_open_sealed_and_compressed_segments() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).compress_after(Duration::ZERO).open().await.unwrap();
    let all = fill(&archive).await;
    let mut left: Vec<_> = all.iter().collect();
    if assert_readable(dir.path(), &left).is_none() {
        return;
    }
    archive.remove(Query::all().id(all[5].id())).await.unwrap();
    left.remove(5);
    assert_readable(dir.path(), &left);
    archive.upkeep_now().await.unwrap();
    assert!(segments(dir.path()).iter().any(|file| file.extension().unwrap() == "gz"));
    archive.remove(Query::all().id(all[1].id())).await.unwrap();
    left.remove(1);
    assert_readable(dir.path(), &left);
}
