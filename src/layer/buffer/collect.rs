use bytes::{Bytes, BytesMut};

/// The longest buffer that is made before any of its bytes have come.
const FIRST_BUFFER: usize = 64 << 10;

/// The parts of a body, put together. A body of one part is not copied.
#[derive(Debug, Default)]
pub(super) enum Collected {
    #[default]
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Collected {
    /// Adds a part. `announced` is how long the whole body should be; it is not trusted further than one buffer.
    pub(super) fn push(&mut self, part: Bytes, announced: usize) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(part),
            Self::One(first) => {
                let so_far = first.len() + part.len();
                let mut many = BytesMut::with_capacity(so_far.max(announced.min(FIRST_BUFFER)));
                many.extend_from_slice(&first);
                many.extend_from_slice(&part);
                Self::Many(many)
            }
            Self::Many(mut many) => {
                many.extend_from_slice(&part);
                Self::Many(many)
            }
        };
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(one) => one.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn take(&mut self) -> Bytes {
        match std::mem::take(self) {
            Self::Nothing => Bytes::new(),
            Self::One(one) => one,
            Self::Many(many) => many.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_together_and_one_part_is_not_copied() {
        let one = Bytes::from_static(b"one");
        let mut collected = Collected::default();
        collected.push(one.clone(), 3);
        assert_eq!(collected.take().as_ptr(), one.as_ptr());
        for part in ["a", "", "bc", "d"] {
            collected.push(Bytes::from_static(part.as_bytes()), 4);
        }
        assert_eq!((collected.len(), collected.take()), (4, Bytes::from_static(b"abcd")));
        assert_eq!(collected.take(), Bytes::new());
    }
}
