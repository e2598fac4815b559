//! warcio, an independent reader, checks segments in every state and finds every body.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tower_inbox::{Archive, Delivery, archive::Query};

use super::{builder, fill, written};

/// Runs the warcio command line for each of `calls` in one Python process, because the startup time dominates.
const RUN: &str = "\
import contextlib, io, json, sys
from warcio.cli import main
for call in json.loads(sys.argv[1]):
    out = io.TextIOWrapper(io.BytesIO(), encoding='utf-8')
    with contextlib.redirect_stdout(out):
        try:
            status = main(call)
        except SystemExit as end:
            status = end.code
    out.flush()
    print(json.dumps({'status': status or 0, 'out': out.buffer.getvalue().hex()}))
";

/// Returns true if warcio is optional: outside of CI, if `INBOX_PYTHON` is not set.
fn may_be_missing(is_set: impl Fn(&str) -> bool) -> bool {
    !["CI", "INBOX_PYTHON"].into_iter().any(is_set)
}

#[test]
fn warcio_is_required_in_ci() {
    assert!(may_be_missing(|_| false));
    for name in ["CI", "INBOX_PYTHON"] {
        assert!(!may_be_missing(|set| set == name), "{name}");
    }
}

/// Returns the output of each call, or `None`, with a note, if warcio is optional and not installed.
fn warcio(calls: &[Vec<&str>]) -> Option<Vec<Vec<u8>>> {
    let python = env::var("INBOX_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let list = serde_json::to_string(calls).unwrap();
    let output = Command::new(python).args(["-c", RUN, &list]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("No module named 'warcio'") {
        let is_set = |name: &str| env::var_os(name).is_some();
        assert!(may_be_missing(is_set), "warcio is not installed: {errors}");
        eprintln!("not checked by warcio: pip install it, and name that Python in INBOX_PYTHON");
        return None;
    }
    assert!(output.status.success(), "{calls:?}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let written = text.lines().zip(calls).map(|(line, call)| {
        let result: Value = serde_json::from_str(line).unwrap();
        let out = hex::decode(result["out"].as_str().unwrap()).unwrap();
        assert_eq!(result["status"], 0, "{call:?}: {}", String::from_utf8_lossy(&out));
        out
    });
    let written: Vec<_> = written.collect();
    assert_eq!(written.len(), calls.len());
    Some(written)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.to_string_lossy().contains(".warc")).collect()
}

/// Checks the segments, and extracts and compares each body of `left`.
fn assert_readable(dir: &Path, left: &[&Delivery]) -> Option<()> {
    let mut found = 0;
    for segment in segments(dir) {
        let segment = segment.to_str().unwrap();
        let fields = "offset,warc-type,warc-record-id";
        let both = [vec!["check", segment], vec!["index", "-f", fields, segment]];
        let index = String::from_utf8(warcio(&both)?.remove(1)).unwrap();
        let records = index.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let requests: Vec<_> = records.filter(|one| one["warc-type"] == "request").collect();
        let calls: Vec<_> = requests
            .iter()
            .map(|one| vec!["extract", "--payload", segment, one["offset"].as_str().unwrap()])
            .collect();
        for (request, body) in requests.iter().zip(warcio(&calls)?) {
            let id = request["warc-record-id"].as_str().unwrap();
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
    archive.maintain_now().await.unwrap();
    assert!(segments(dir.path()).iter().any(|file| file.extension().unwrap() == "gz"));
    archive.remove(Query::all().id(all[1].id())).await.unwrap();
    left.remove(1);
    assert_readable(dir.path(), &left);
}

#[tokio::test]
async fn warcio_reads_an_export() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = builder(dir.path()).compress_after(Duration::ZERO).open().await.unwrap();
    let all = fill(&archive).await;
    archive.maintain_now().await.unwrap();
    let file = other.path().join("export.warc");
    written(dir.path(), &["export", "--settled", "--into", file.to_str().unwrap()]);
    let settled = all.iter().enumerate().filter(|(number, _)| *number != 3);
    assert_readable(other.path(), &settled.map(|(_, one)| one).collect::<Vec<_>>());
}
