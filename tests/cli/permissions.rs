//! Commands that run as root on the archive of another user.
#![cfg(unix)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use super::*;

const SERVER: u32 = 54_321;

#[tokio::test]
async fn commands_run_as_root_leave_files_to_the_owner_of_the_directory() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("inbox");
    let archive = builder(&dir).open().await.unwrap();
    let all = fill(&archive).await;
    settled(&archive, "/m", "dead", Outcome::dead("404")).await;
    archive.close().await;
    drop(archive);
    let files = || std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
    // Only root can give files away.
    for path in files().chain([dir.clone()]) {
        if chown(path, Some(SERVER), Some(SERVER)).is_err() {
            eprintln!("passed without a look: only root can give files away");
            return;
        }
    }
    std::fs::remove_file(dir.join("inbox.lock")).unwrap();
    assert_eq!(inbox(&dir, &["erase", &all[0].id().to_string()]).status.code(), Some(0));
    assert_eq!(inbox(&dir, &["retry", "--all"]).status.code(), Some(0));
    for path in files() {
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (SERVER, SERVER), "{}", path.display());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}
