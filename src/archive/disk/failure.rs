use std::{
    io,
    path::{Path, PathBuf},
};

use crate::archive::ArchiveError;

/// What the operating system refused, and to what. One failure can be the error of many that wait.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub(super) struct Failure {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Failure {
    /// For `map_err`.
    pub(super) fn to(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }

    /// Whether a file was not there.
    pub(super) fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// A copy for one of those that wait: an [`io::Error`] cannot be cloned.
    pub(super) fn error(&self) -> ArchiveError {
        let source = match self.source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.source.kind(), self.source.to_string()),
        };
        ArchiveError::Io { action: self.action, path: self.path.clone(), source }
    }
}

impl From<Failure> for ArchiveError {
    fn from(failure: Failure) -> Self {
        let Failure { action, path, source } = failure;
        Self::Io { action, path, source }
    }
}
