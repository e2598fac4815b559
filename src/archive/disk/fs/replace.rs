//! Files that are either complete or absent: written under a temporary name, synced, then renamed.

use std::{
    io::IoSlice,
    path::{Path, PathBuf},
};

use super::{
    file_io::write_all,
    file_system::{DiskFile, Failure, FileSystem},
};
use crate::archive::disk::read::listing::UNFINISHED;

/// The size of the write buffer, in bytes.
const BUFFER: usize = 1 << 20;

/// A file that is being written and does not have its final name yet.
#[derive(Debug)]
pub(in crate::archive::disk) struct Replacement {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    length: u64,
}

impl Replacement {
    /// Starts the file that will become `path`.
    pub(in crate::archive::disk) fn begin(
        fs: &dyn FileSystem,
        path: &Path,
    ) -> Result<Self, Failure> {
        let path = unfinished(path);
        // An earlier attempt may have failed halfway. If this removal fails too, the creation reports the error.
        drop(fs.remove(&path));
        let file = fs.create(&path).map_err(Failure::to("create", &path))?;
        Ok(Self { path, file, buffer: Vec::with_capacity(BUFFER), length: 0 })
    }

    /// Returns the number of bytes written so far.
    pub(in crate::archive::disk) fn length(&self) -> u64 {
        self.length
    }

    pub(in crate::archive::disk) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.length += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let written = write_all(&*self.file, &mut [IoSlice::new(&self.buffer)]);
        self.buffer.clear();
        written.map_err(Failure::to("write", &self.path))
    }

    /// Makes the bytes durable, and returns the path. The file can then be renamed.
    pub(in crate::archive::disk) fn finish(mut self) -> Result<PathBuf, Failure> {
        self.flush()?;
        self.file.sync_data().map_err(Failure::to("sync", &self.path))?;
        Ok(self.path)
    }
}

/// Returns the path of a file until it is complete.
pub(in crate::archive::disk) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// Removes an unfinished file, because it may contain bodies. Returns its path if it cannot be removed.
pub(in crate::archive::disk) fn abandon(fs: &dyn FileSystem, path: &Path) -> Option<PathBuf> {
    let path = unfinished(path);
    match fs.remove(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove an unfinished file");
            Some(path)
        }
        _ => None,
    }
}

/// Writes a complete file, replacing any existing one.
pub(in crate::archive::disk) fn replace(
    fs: &dyn FileSystem,
    dir: &Path,
    path: &Path,
    bytes: &[u8],
) -> Result<(), Failure> {
    let mut file = Replacement::begin(fs, path)?;
    file.write(bytes)?;
    let unfinished = file.finish()?;
    fs.rename(&unfinished, path).map_err(Failure::to("rename", &unfinished))?;
    fs.sync_dir(dir).map_err(Failure::to("sync", dir))
}

/// Removes a file durably; it may already be gone.
pub(in crate::archive::disk) fn remove(
    fs: &dyn FileSystem,
    dir: &Path,
    path: &Path,
) -> Result<(), Failure> {
    match fs.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::to("remove", path)(error))
        }
        _ => fs.sync_dir(dir).map_err(Failure::to("sync", dir)),
    }
}
