/// How many items lie together.
const TOGETHER: usize = 4096;

/// A list that never moves what is in it. One that doubles when it is full would at times hold twice as much.
#[derive(Debug)]
pub(super) struct Chunks<T>(Vec<Vec<T>>);

impl<T> Chunks<T> {
    pub(super) fn push(&mut self, item: T) {
        if self.0.last().is_none_or(|last| last.len() == TOGETHER) {
            // Many archives are small.
            self.0.push(if self.0.is_empty() { Vec::new() } else { Vec::with_capacity(TOGETHER) });
        }
        if let Some(last) = self.0.last_mut() {
            last.push(item);
        }
    }

    pub(super) fn get(&self, position: usize) -> Option<&T> {
        self.0.get(position / TOGETHER)?.get(position % TOGETHER)
    }

    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut T> {
        self.0.get_mut(position / TOGETHER)?.get_mut(position % TOGETHER)
    }

    pub(super) fn len(&self) -> usize {
        let last = self.0.last().map_or(0, Vec::len);
        self.0.len().saturating_sub(1) * TOGETHER + last
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_found_at_its_place() {
        let mut chunks = Chunks::default();
        for number in 0..=2 * TOGETHER {
            assert_eq!((chunks.len(), chunks.get(number)), (number, None));
            chunks.push(number);
            assert_eq!(chunks.get(number), Some(&number));
        }
        *chunks.get_mut(TOGETHER).unwrap() = 7;
        assert_eq!(
            (chunks.get(TOGETHER - 1), chunks.get(TOGETHER)),
            (Some(&(TOGETHER - 1)), Some(&7))
        );
    }
}
