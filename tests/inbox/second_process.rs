//! Two processes on one directory.

use std::process::Stdio;

use tower_inbox::{DiskArchive, archive::ArchiveError};

use crate::process::{Receiver, command};

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
    // The lock ends with its process.
    DiskArchive::open(directory.path()).await.unwrap();
}
