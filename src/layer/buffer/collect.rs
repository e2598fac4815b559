use std::mem;

use bytes::{BufMut, Bytes, BytesMut};

/// The parts of a body. A body of one part is not copied, one of many is once.
#[derive(Debug, Default)]
pub(super) struct Collected {
    parts: Vec<Bytes>,
    length: usize,
}

impl Collected {
    pub(super) fn push(&mut self, part: Bytes) {
        self.length += part.len();
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// All parts in one piece, as long as they are and no longer.
    pub(super) fn take(&mut self) -> Bytes {
        let Self { mut parts, length } = mem::take(self);
        if parts.len() <= 1 {
            return parts.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(length);
        for part in parts {
            whole.put(part);
        }
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_together_and_one_part_is_not_copied() {
        let one = Bytes::from_static(b"one");
        let mut collected = Collected::default();
        collected.push(one.clone());
        assert_eq!(collected.take().as_ptr(), one.as_ptr());
        for part in ["a", "", "bc", "d"] {
            collected.push(Bytes::from_static(part.as_bytes()));
        }
        assert_eq!((collected.len(), collected.take()), (4, Bytes::from_static(b"abcd")));
        assert_eq!((collected.len(), collected.take()), (0, Bytes::new()));
    }
}
