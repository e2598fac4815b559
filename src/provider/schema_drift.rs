use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::json::json_path;
use crate::delivery::Delivery;

/// The default interval of schema drift checks: the first of every 64 deliveries.
pub const DEFAULT_SCHEMA_DRIFT_INTERVAL: u64 = 64;

/// The maximum number of paths that are remembered.
const MAX_PATHS: usize = 100;

/// The maximum length of a path that is logged, in characters.
const MAX_PATH_LENGTH: usize = 200;

/// Returns the JSON paths of a delivery that its payload type does not contain.
type Detect = dyn Fn(&Delivery) -> Vec<String> + Send + Sync;

/// Detects members and enum values that the payload type of a model does not contain.
pub(super) struct SchemaDrift {
    detect: Box<Detect>,
    interval: u64,
    deliveries: AtomicU64,
    paths: SeenPaths,
}

/// JSON paths, and the number of deliveries that contained each. Holds at most 100 paths: names of members are chosen by
/// the sender, and must not fill memory or logs.
#[derive(Debug, Default)]
pub(super) struct SeenPaths(Mutex<BTreeMap<String, u64>>);

impl SeenPaths {
    /// Counts the paths of one delivery, and returns the new ones.
    pub(super) fn note(&self, paths: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for path in paths {
            if let Some(count) = known.get_mut(&path) {
                *count += 1;
            } else if known.len() < MAX_PATHS {
                known.insert(path.clone(), 1);
                new.push(path);
            }
        }
        new
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SchemaDrift {
    /// Checks the first of every `interval` deliveries with `detect`, which returns the unknown paths in a delivery.
    pub(super) fn new(
        interval: u64,
        detect: impl Fn(&Delivery) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            detect: Box::new(detect),
            interval: interval.max(1),
            deliveries: AtomicU64::new(0),
            paths: SeenPaths::default(),
        }
    }

    /// Checks the delivery if the interval has passed, and returns the paths that were not seen before.
    pub(super) fn check(&self, delivery: &Delivery) -> Vec<String> {
        if self.deliveries.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.interval) {
            self.paths.note(self.unknown_paths(delivery))
        } else {
            Vec::new()
        }
    }

    /// Returns the unknown paths in a delivery. The items of a list share one path.
    pub(super) fn unknown_paths(&self, delivery: &Delivery) -> Vec<String> {
        let mut paths: Vec<_> =
            (self.detect)(delivery).iter().map(|path| normalized(path)).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// Returns the paths that were seen, with the number of checked deliveries that contained each.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.paths.counts()
    }
}

/// Replaces indices by `*`, removes control characters, which terminals would interpret, and truncates the path.
pub(super) fn normalized(path: &str) -> String {
    let path = json_path::of_every_item(path);
    path.chars().filter(|c| !c.is_control()).take(MAX_PATH_LENGTH).collect()
}

impl fmt::Debug for SchemaDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaDrift").field("deliveries", &self.deliveries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::provider::json::{json_path::ROOT, unknown};

    #[test]
    fn number_of_remembered_paths_is_limited() {
        let paths = |from: usize| (from..from + 80).map(|n| format!("$.a{n}")).collect::<Vec<_>>();
        let seen = SeenPaths::default();
        assert_eq!(seen.note(paths(0)).len(), 80);
        assert_eq!(seen.note(paths(40)).len(), 20);
        let counts = seen.counts();
        assert_eq!((counts.len(), counts["$.a40"], counts["$.a99"]), (MAX_PATHS, 2, 1));
    }

    #[test]
    fn logged_path_is_short_and_on_one_line() {
        let mut raw = Map::new();
        let name = format!("a\n\u{1b}[2J\u{202e}{}", "é".repeat(1000));
        raw.insert(name, Value::from(1));
        let paths = unknown::paths(&raw.into(), &json!({}));
        let path = normalized(&paths[0]);
        assert!(path.starts_with(r"$['a\n\u{1b}[2J\u{202e}éé"), "{path}");
        assert_eq!(path.chars().count(), MAX_PATH_LENGTH);
        assert_eq!(normalized("$.a\n"), "$.a");
        assert_eq!(normalized(ROOT), ROOT);
    }
}
