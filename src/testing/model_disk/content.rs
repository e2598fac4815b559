use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use super::{choice::Choice, names::Names};

/// One file: the contents that programs read, the durable contents, and writes that may be durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// A write that may reach the disk before a sync. Pending writes reach it in any order.
#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    /// A whole block, with its content after one of the writes.
    Block {
        start: usize,
        bytes: Vec<u8>,
    },
}

impl Content {
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { now: bytes.clone(), durable: bytes, pending: Vec::new() }
    }

    pub(super) fn append(&mut self, bytes: &[u8], block: usize) {
        let first = self.now.len() / block;
        self.now.extend_from_slice(bytes);
        self.pending.push(Change::Length(self.now.len()));
        let touched = self.now.chunks(block).enumerate().skip(first);
        self.pending.extend(
            touched.map(|(number, bytes)| Change::Block {
                start: number * block,
                bytes: bytes.to_vec(),
            }),
        );
    }

    pub(super) fn cut(&mut self, length: usize) {
        self.now.resize(length, 0);
        self.pending.push(Change::Length(length));
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Drops pending writes after a failed sync: programs still read the data, but no later sync writes it.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
    }

    /// Returns the file after a crash: one of the possible lengths, any of the pending blocks, and `fill` where the
    /// file grew without a write.
    pub(super) fn crashed(&self, choice: &mut dyn Choice, fill: u8) -> Vec<u8> {
        let mut left = self.durable.clone();
        let lengths = self.pending.iter().filter_map(Change::length);
        let lengths: Vec<_> = std::iter::once(left.len()).chain(lengths).collect();
        let length = lengths.get(choice.pick(lengths.len())).copied().unwrap_or_default();
        left.resize(length, fill);
        for change in self.pending.iter().filter(|change| change.is_block_below(length)) {
            if choice.pick(2) == 1 {
                change.apply(&mut left);
            }
        }
        left.resize(length, fill);
        left
    }
}

impl Change {
    fn apply(&self, left: &mut Vec<u8>) {
        match self {
            Self::Length(length) => left.resize(*length, 0),
            Self::Block { start, bytes } => {
                let end = start + bytes.len();
                left.resize(left.len().max(end), 0);
                if let Some(place) = left.get_mut(*start..end) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }

    fn length(&self) -> Option<usize> {
        match self {
            Self::Length(length) => Some(*length),
            Self::Block { .. } => None,
        }
    }

    fn is_block_below(&self, length: usize) -> bool {
        matches!(self, Self::Block { start, .. } if *start < length)
    }
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::choice::Each, *};

    fn left(content: &Content) -> BTreeSet<String> {
        let mut each = Each::default();
        let mut found = BTreeSet::new();
        loop {
            found.insert(String::from_utf8(content.crashed(&mut each, b'-')).unwrap());
            if !each.advance() {
                return found;
            }
        }
    }

    #[test]
    fn a_crash_leaves_any_of_the_blocks_and_any_of_the_lengths() {
        let mut content = Content::durable(b"abc".to_vec());
        content.append(b"defgh", 4);
        let expected = ["abc", "abc-----", "abcd----", "abc-efgh", "abcdefgh"];
        assert_eq!(left(&content), expected.map(str::to_owned).into());
        content.sync();
        assert_eq!(left(&content), ["abcdefgh".to_owned()].into());
    }

    #[test]
    fn data_lost_by_a_failed_sync_is_not_restored_by_a_later_one() {
        let mut content = Content::durable(b"abcd".to_vec());
        content.append(b"efgh", 4);
        content.forget();
        content.sync();
        assert_eq!(content.now, b"abcdefgh");
        assert_eq!(left(&content), ["abcd".to_owned()].into());
    }
}
