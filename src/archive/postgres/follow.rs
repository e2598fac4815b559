//! New entries of the ledger.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use super::{
    error::Failure,
    operations::{Operations, value},
    scan::Pages,
};
use crate::archive::{ArchiveError, LedgerEntry};

/// How many appends before the start may still be uncommitted then, to be returned when they are committed.
const UNCOMMITTED: i64 = 2000;

/// Reads the ledger entries of deliveries as they are appended. Made by
/// [`PostgresArchive::follow`](super::PostgresArchive::follow).
///
/// Each delivery with a body is returned once, also if it is committed after one that was appended later. The entries of
/// one call are in append order.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_inbox::archive::PostgresArchive;
///
/// # async fn follow(archive: PostgresArchive) -> Result<(), tower_inbox::archive::ArchiveError> {
/// let mut follower = archive.follow().await?;
/// loop {
///     for entry in follower.next().await? {
///         println!("{} {}", entry.id, entry.model);
///     }
///     tokio::time::sleep(Duration::from_secs(1)).await;
/// }
/// # }
/// ```
pub struct LedgerFollower {
    operations: Operations,
    window: Window,
}

impl LedgerFollower {
    pub(super) async fn new(operations: Operations) -> Result<Self, ArchiveError> {
        let position = operations.append_position().await?;
        let first = position.last_number.saturating_sub(UNCOMMITTED);
        let mut follower = Self { operations, window: Window::after(first) };
        follower.next().await?;
        Ok(follower)
    }

    /// Returns the entries since the last call. Empty if there are none; does not wait for any.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached. No entry is lost: the next call returns them.
    ///
    /// # Cancel safety
    ///
    /// No entry is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Vec<LedgerEntry>, ArchiveError> {
        let mut window = self.window.clone();
        let complete = window.advance(self.operations.append_position().await?);
        let mut new = Vec::new();
        if window.may_have_new() {
            let mut pages = Pages::after(&self.operations, window.floor);
            while let Some(entries) = pages.next().await? {
                new.extend(entries.into_iter().filter(|entry| window.seen.insert(entry.seq)));
            }
        }
        window.raise_floor(complete);
        self.window = window;
        Ok(new.into_iter().map(|entry| entry.line).collect())
    }
}

impl fmt::Debug for LedgerFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerFollower").field("window", &self.window).finish_non_exhaustive()
    }
}

/// The last number that was given to an append, and the transactions that may make one up to it visible later.
#[derive(Clone, Debug)]
pub(super) struct Position {
    last_number: i64,
    writers: HashSet<String>,
}

/// The numbers of the ledger that are read again, because entries among them may become visible.
#[derive(Clone, Debug)]
struct Window {
    /// All entries up to this number were returned.
    floor: i64,
    /// The numbers after the floor that were returned.
    seen: BTreeSet<i64>,
    /// An earlier position some of whose writers have not ended.
    waiting: Option<Position>,
    last_number: i64,
}

impl Window {
    fn after(floor: i64) -> Self {
        Self { floor, seen: BTreeSet::new(), waiting: None, last_number: floor }
    }

    /// Returns the number up to which all entries are visible to a read from now on.
    fn advance(&mut self, now: Position) -> i64 {
        self.last_number = now.last_number;
        if now.writers.is_empty() {
            self.waiting = None;
            return now.last_number;
        }
        match self.waiting.take() {
            Some(earlier) if !earlier.writers.is_disjoint(&now.writers) => {
                self.waiting = Some(earlier);
                self.floor
            }
            earlier => {
                self.waiting = Some(now);
                earlier.map_or(self.floor, |earlier| earlier.last_number)
            }
        }
    }

    fn may_have_new(&self) -> bool {
        self.last_number > self.floor
    }

    fn raise_floor(&mut self, complete: i64) {
        self.floor = self.floor.max(complete);
        self.seen = self.seen.split_off(&(self.floor + 1));
    }
}

impl Operations {
    async fn append_position(&self) -> Result<Position, ArchiveError> {
        let sql = format!("SELECT last_number, writers FROM {}.append_position()", self.sql.schema);
        let rows = self.pool.query_again(&sql, &[]).await?;
        let row = rows.first().ok_or_else(|| Failure::Answer("no row".to_owned()))?;
        let writers: Vec<String> = value(row, 1)?;
        Ok(Position { last_number: value(row, 0)?, writers: writers.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(last_number: i64, writers: &[&str]) -> Position {
        let writers = writers.iter().map(|&writer| writer.to_owned()).collect();
        Position { last_number, writers }
    }

    /// The floor after a read at this position.
    fn floor(window: &mut Window, last_number: i64, writers: &[&str]) -> i64 {
        let complete = window.advance(position(last_number, writers));
        window.raise_floor(complete);
        window.floor
    }

    #[test]
    fn floor_waits_for_the_transactions_of_an_earlier_position_and_for_no_others() {
        let mut window = Window::after(0);
        assert_eq!(floor(&mut window, 5, &[]), 5);
        assert_eq!(floor(&mut window, 10, &["a", "b"]), 5, "a or b may have the numbers 6 to 10");
        assert_eq!(floor(&mut window, 20, &["b", "c"]), 5);
        assert_eq!(floor(&mut window, 30, &["c", "d"]), 10, "a and b have ended");
        assert_eq!(floor(&mut window, 40, &["d", "e"]), 10);
        assert_eq!(floor(&mut window, 50, &["e"]), 30);
        assert_eq!(floor(&mut window, 60, &[]), 60);
    }

    #[test]
    fn numbers_up_to_the_floor_are_forgotten() {
        let mut window = Window::after(0);
        window.seen.extend([1, 2, 3]);
        window.raise_floor(2);
        assert_eq!(window.seen, BTreeSet::from([3]));
        window.advance(position(2, &[]));
        assert!(!window.may_have_new());
    }
}
