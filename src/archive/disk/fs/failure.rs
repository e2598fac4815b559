use std::{
    io,
    path::{Path, PathBuf},
};

use crate::archive::ArchiveError;

/// A failed operation, its path, and the error of the operating system. One failure can be the error of many waiting
/// callers.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub(in crate::archive::disk) struct Failure {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Failure {
    /// Builds a closure for `map_err`.
    pub(in crate::archive::disk) fn to(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }

    /// Returns whether the error is that a file does not exist.
    pub(in crate::archive::disk) fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Returns a copy of the error for one waiting caller, because [`io::Error`] cannot be cloned.
    pub(in crate::archive::disk) fn error(&self) -> ArchiveError {
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
