use std::{
    any::Any,
    ffi::OsString,
    io::{self, IoSlice},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use super::FaultyDisk;
use crate::archive::{FileId, Lock, Medium, MediumFile, RealDisk};

impl Medium for FaultyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.change()?;
        RealDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.list(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.0.change()?;
        RealDisk.lock(path)
    }

    fn is_locked_by(&self, path: &Path, lock: &Lock) -> bool {
        RealDisk.is_locked_by(path, lock)
    }

    fn identity(&self, path: &Path) -> io::Result<Option<FileId>> {
        RealDisk.identity(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        self.0.change()?;
        Ok(faulty(self, RealDisk.create(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        self.0.change()?;
        Ok(faulty(self, RealDisk.open_append(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        RealDisk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.change()?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.change()?;
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync()?;
        RealDisk.sync_dir(dir)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.0.read_free_space();
        self.free().map_or_else(|| RealDisk.free_space(dir), Ok)
    }
}

fn faulty(disk: &FaultyDisk, file: Box<dyn MediumFile>) -> Box<dyn MediumFile> {
    Box::new(FaultyFile { disk: disk.clone(), file, sync_failed: AtomicBool::new(false) })
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    file: Box<dyn MediumFile>,
    sync_failed: AtomicBool,
}

impl FaultyFile {
    fn watch_misuse(&self) {
        if self.sync_failed.load(Ordering::Relaxed) {
            self.disk.0.note_misuse();
        }
    }
}

impl MediumFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.watch_misuse();
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        let room = self.disk.0.write(wanted)?;
        if room == wanted {
            return self.file.write_vectored(slices);
        }
        let bytes: Vec<u8> =
            slices.iter().flat_map(|slice| slice.iter().copied()).take(room).collect();
        self.file.write_vectored(&[IoSlice::new(&bytes)])
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.0.change()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch_misuse();
        let result = self.disk.0.sync();
        self.sync_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result.and_then(|()| self.file.sync_data())
    }

    fn version(&self) -> Option<String> {
        self.file.version()
    }

    fn identity(&self) -> Option<FileId> {
        self.file.identity()
    }
}
