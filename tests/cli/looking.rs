use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tower_inbox::{Archive, DiskArchive, archive::Query, testing::Sample};

use super::{builder, fill, inbox, written};

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn it_lists_what_is_selected_while_a_server_writes() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let found = objects(&written(dir.path(), &["list", "--json"]));
    assert_eq!(found.len(), all.len());
    for (object, one) in found.iter().zip(&all) {
        assert_eq!(object["id"], one.id().to_string());
        assert_eq!(object["bytes"], one.body().len());
        assert_eq!(object["sha256"], one.digest().to_string());
    }
    assert_eq!(found[3]["outcome"], "pending");
    assert_eq!(found[4]["outcome_details"], "processed 200");
    for (selection, wanted) in [
        (vec!["--pending"], vec![3]),
        (vec!["--settled", "--before", "1970-01-01T02:30:00Z"], vec![0, 1, 2]),
        (vec!["--outcome", "processed", "--since", "1970-01-01T08:00:00Z"], vec![8, 9]),
        (vec!["--model", "/other"], vec![]),
    ] {
        let found = objects(&written(dir.path(), &[vec!["list", "--json"], selection].concat()));
        let ids: Vec<_> = found.iter().map(|object| object["id"].as_str().unwrap()).collect();
        assert_eq!(
            ids,
            wanted.iter().map(|at: &usize| all[*at].id().to_string()).collect::<Vec<_>>()
        );
    }
    let table = written(dir.path(), &["list"]);
    assert_eq!(table.lines().count(), 11);
    assert!(table.lines().nth(4).unwrap().ends_with("/m  pending"), "{table}");
}

#[tokio::test]
async fn it_shows_the_exact_body_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let id = all[3].id().to_string();
    assert_eq!(inbox(dir.path(), &["show", &id, "--body"]).stdout, all[3].body().as_ref());
    let page = written(dir.path(), &["show", &id]);
    assert!(page.contains("outcome   pending") && page.contains(&id), "{page}");
    let nobody = tower_inbox::DeliveryId::new().to_string();
    assert_eq!(inbox(dir.path(), &["show", &nobody]).status.code(), Some(1));
}

#[tokio::test]
async fn it_shows_one_as_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let shown = objects(&written(dir.path(), &["show", &all[4].id().to_string(), "--json"]));
    let [object] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!(object["id"], all[4].id().to_string());
    assert_eq!((&object["model"], &object["outcome"]), (&"/m".into(), &"processed".into()));
    assert_eq!(object["bytes"], all[4].body().len());
    assert_eq!(object["sha256"], all[4].digest().to_string());
}

#[tokio::test]
async fn it_lists_what_is_of_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    let other = Sample::of("/other").body("other").delivery();
    let _ = archive.append(other.clone()).await.unwrap();
    let found = objects(&written(dir.path(), &["list", "--json", "--model", "/other"]));
    let ids: Vec<_> = found.iter().map(|object| object["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [other.id().to_string()]);
    assert_eq!(objects(&written(dir.path(), &["list", "--json", "--model", "/m"])).len(), 10);
}

#[tokio::test]
async fn the_directory_that_is_named_counts_before_that_of_the_environment() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&builder(dir.path()).open().await.unwrap()).await;
    drop(builder(other.path()).open().await.unwrap());
    let named = ["list", "--json", "--archive", dir.path().to_str().unwrap()];
    assert_eq!(objects(&written(other.path(), &named)).len(), 10);
    assert_eq!(objects(&written(other.path(), &["list", "--json"])).len(), 0);
}

#[tokio::test]
async fn it_verifies_and_says_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    archive.upkeep_now().await.unwrap();
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
async fn it_verifies_the_end_of_a_sealed_segment_too() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).compress_after(None).open().await.unwrap();
    fill(&archive).await;
    archive.upkeep_now().await.unwrap();
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
async fn it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    archive.remove(Query::all().id(all[0].id())).await.unwrap();
    let stats = &objects(&written(dir.path(), &["stats", "--json"]))[0];
    assert_eq!((&stats["deliveries"], &stats["removed"]), (&9.into(), &1.into()));
    assert_eq!((&stats["pending"], &stats["outcomes"]["processed"]), (&1.into(), &8.into()));
    assert!(written(dir.path(), &["stats"]).contains("9  deliveries"));
}

#[tokio::test]
async fn it_exports_a_selection_that_is_an_archive_of_its_own() {
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
        assert_eq!(found.outcome, archive.outcome(one.id()).await.unwrap());
    }
    for one in &all[5..] {
        assert!(copy.get(one.id()).await.unwrap().is_none(), "it was not selected");
    }
    let file = other.path().join("export");
    let into = ["export", "--into", file.to_str().unwrap()];
    written(dir.path(), &into);
    assert_eq!(inbox(dir.path(), &into).status.code(), Some(2), "it overwrites no file");
}

#[tokio::test]
async fn it_says_what_it_would_export_and_writes_nothing() {
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
async fn it_exports_all_that_was_there_while_a_server_writes() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let writes = builder(dir.path()).segment_age(Duration::ZERO).compress_after(Duration::ZERO);
    let archive = writes.upkeep_every(Duration::from_millis(5)).open().await.unwrap();
    let all = fill(&archive).await;
    let writing = tokio::spawn(async move {
        for number in 0..300 {
            let more = Sample::of("/more").body(number.to_string()).delivery();
            let _ = archive.append(more.clone()).await.unwrap();
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
async fn it_exports_what_can_be_read_and_says_what_cannot() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = builder(dir.path()).compress_after(None).open().await.unwrap();
    let all = fill(&archive).await;
    // Of this one only opening can tell that it is there. Of the other the index file knows.
    spoil(dir.path(), 1);
    archive.upkeep_now().await.unwrap();
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
async fn an_export_that_fails_leaves_no_part_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    let file = dir.path().join("export");
    // A file that would be too long is a disk that is full.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh"]);
    command.args([env!("CARGO_BIN_EXE_inbox"), "export", "--into"]).arg(&file);
    let output = command.env("INBOX_ARCHIVE", dir.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!file.exists(), "{said}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    for _ in 0..2000 {
        let sample = Sample::of("/m").body(tower_inbox::DeliveryId::new().to_string());
        drop(archive.append(sample.delivery()));
    }
    archive.close().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.args(["list", "--archive"]).arg(dir.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!((first, output.status.code()), (*b"ID", Some(0)));
}

#[test]
fn mistakes_are_told_and_help_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    for arguments in [
        vec!["list"],
        vec!["stats"],
        vec!["purge", "--keep", "30d"],
        vec!["purge"],
        vec!["frobnicate"],
        vec!["list", "--body"],
        vec!["show"],
        vec!["show", "x"],
        vec!["list", "--since", "soon"],
        vec!["verify", "too", "much"],
    ] {
        let output = inbox(&nowhere, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stderr.starts_with(b"inbox: "), "{arguments:?}");
    }
    assert!(!nowhere.exists(), "no command makes an archive");
    for arguments in
        [vec![], vec!["help"], vec!["--help"], vec!["list", "--help"], vec!["help", "purge"]]
    {
        assert!(written(&nowhere, &arguments).contains("--archive DIR"), "{arguments:?}");
    }
}
