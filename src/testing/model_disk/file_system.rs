use std::{
    any::Any,
    ffi::OsString,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use super::{
    ModelDisk,
    content::Call,
    disk::{Shared, State},
};
use crate::archive::{DiskFile, FileSystem};

impl FileSystem for ModelDisk {
    /// Creates nothing: directories are not modelled and always exist.
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.0.faults.change()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let state = self.state();
        let inside = state.now.names.now.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()).map(OsString::from).collect())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.0.faults.change()?;
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = locks.insert(path.to_owned());
        let lock = || Box::new(Lock { shared: Arc::clone(&self.0), path: path.to_owned() });
        Ok(taken.then(|| lock() as Box<dyn Any + Send + Sync>))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.faults.change()?;
        let mut state = self.state();
        if state.now.file(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.make(Call::Create(path.to_owned()));
        self.opened(&state, path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.faults.change()?;
        self.opened(&self.state(), path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.opened(&self.state(), path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.faults.change()?;
        let mut state = self.state();
        state.now.file(from).ok_or(io::ErrorKind::NotFound)?;
        state.make(Call::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.faults.change()?;
        let mut state = self.state();
        state.now.file(path).ok_or(io::ErrorKind::NotFound)?;
        state.make(Call::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.faults.sync()?;
        self.state().make(Call::SyncDir(dir.to_owned()));
        Ok(())
    }
}

impl ModelDisk {
    fn opened(&self, state: &State, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = state.now.file(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(ModelFile { disk: self.clone(), file }))
    }
}

#[derive(Debug)]
struct Lock {
    shared: Arc<Shared>,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.shared.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

#[derive(Debug)]
struct ModelFile {
    disk: ModelDisk,
    file: usize,
}

impl DiskFile for ModelFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().now.bytes(self.file).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = state.now.bytes(self.file).get(from..).unwrap_or_default();
        let read = buffer.iter_mut().zip(rest).map(|(to, from)| *to = *from).count();
        self.disk.0.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.disk.0.gate.pass();
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        let taken = self.disk.0.faults.write(wanted)?;
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied()).take(taken).collect();
        self.disk.state().make(Call::Append(self.file, bytes));
        Ok(taken)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.0.faults.change()?;
        let length = usize::try_from(len).map_err(io::Error::other)?;
        self.disk.state().make(Call::Cut(self.file, length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let result = self.disk.0.faults.sync();
        let synced = if result.is_ok() { Call::Sync } else { Call::Forget };
        self.disk.state().make(synced(self.file));
        result
    }
}
