use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Outcome,
    archive::{Acquire, Append, Query},
    delivery::InferenceKey,
    testing::Sample,
};

use super::{append, as_inference, builder, fill, inbox, settled, written};

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(text: &str) -> Vec<String> {
    objects(text).iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn list_selects_by_state_model_and_time_while_a_server_writes() {
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
    assert_eq!(found[3]["state"], "pending");
    assert_eq!((&found[4]["state"], &found[4]["status"]), (&"processed".into(), &200.into()));
    for (selection, wanted) in [
        (vec!["--pending"], vec![3]),
        (vec!["--settled", "--before", "1970-01-01T02:30:00Z"], vec![0, 1, 2]),
        (vec!["--state", "processed", "--since", "1970-01-01T08:00:00Z"], vec![8, 9]),
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
async fn show_writes_the_exact_body() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let id = all[3].id().to_string();
    assert_eq!(inbox(dir.path(), &["show", &id, "--body"]).stdout, all[3].body().as_ref());
    let page = written(dir.path(), &["show", &id]);
    assert!(page.contains("state      pending") && page.contains(&id), "{page}");
    let nobody = DeliveryId::new().to_string();
    assert_eq!(inbox(dir.path(), &["show", &nobody]).status.code(), Some(1));
}

#[tokio::test]
async fn show_writes_a_json_object() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let shown = objects(&written(dir.path(), &["show", &all[4].id().to_string(), "--json"]));
    let [object] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!(object["id"], all[4].id().to_string());
    assert_eq!((&object["model"], &object["state"]), (&"/m".into(), &"processed".into()));
    assert_eq!(object["bytes"], all[4].body().len());
    assert_eq!(object["sha256"], all[4].digest().to_string());
}

#[tokio::test]
async fn leased_is_a_state_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let _ = archive.acquire(Acquire::new(all[3].id())).await.unwrap();
    let id = all[3].id().to_string();
    assert_eq!(ids(&written(dir.path(), &["list", "--json", "--state", "leased"])), [&*id]);
    assert_eq!(ids(&written(dir.path(), &["list", "--json", "--pending"])), [&*id]);
    assert!(ids(&written(dir.path(), &["list", "--json", "--state", "pending"])).is_empty());
    let page = written(dir.path(), &["show", &id]);
    assert!(page.contains("state      leased, attempt 1"), "{page}");
    let stats = &objects(&written(dir.path(), &["stats", "--json"]))[0];
    assert_eq!(stats["states"], serde_json::json!({ "leased": 1, "pending": 0, "processed": 9 }));
}

/// Two versions of the inference `inv_1` of `/m`, `inv_1` of `/other`, `inv_2` of `/m`, and an undecodable delivery.
async fn inferences(archive: &DiskArchive) -> Vec<Delivery> {
    let version = |version| InferenceKey::versioned("inv_1", version);
    let mut all = Vec::new();
    for (model, key, outcome) in [
        ("/m", version("1"), Outcome::processed(200)),
        ("/m", version("2"), Outcome::failed("503")),
        ("/other", InferenceKey::new("inv_1"), Outcome::dead("404")),
        ("/m", InferenceKey::new("inv_2"), Outcome::processed(200)),
    ] {
        let (body, outcome) = (format!("{model} {key}"), as_inference(outcome, model, &key));
        all.push(settled(archive, model, &body, outcome).await);
    }
    all.push(settled(archive, "/m", "undecodable", Outcome::undecodable("$.a")).await);
    all
}

#[tokio::test]
async fn list_finds_deliveries_by_inference_key() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = inferences(&archive).await;
    for (options, wanted) in [
        (&["inv_1"][..], &[0, 1, 2][..]),
        (&["inv_1@2"], &[0, 1, 2]),
        (&["inv_1", "--model", "/m"], &[0, 1]),
        (&["inv_1", "--model", "/other"], &[2]),
        (&["inv_1", "--state", "dead"], &[2]),
        (&["inv_2"], &[3]),
        (&["inv_2", "--model", "/other"], &[]),
        (&["inv_3"], &[]),
    ] {
        let found = written(dir.path(), &[&["list", "--json", "--inference"], options].concat());
        let wanted: Vec<_> = wanted.iter().map(|at: &usize| all[*at].id().to_string()).collect();
        assert_eq!(ids(&found), wanted, "{options:?}");
    }
}

