use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;

use super::{Inference, Payload, json_path};
use crate::delivery::Delivery;

/// Of how many deliveries one is looked at, unless the model says otherwise. To look takes longer than to load.
pub const DEFAULT_SCHEMA_DRIFT_INTERVAL: u64 = 64;

/// How many paths are remembered.
const MOST_PATHS: usize = 100;

/// How much of a path is told.
const LONGEST_PATH: usize = 200;

/// Looks for what a model's type does not know.
pub(super) struct Watch {
    unknown: fn(&Delivery) -> Vec<String>,
    one_in: u64,
    deliveries: AtomicU64,
    paths: SeenPaths,
}

/// The JSON paths at which something was noticed, and in how many deliveries. At most 100 are remembered: they are in
/// the sender's words, and must not fill memory or logs.
#[derive(Debug, Default)]
pub(super) struct SeenPaths(Mutex<BTreeMap<String, u64>>);

impl SeenPaths {
    /// Counts the paths of one delivery, and returns those that are new.
    pub(super) fn note(&self, paths: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for path in paths {
            if let Some(count) = known.get_mut(&path) {
                *count += 1;
            } else if known.len() < MOST_PATHS {
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

impl Watch {
    /// Looks at the first of so many deliveries, or at all.
    pub(super) fn of<T: Payload + Serialize>(one_in: u64) -> Self {
        let deliveries = AtomicU64::new(0);
        Self {
            unknown: unknown::<T>,
            one_in: one_in.max(1),
            deliveries,
            paths: SeenPaths::default(),
        }
    }

    /// Looks at the delivery, if it is its turn, and gives the paths that were not seen before.
    pub(super) fn look(&self, delivery: &Delivery) -> Vec<String> {
        if self.deliveries.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_in) {
            self.paths.note(self.unknown(delivery))
        } else {
            Vec::new()
        }
    }

    /// All paths of one delivery, those of the items of a list as one.
    pub(super) fn unknown(&self, delivery: &Delivery) -> Vec<String> {
        let mut paths: Vec<_> = (self.unknown)(delivery).iter().map(|path| told(path)).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    pub(super) fn seen(&self) -> BTreeMap<String, u64> {
        self.paths.counts()
    }
}

fn unknown<T: Payload + Serialize>(delivery: &Delivery) -> Vec<String> {
    Inference::<T>::load(delivery.clone()).map_or_else(|_| Vec::new(), |loaded| loaded.unknown())
}

/// A path is in a sender's words: short, and without what a terminal would obey.
pub(super) fn told(path: &str) -> String {
    let path = json_path::of_every_item(path);
    path.chars().filter(|c| !c.is_control()).take(LONGEST_PATH).collect()
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("deliveries", &self.deliveries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::provider::{foxyai::ImageGroup, json_path::ROOT};

    fn watch() -> Watch {
        Watch::of::<ImageGroup>(DEFAULT_SCHEMA_DRIFT_INTERVAL)
    }

    #[test]
    fn only_so_many_places_are_remembered_and_told() {
        let watch = watch();
        let paths = |from: usize| (from..from + 80).map(|n| format!("$.a{n}")).collect::<Vec<_>>();
        assert_eq!(watch.paths.note(paths(0)).len(), 80);
        assert_eq!(watch.paths.note(paths(40)).len(), 20);
        let seen = watch.seen();
        assert_eq!((seen.len(), seen["$.a40"], seen["$.a99"]), (MOST_PATHS, 2, 1));
    }

    #[test]
    fn a_name_of_the_sender_is_told_short_and_on_one_line() {
        let mut raw = Map::new();
        let name = format!("a\n\u{1b}[2J\u{202e}{}", "é".repeat(1000));
        raw.insert(name, Value::from(1));
        let paths = crate::provider::unknown::paths(&raw.into(), &json!({}));
        let told = told(&paths[0]);
        assert!(told.starts_with(r"$['a\n\u{1b}[2J\u{202e}éé"), "{told}");
        assert_eq!(told.chars().count(), LONGEST_PATH);
        assert_eq!(super::told("$.a\n"), "$.a");
        assert_eq!(super::told(ROOT), ROOT);
    }
}
