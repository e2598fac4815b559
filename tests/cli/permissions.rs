//! Commands that run as root on the archive of another user.
#![cfg(unix)]

use std::os::unix::{
    fs::{MetadataExt, PermissionsExt, chown},
    process::CommandExt,
};

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
    // Only root can change the owner of files.
    for path in files().chain([dir.clone()]) {
        if chown(path, Some(SERVER), Some(SERVER)).is_err() {
            eprintln!("skipped: only root can give files away");
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

/// Creates an archive whose files belong to the server's user and are accessible to all. Returns `None` without root.
async fn of_server(dir: &Path) -> Option<Delivery> {
    let archive = builder(dir).open().await.unwrap();
    let first = fill(&archive).await.swap_remove(0);
    archive.close().await;
    drop(archive);
    for path in std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        if chown(&path, Some(SERVER), Some(SERVER)).is_err() {
            eprintln!("skipped: only root can give files away");
            return None;
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    }
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).unwrap();
    Some(first)
}

#[tokio::test]
async fn request_of_root_belongs_to_the_user_of_the_server() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("inbox");
    let Some(first) = of_server(&dir).await else { return };
    // The server does not poll for requests, so the command waits.
    let archive = builder(&dir).open().await.unwrap();
    let mut command = Command::new("sh");
    let script = format!("umask 077; exec {} erase {}", env!("CARGO_BIN_EXE_inbox"), first.id());
    let mut child = command.args(["-c", &script]).env("INBOX_ARCHIVE", &dir).spawn().unwrap();
    let request = loop {
        let mut files = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
        let request = files.find(|path| path.extension().is_some_and(|end| end == "request"));
        if let Some(request) = request {
            break request;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended without a request");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let metadata = std::fs::metadata(request).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (SERVER, SERVER));
    archive.maintain_now().await.unwrap();
    assert!(child.wait().unwrap().success());
    assert!(archive.get(first.id()).await.unwrap().is_none());
}

#[tokio::test]
async fn commands_of_another_user_are_refused_and_leave_no_file() {
    let base = tempfile::tempdir().unwrap();
    std::fs::set_permissions(base.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let dir = base.path().join("inbox");
    let Some(first) = of_server(&dir).await else { return };
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    for with_server in [false, true] {
        let archive = if with_server { Some(builder(&dir).open().await.unwrap()) } else { None };
        for arguments in [&["erase", &first.id().to_string()][..], &["purge", "--keep", "0s"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
            let command = command.args(arguments).env("INBOX_ARCHIVE", &dir).uid(SERVER + 1);
            let Ok(output) = command.output() else {
                eprintln!("skipped: another user cannot run the command");
                return;
            };
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{said}");
            let expected =
                format!("it belongs to user {SERVER}; run this as that user, or as root");
            assert!(said.contains(&expected), "{said}");
            assert_eq!(files(), before, "with a server: {with_server}");
        }
        drop(archive);
    }
}
