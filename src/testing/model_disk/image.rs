use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use super::{choice::Choice, content::Content, names::Names};

/// A call that changed the disk. Files are identified by number, because they can be renamed while open.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Create(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDir(PathBuf),
    Append(usize, Vec<u8>),
    Cut(usize, usize),
    Sync(usize),
    /// A sync that failed.
    Forget(usize),
}

/// The state of a whole disk at one moment.
#[derive(Clone, Debug)]
pub(super) struct Image {
    block: usize,
    pub(super) names: Names,
    files: Vec<Content>,
}

impl Image {
    pub(super) fn new(block: usize) -> Self {
        Self { block: block.max(1), names: Names::default(), files: Vec::new() }
    }

    pub(super) fn apply(&mut self, call: &Call) {
        let block = self.block;
        match call {
            Call::Create(path) => {
                self.names.link(path, self.files.len());
                self.files.push(Content::default());
            }
            Call::Rename(from, to) => self.names.rename(from, to),
            Call::Remove(path) => self.names.unlink(path),
            Call::SyncDir(dir) => self.names.sync(dir),
            Call::Append(file, bytes) => self.change(*file, |one| one.append(bytes, block)),
            Call::Cut(file, length) => self.change(*file, |one| one.cut(*length)),
            Call::Sync(file) => self.change(*file, Content::sync),
            Call::Forget(file) => self.change(*file, Content::forget),
        }
    }

    fn change(&mut self, file: usize, change: impl FnOnce(&mut Content)) {
        if let Some(content) = self.files.get_mut(file) {
            change(content);
        }
    }

    pub(super) fn file(&self, path: &Path) -> Option<usize> {
        self.names.now.get(path).copied()
    }

    /// Returns the number that the next created file gets.
    pub(super) fn next_file(&self) -> usize {
        self.files.len()
    }

    /// Returns the contents of a file as programs read them.
    pub(super) fn bytes(&self, file: usize) -> &[u8] {
        self.files.get(file).map_or(&[], |content| &content.now)
    }

    /// Returns the disk after a crash. Everything on it is durable.
    pub(super) fn crashed(&self, choice: &mut dyn Choice, fill: u8) -> Self {
        let mut left = Self::new(self.block);
        let mut names = self.names.crashed(choice);
        for file in names.values_mut() {
            let bytes = self.files.get(*file).map(|content| content.crashed(choice, fill));
            *file = left.files.len();
            left.files.push(Content::durable(bytes.unwrap_or_default()));
        }
        left.names = Names::durable(names);
        left
    }

    /// Returns a hash of the names and contents of all files.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, file) in &self.names.now {
            (path, self.bytes(*file)).hash(&mut hasher);
        }
        hasher.finish()
    }
}
