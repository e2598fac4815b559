use std::{collections::VecDeque, ops::Range};

/// How many items lie together.
const TOGETHER: usize = 1024;

/// A list that never moves what is in it. One that doubles when it is full would at times hold twice as much. What is
/// forgotten at its beginning is given back; what is behind it keeps its position.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: VecDeque<Vec<T>>,
    /// How many chunks were before these.
    forgotten: usize,
}

impl<T> Chunks<T> {
    pub(super) fn push(&mut self, item: T) {
        if self.chunks.back().is_none_or(|last| last.len() == TOGETHER) {
            // Many archives are small.
            let room = if self.chunks.is_empty() { 0 } else { TOGETHER };
            self.chunks.push_back(Vec::with_capacity(room));
        }
        if let Some(last) = self.chunks.back_mut() {
            last.push(item);
        }
    }

    pub(super) fn get(&self, position: usize) -> Option<&T> {
        let chunk = (position / TOGETHER).checked_sub(self.forgotten)?;
        self.chunks.get(chunk)?.get(position % TOGETHER)
    }

    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut T> {
        let chunk = (position / TOGETHER).checked_sub(self.forgotten)?;
        self.chunks.get_mut(chunk)?.get_mut(position % TOGETHER)
    }

    /// The positions of what is there.
    pub(super) fn positions(&self) -> Range<usize> {
        let last = self.chunks.back().map_or(0, Vec::len);
        let before = self.forgotten + self.chunks.len().saturating_sub(1);
        self.forgotten * TOGETHER..before * TOGETHER + last
    }

    /// Gives back the room of what is before this position, as far as nothing else lies together with it.
    pub(super) fn forget_before(&mut self, position: usize) {
        while self.chunks.len() > 1 && (self.forgotten + 1) * TOGETHER <= position {
            self.chunks.pop_front();
            self.forgotten += 1;
        }
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), forgotten: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_found_at_its_place() {
        let mut chunks = Chunks::default();
        for number in 0..=2 * TOGETHER {
            assert_eq!((chunks.positions(), chunks.get(number)), (0..number, None));
            chunks.push(number);
            assert_eq!(chunks.get(number), Some(&number));
        }
        *chunks.get_mut(TOGETHER).unwrap() = 7;
        assert_eq!(
            (chunks.get(TOGETHER - 1), chunks.get(TOGETHER)),
            (Some(&(TOGETHER - 1)), Some(&7))
        );
    }

    #[test]
    fn what_is_forgotten_gives_its_room_back_and_the_rest_keeps_its_position() {
        let mut chunks = Chunks::default();
        (0..2 * TOGETHER + 7).for_each(|number| chunks.push(number));
        for (before, first) in [(TOGETHER - 1, 0), (TOGETHER, TOGETHER), (usize::MAX, 2 * TOGETHER)]
        {
            chunks.forget_before(before);
            assert_eq!(chunks.positions(), first..2 * TOGETHER + 7);
            assert_eq!(chunks.get(first), Some(&first));
            assert_eq!(first.checked_sub(1).and_then(|last| chunks.get(last)), None);
        }
        chunks.push(2 * TOGETHER + 7);
        assert_eq!(chunks.get(2 * TOGETHER + 7), Some(&(2 * TOGETHER + 7)));
    }
}