#[tokio::test]
async fn show_finds_a_delivery_by_inference_key_and_lists_several() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = inferences(&archive).await;
    let id = |at: usize| all[at].id().to_string();
    let show = |arguments: &[&str]| inbox(dir.path(), &[&["show"], arguments].concat());
    let page = written(dir.path(), &["show", "inv_2"]);
    assert!(page.starts_with(&format!("id         {}\n", id(3))), "{page}");
    assert!(page.contains("\ninference  "), "{page}");
    assert_eq!(show(&["inv_1", "--model", "/other", "--body"]).stdout, all[2].body().as_ref());
    let several = written(dir.path(), &["show", "inv_1"]);
    assert_eq!(several.lines().count(), 4, "a header and three deliveries: {several}");
    assert!((0..3).all(|at| several.contains(&id(at))), "{several}");
    assert_eq!(ids(&written(dir.path(), &["show", "inv_1", "--json"])), [id(0), id(1), id(2)]);
    let body = show(&["inv_1", "--body"]);
    assert!(body.stdout.is_empty() && body.status.code() == Some(1), "{body:?}");
    assert_eq!(show(&["inv_3"]).status.code(), Some(1));
}

#[tokio::test]
async fn inference_key_may_be_a_uuid() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let key = DeliveryId::new().to_string();
    let outcome = as_inference(Outcome::processed(200), "/m", &InferenceKey::new(&*key));
    let one = settled(&archive, "/m", "one", outcome).await;
    assert_eq!(ids(&written(dir.path(), &["show", &key, "--json"])), [one.id().to_string()]);
}

#[tokio::test]
async fn show_of_a_removed_delivery_reports_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let one = settled(&archive, "/m", "one", Outcome::dead("404")).await;
    archive.remove(Query::all().id(one.id())).await.unwrap();
    let output = inbox(dir.path(), &["show", &one.id().to_string()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.ends_with("was removed; its state is dead: 404\n"), "{said}");
}

#[tokio::test]
async fn list_selects_by_model() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    let other = Sample::of("/other").body("other").delivery();
    append(&archive, &other).await;
    let found = objects(&written(dir.path(), &["list", "--json", "--model", "/other"]));
    let ids: Vec<_> = found.iter().map(|object| object["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [other.id().to_string()]);
    assert_eq!(objects(&written(dir.path(), &["list", "--json", "--model", "/m"])).len(), 10);
}

#[tokio::test]
async fn archive_option_overrides_the_environment() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&builder(dir.path()).open().await.unwrap()).await;
    drop(builder(other.path()).open().await.unwrap());
    let named = ["list", "--json", "--archive", dir.path().to_str().unwrap()];
    assert_eq!(objects(&written(other.path(), &named)).len(), 10);
    assert_eq!(objects(&written(other.path(), &["list", "--json"])).len(), 0);
}

#[tokio::test]
async fn verify_reports_damage() {
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
async fn verify_fails_for_a_missing_segment_and_for_what_is_no_archive() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    archive.upkeep_now().await.unwrap();
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
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("is not an archive"), "{text}");
}

#[tokio::test]
async fn verify_checks_the_end_of_a_sealed_segment() {
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
async fn stats_counts_by_state() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    archive.remove(Query::all().id(all[0].id())).await.unwrap();
    let stats = &objects(&written(dir.path(), &["stats", "--json"]))[0];
    assert_eq!((&stats["deliveries"], &stats["removed"]), (&9.into(), &1.into()));
    assert_eq!(stats["states"], serde_json::json!({ "pending": 1, "processed": 8 }));
    assert!(written(dir.path(), &["stats"]).contains("9  deliveries"));
}

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
    let archive = writes.upkeep_every(Duration::from_millis(5)).open().await.unwrap();
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
    // Only opening reads the first. The second is in the index file.
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
async fn failed_export_leaves_no_partial_file() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    let file = dir.path().join("export");
    // A limit on the file size acts like a full disk.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh"]);
    command.args([env!("CARGO_BIN_EXE_inbox"), "export", "--into"]).arg(&file);
    let output = command.env("INBOX_ARCHIVE", dir.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!file.exists(), "{said}");
}

