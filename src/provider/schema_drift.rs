use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use super::json::{Tolerated, json_path};
use crate::delivery::{Delivery, DeliveryId};

/// The default interval of schema drift checks: the first of every 64 deliveries.
pub const DEFAULT_SCHEMA_DRIFT_INTERVAL: u64 = 64;

/// The maximum number of paths that are remembered.
const MAX_PATHS: usize = 100;

/// The maximum length of a path that is logged, in characters.
const MAX_PATH_LENGTH: usize = 200;

/// A place in which bodies of a model deviated from its payload type. Returned by
/// [`Models::drift`](crate::layer::Models::drift).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// The JSON path, with `[*]` for list items. At most 200 characters, without control characters. It contains names of
    /// members, which the sender chooses.
    pub path: String,
    /// How the first delivery deviated here.
    pub kind: DriftKind,
    /// How many deliveries deviated here. One that is decoded again, as in a retry, counts again.
    pub count: u64,
    /// When the first of these deliveries was received.
    pub first_at: SystemTime,
    /// When the last of these deliveries was received.
    pub last_at: SystemTime,
    /// The last of these deliveries.
    pub last: DeliveryId,
}

/// How a body deviates from its payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriftKind {
    /// The type does not contain this member or enum value.
    Unknown,
    /// The member does not have the expected form, and the body was decoded without it. See
    /// [`Inference::tolerated`](super::Inference::tolerated).
    Tolerated {
        /// The expected form, such as `a string`. At most 200 characters.
        expected: String,
        /// The kind of the value that was found, such as `an integer`.
        found: &'static str,
    },
}

impl DriftKind {
    pub(super) fn tolerated(tolerated: &Tolerated) -> Self {
        let expected = tolerated.expected().chars().take(MAX_PATH_LENGTH).collect();
        Self::Tolerated { expected, found: tolerated.found() }
    }
}

impl fmt::Display for DriftKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown member or enum value"),
            Self::Tolerated { expected, found } => write!(f, "expected {expected}, found {found}"),
        }
    }
}

/// Returns the JSON paths of a delivery that its payload type does not contain.
type Detect = dyn Fn(&Delivery) -> Vec<String> + Send + Sync;

/// Detects members and enum values that the payload type of a model does not contain.
pub(super) struct SchemaDrift {
    detect: Box<Detect>,
    interval: u64,
    deliveries: AtomicU64,
    paths: SeenPaths,
}

/// JSON paths, and the deliveries that contained each. Holds at most 100 paths: names of members are chosen by the
/// sender, and must not fill memory or logs.
#[derive(Debug, Default)]
pub(super) struct SeenPaths(Mutex<BTreeMap<String, Drift>>);

/// A delivery that deviates from its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) id: DeliveryId,
    pub(super) received_at: SystemTime,
}

impl Source {
    pub(super) fn of(delivery: &Delivery) -> Self {
        Self { id: delivery.id(), received_at: delivery.received_at() }
    }
}

impl SeenPaths {
    /// Counts a path in a delivery. Returns true if it is new.
    pub(super) fn note(
        &self,
        path: &str,
        source: Source,
        kind: impl FnOnce() -> DriftKind,
    ) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(drift) = known.get_mut(path) {
            drift.found_again(source);
            return false;
        }
        let is_new = known.len() < MAX_PATHS;
        if is_new {
            known.insert(path.to_owned(), Drift::found(path, source, kind()));
        }
        is_new
    }

    /// The paths that were found so far, in their order.
    pub(super) fn drift(&self) -> Vec<Drift> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Drift {
    fn found(path: &str, source: Source, kind: DriftKind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            count: 1,
            first_at: source.received_at,
            last_at: source.received_at,
            last: source.id,
        }
    }

    /// Deliveries are not decoded in the order of their receipt: old ones may be retried or replayed.
    fn found_again(&mut self, source: Source) {
        self.count += 1;
        self.first_at = self.first_at.min(source.received_at);
        if source.received_at >= self.last_at {
            self.last_at = source.received_at;
            self.last = source.id;
        }
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
            let source = Source::of(delivery);
            let mut paths = self.unknown_paths(delivery);
            paths.retain(|path| self.paths.note(path, source, || DriftKind::Unknown));
            paths
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

    /// Returns the paths that were seen, and the checked deliveries that contained each.
    pub(super) fn seen(&self) -> Vec<Drift> {
        self.paths.drift()
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
    use std::time::Duration;

    use serde_json::{Map, Value, json};

    use super::*;
    use crate::provider::json::{json_path::ROOT, unknown};

    fn source(seconds: u64) -> Source {
        let received_at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Source { id: DeliveryId::new(), received_at }
    }

    #[test]
    fn number_of_remembered_paths_is_limited() {
        let seen = SeenPaths::default();
        let note = |from: usize| {
            let is_new =
                |n: &usize| seen.note(&format!("$.a{n}"), source(0), || DriftKind::Unknown);
            (from..from + 80).filter(is_new).count()
        };
        assert_eq!((note(0), note(40)), (80, 20));
        let counts: BTreeMap<_, _> =
            seen.drift().into_iter().map(|drift| (drift.path, drift.count)).collect();
        assert_eq!((counts.len(), counts["$.a40"], counts["$.a99"]), (MAX_PATHS, 2, 1));
    }

    #[test]
    fn first_and_last_delivery_are_those_by_time_of_receipt() {
        let seen = SeenPaths::default();
        let sources = [20, 30, 10].map(source);
        let new = sources.map(|source| seen.note("$.a", source, || DriftKind::Unknown));
        assert_eq!(new, [true, false, false]);
        let drift = seen.drift().remove(0);
        assert_eq!((drift.count, drift.last), (3, sources[1].id));
        assert_eq!(drift.first_at, sources[2].received_at);
        assert_eq!(drift.last_at, sources[1].received_at);
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
