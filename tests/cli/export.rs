//! `inbox export`.

use std::{fs, path::Path, process::Command, time::Duration};

use tower_inbox::{Archive, DiskArchive, archive::Query, testing::Sample};

use super::{append, builder, fill, inbox, written};

#[tokio::test]
async fn export_of_a_selection_is_an_archive() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let text = written(dir.path(), &["export", "--before", "1970-01-01T05:00:00Z"]);
    let name = text.lines().find_map(|line| line.strip_prefix("WARC-Filename: ")).unwrap();
    fs::write(other.path().join(name), &text).unwrap();
    let copy = DiskArchive::open(other.path()).await.unwrap();
    for one in &all[..5] {
        let found = copy.get(one.id()).await.unwrap().unwrap();
        assert_eq!(found.delivery, *one);
        assert_eq!(Some(found.state), archive.state(one.id()).await.unwrap());
    }
    for one in &all[5..] {
        assert!(copy.get(one.id()).await.unwrap().is_none(), "not selected");
    }
    let file = other.path().join("export");
    let into = ["export", "--into", file.to_str().unwrap()];
    written(dir.path(), &into);
    assert_eq!(
        inbox(dir.path(), &into).status.code(),
        Some(2),
        "existing files are not overwritten"
    );
}

#[tokio::test]
async fn export_dry_run_counts_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let file = dir.path().join("export");
    let into = ["export", "--dry-run", "--pending", "--into", file.to_str().unwrap()];
    let output = inbox(dir.path(), &into);
    let said = String::from_utf8(output.stderr).unwrap();
    let wanted = format!("would export 1 delivery of {} bytes\n", all[3].body().len());
    assert_eq!((said, output.status.code()), (wanted, Some(0)));
    assert!(output.stdout.is_empty() && !file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn export_is_complete_while_a_server_writes() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let writes = builder(dir.path()).segment_age(Duration::ZERO).compress_after(Duration::ZERO);
    let archive = writes.maintenance_interval(Duration::from_millis(5)).open().await.unwrap();
    let all = fill(&archive).await;
    let writing = tokio::spawn(async move {
        for number in 0..300 {
            let more = Sample::of("/more").body(number.to_string()).delivery();
            append(&archive, &more).await;
            archive.remove(Query::all().id(more.id())).await.unwrap();
        }
    });
    for number in 0..5 {
        let file = other.path().join(number.to_string());
        let into = ["export", "--model", "/m", "--into", file.to_str().unwrap()];
        let (path, into) = (dir.path().to_owned(), into.map(str::to_owned));
        let output =
            tokio::task::spawn_blocking(move || inbox(&path, &into.each_ref().map(String::as_str)));
        let output = output.await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((said.as_str(), output.status.code()), ("exported 10 deliveries\n", Some(0)));
        let text = String::from_utf8(fs::read(file).unwrap()).unwrap();
        assert!(all.iter().all(|one| text.contains(&one.id().to_string())));
    }
    writing.abort();
}

/// Flips a bit in the body of the delivery with this number.
fn spoil(dir: &Path, number: usize) {
    let needle = format!("<{number}>\u{0}\r\n").repeat(100).into_bytes();
    for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        let mut bytes = fs::read(&file).unwrap();
        let Some(place) = bytes.windows(needle.len()).position(|at| at == needle) else { continue };
        bytes[place] ^= 1;
        fs::write(file, bytes).unwrap();
    }
}

#[tokio::test]
async fn export_skips_and_reports_damaged_deliveries() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = builder(dir.path()).compress_after(None).open().await.unwrap();
    let all = fill(&archive).await;
    // The damage to the first is detected only when the archive is opened. The second is in the index file.
    spoil(dir.path(), 1);
    archive.maintain_now().await.unwrap();
    spoil(dir.path(), 5);
    drop(archive);
    let file = other.path().join("00000001-0123456789abcdef.warc");
    let output = inbox(dir.path(), &["export", "--into", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.matches("is damaged at byte").count()), (Some(1), 2));
    assert!(said.ends_with("exported 8 deliveries\n"), "{said}");
    let text = String::from_utf8(fs::read(&file).unwrap()).unwrap();
    let name = text.lines().find_map(|line| line.strip_prefix("WARC-Filename: ")).unwrap();
    fs::rename(&file, other.path().join(name)).unwrap();
    let copy = DiskArchive::open(other.path()).await.unwrap();
    for (number, one) in all.iter().enumerate() {
        let found = copy.get(one.id()).await.unwrap();
        assert_eq!(found.is_some(), ![1, 5].contains(&number), "{number}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn failed_export_leaves_no_partial_file() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    let file = dir.path().join("export");
    // A file size limit acts like a full disk.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh"]);
    command.args([env!("CARGO_BIN_EXE_inbox"), "export", "--into"]).arg(&file);
    let output = command.env("INBOX_ARCHIVE", dir.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!file.exists(), "{said}");
}
