use std::collections::HashSet;

use super::json_path;

/// The places of unknown things that were seen already, so that each is told once: a bounded set of JSON paths.
///
/// ```
/// use tower_inbox::provider::Novelties;
///
/// let mut seen = Novelties::new(100);
/// assert!(seen.is_new("$.pages[0].colour"));
/// assert!(!seen.is_new("$.pages[1].colour"), "of another page, but the same place");
/// ```
#[derive(Clone, Debug)]
pub struct Novelties {
    paths: HashSet<String>,
    most: usize,
}

impl Novelties {
    /// A set that remembers at most so many paths. What is new when it is full is not told: the paths of a body are
    /// the sender's, and must not fill memory or logs.
    pub fn new(most: usize) -> Self {
        Self { paths: HashSet::new(), most }
    }

    /// Whether the place was not seen before; from now on it was. The items of a list are one place.
    pub fn is_new(&mut self, path: &str) -> bool {
        !self.is_full() && self.paths.insert(json_path::of_every_item(path))
    }

    /// Whether nothing more is told.
    pub fn is_full(&self) -> bool {
        self.paths.len() >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_new_once_and_none_is_when_it_is_full() {
        let mut seen = Novelties::new(2);
        assert!(seen.is_new("$.a[3].b") && seen.is_new("$.a"));
        assert!(!seen.is_new("$.a[4].b") && !seen.is_new("$.c"));
        assert!(seen.is_full());
    }
}