#[tokio::test]
async fn closed_pipe_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    for _ in 0..2000 {
        let sample = Sample::of("/m").body(DeliveryId::new().to_string());
        drop(archive.append(Append::new(sample.delivery())));
    }
    archive.close().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.args(["list", "--limit", "0", "--archive"]).arg(dir.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!((first, output.status.code()), (*b"ID", Some(0)));
}

#[tokio::test]
async fn unexpected_arguments_are_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(builder(dir.path()).open().await.unwrap());
    for (arguments, wanted) in [
        (&["frobnicate"][..], "unknown command 'frobnicate'; try 'inbox --help'"),
        (&["--frob"], "unexpected argument '--frob'; try 'inbox --help'"),
        (&["-x"], "unexpected argument '-x'; try 'inbox --help'"),
        (&["list", "x"], "unexpected argument 'x'; try 'inbox help list'"),
        (&["show", "x", "y"], "unexpected argument 'y'; try 'inbox help show'"),
        (&["list", "--outcome", "dead"], "unexpected argument '--outcome'; try 'inbox help list'"),
        (
            &["list", "--state", "x"],
            "unknown state 'x'; use one of pending, leased, processed, failed, dead, undecodable, repeat",
        ),
    ] {
        let output = inbox(dir.path(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((said, output.status.code()), (format!("inbox: {wanted}\n"), Some(2)));
    }
}

#[test]
fn mistakes_are_errors_and_help_is_printed() {
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
    assert!(!nowhere.exists(), "no command creates an archive");
    for arguments in
        [vec![], vec!["help"], vec!["--help"], vec!["list", "--help"], vec!["help", "purge"]]
    {
        assert!(written(&nowhere, &arguments).contains("--archive DIR"), "{arguments:?}");
    }
}

#[tokio::test]
async fn control_and_bidi_characters_of_a_sender_are_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let hostile = "\u{9b}31m\u{202e}";
    let sample = Sample::of("/m").header("x-raw", b"\x9b2J\xff").body("\u{1b}[2J");
    let one = sample.header("x-text", hostile.as_bytes()).delivery();
    append(&archive, &one).await;
    super::settle(&archive, one.id(), Outcome::dead(hostile)).await;
    archive.close().await;
    drop(archive);
    let id = one.id().to_string();
    let shown = written(dir.path(), &["show", &id]);
    assert!(shown.contains(r"x-raw: \x9b2J\xff"), "{shown}");
    assert!(shown.contains(r"x-text: \u{9b}31m\u{202e}"), "{shown}");
    let listings = [&["list"][..], &["dead"], &["retry", "--all", "--dry-run"]];
    for arguments in listings {
        let text = written(dir.path(), arguments);
        assert!(text.contains(r"\u{9b}31m\u{202e}"), "{arguments:?}: {text}");
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{arguments:?}: {text}");
    }
    for arguments in [&["list", "--json"][..], &["dead", "--json"], &["show", &id, "--json"]] {
        let text = written(dir.path(), arguments);
        assert!(
            text.contains(r"31m\u202e") && !text.contains(['\u{9b}', '\u{202e}']),
            "{arguments:?}: {text}"
        );
    }
    let missing = inbox(dir.path(), &["show", hostile]);
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(error.contains(r"\u{9b}31m\u{202e}") && !error.contains('\u{9b}'), "{error}");
    // Not on a terminal: as it is.
    assert_eq!(inbox(dir.path(), &["show", &id, "--body"]).stdout, b"\x1b[2J");
}

#[tokio::test]
async fn list_shows_the_latest_50_unless_a_limit_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let mut all = Vec::new();
    for number in 0..60 {
        let one = Sample::of("/m").body(format!("{number}")).delivery();
        all.push(one.id().to_string());
        let _ = archive.append(Append::new(one)).await.unwrap();
    }
    archive.close().await;
    let listed =
        |arguments: &[&str]| ids(&written(dir.path(), &[&["list", "--json"], arguments].concat()));
    assert_eq!(listed(&[]), all[10..]);
    assert_eq!(listed(&["--limit", "3"]), all[57..]);
    assert_eq!(listed(&["--limit", "0"]), all);
}
