use tower_inbox::{Archive, DiskArchive};

use super::{builder, fill, inbox, written};

#[tokio::test]
async fn backup_and_restore_print_a_summary_and_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let to = path("backup").to_str().unwrap().to_owned();
    let archive = builder(&path("inbox")).open().await.unwrap();
    let all = fill(&archive).await;
    let said = written(&path("inbox"), &["backup", &to]);
    assert!(
        said.starts_with("backup of 10 deliveries in ") && said.contains(" is sound: "),
        "{said}"
    );
    assert!(written(&path("inbox"), &["backup", &to]).contains(": 1 segments copied"));
    assert_eq!(written(&path("backup"), &["list"]).lines().count(), 11);
    let said = written(&path("new"), &["restore", &to]);
    assert!(said.starts_with("restored 10 deliveries into "), "{said}");
    assert!(said.contains("Next:\n"), "{said}");
    let restored = DiskArchive::open(path("new")).await.unwrap();
    for one in all {
        assert!(restored.get(one.id()).await.unwrap().is_some());
    }
    let output = inbox(&path("new"), &["restore", &to]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("it is not empty; use a new directory"), "{said}");
    let output = inbox(&path("inbox"), &["backup"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("<TO>"));
    // A part of the archive is damaged, and no earlier copy exists.
    let sealed = std::fs::read_dir(path("inbox")).unwrap().map(|file| file.unwrap().path());
    let sealed = sealed.filter(|path| path.extension().is_some_and(|end| end == "warc")).min();
    let mut bytes = std::fs::read(sealed.as_ref().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(sealed.unwrap(), bytes).unwrap();
    let output = inbox(&path("inbox"), &["backup", path("other").to_str().unwrap()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(" is damaged: ") && said.contains("bytes at byte "), "{said}");
}
