use super::choice::Choice;

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
    fn what_a_failed_sync_forgot_no_later_sync_brings_back() {
        let mut content = Content::durable(b"abcd".to_vec());
        content.append(b"efgh", 4);
        content.forget();
        content.sync();
        assert_eq!(content.now, b"abcdefgh");
        assert_eq!(left(&content), ["abcd".to_owned()].into());
    }
}
