//! Claims. Each claim searches from where the last one ended.
//!
//! A claim updates the rows that it finds, and the entries of the index that led to them stay until no snapshot sees the
//! old rows. While a backup or a report holds a snapshot for an hour, a search for the oldest due delivery would read
//! the entries of everything that was claimed in that hour. So a claim searches from a second before the latest one that
//! was found, and from the beginning once a second. If that takes long, it is done less often.

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    error::Failure,
    operations::{Operations, bytes_of, count, lease, micros, value},
};
use crate::{
    archive::{ArchiveError, Claim, Claimed, Lease, LeaseToken},
    delivery::ModelName,
};

/// An append is due from the start of its transaction, and visible after its end: it may be found this much later than
/// others without waiting for a search from the beginning. In microseconds.
const OVERLAP: i64 = 1_000_000;
/// The time between two searches from the beginning: at least this, and at least ten times what the last one took.
const FULL_SEARCH: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// From where the next claim searches. Times are those of the database, in microseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct ClaimStart {
    models: HashMap<ModelName, i64>,
    expired: Option<i64>,
    next_full_search: Option<Instant>,
}

/// What a claim found of one model.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    number: usize,
    /// The latest due time of those that have not crashed.
    latest: Option<i64>,
}

/// How far a claim searched.
#[derive(Clone, Copy, Debug)]
struct Search {
    time: i64,
    more_expired: bool,
    /// Whether it found as many deliveries as the limit of all models.
    is_full: bool,
}

impl ClaimStart {
    /// Returns whether the next claim searches from the beginning.
    fn begin(&mut self, now: Instant) -> bool {
        let is_full_search = self.next_full_search.is_none_or(|next| next <= now);
        if is_full_search {
            self.reset();
            // Claims at the same time do not search from the beginning, too.
            self.next_full_search = Some(now + FULL_SEARCH);
        }
        is_full_search
    }

    /// Lets the next claim search from the beginning.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    fn full_search_ended(&mut self, began: Instant, now: Instant) {
        let pause = ((now - began) * 10).clamp(FULL_SEARCH, LONGEST_PAUSE);
        self.next_full_search = Some(now + pause);
    }

    fn of_models(&self, claim: &Claim) -> Vec<Option<i64>> {
        claim.wants.iter().map(|(model, _)| self.models.get(model).copied()).collect()
    }

    fn advance(&mut self, claim: &Claim, found: &[Found], search: Search) {
        for ((model, wanted), found) in claim.wants.iter().zip(found) {
            let is_exhausted = !search.is_full && found.number < *wanted;
            let reached = if is_exhausted { Some(search.time) } else { found.latest };
            if let Some(reached) = reached {
                self.models.insert(model.clone(), reached - OVERLAP);
            }
        }
        if !search.more_expired {
            self.expired = Some(search.time - OVERLAP);
        }
    }
}

/// What the rows of a claim say.
#[derive(Debug)]
struct Answer {
    leases: Vec<(ModelName, Lease)>,
    found: Vec<Found>,
    search: Search,
    next_due: Option<Duration>,
}

impl Answer {
    fn read(rows: &[Row], claim: &Claim) -> Result<Self, Failure> {
        let (last, rows) = rows.split_last().ok_or_else(|| Failure::Answer("no rows".into()))?;
        let mut leases = Vec::with_capacity(rows.len());
        let mut found = vec![Found::default(); claim.wants.len()];
        for row in rows {
            let name: &str = value(row, 1)?;
            let mut wants = claim.wants.iter().zip(&mut found);
            let ((model, _), found) = wants
                .find(|((model, _), _)| model.as_str() == name)
                .ok_or_else(|| Failure::Answer(format!("model {name:?}")))?;
            let token = LeaseToken::from_bytes(value::<Uuid>(row, 2)?.into_bytes());
            let lease = lease(bytes_of(value(row, 0)?), token, value(row, 3)?, value(row, 4)?);
            leases.push((model.clone(), lease));
            found.number += 1;
            found.latest = found.latest.max(value(row, 5)?);
        }
        let search = Search {
            time: value(last, 5)?,
            more_expired: value(last, 6)?,
            is_full: leases.len() >= claim.limit,
        };
        let next_due: Option<i64> = value(last, 7)?;
        let next_due = next_due.map(|us| Duration::from_micros(us.max(0).unsigned_abs()));
        Ok(Self { leases, found, search, next_due })
    }
}

impl Operations {
    pub(super) async fn claim(&self, claim: Claim) -> Result<Claimed, ArchiveError> {
        let models: Vec<&str> = claim.wants.iter().map(|(model, _)| model.as_str()).collect();
        let limits: Vec<i32> = claim.wants.iter().map(|(_, limit)| count(*limit)).collect();
        let began = Instant::now();
        let (is_full_search, since, expired_since) = {
            let mut start = self.claim_start();
            let is_full_search = start.begin(began);
            (is_full_search, start.of_models(&claim), start.expired)
        };
        let rows = self
            .pool
            .query(
                &self.sql.claim,
                &[
                    (&models, Type::TEXT_ARRAY),
                    (&limits, Type::INT4_ARRAY),
                    (&since, Type::INT8_ARRAY),
                    (&count(claim.limit), Type::INT4),
                    (&count(claim.suspects), Type::INT4),
                    (&expired_since, Type::INT8),
                    (&micros(claim.lease_length), Type::INT8),
                ],
            )
            .await?;
        let answer = Answer::read(&rows, &claim)?;
        let mut start = self.claim_start();
        if is_full_search {
            start.full_search_ended(began, Instant::now());
        }
        start.advance(&claim, &answer.found, answer.search);
        drop(start);
        Ok(Claimed::new(answer.leases, answer.next_due))
    }

    pub(super) fn claim_start(&self) -> MutexGuard<'_, ClaimStart> {
        self.claim_start.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000;

    fn claim(wants: &[(&str, usize)], limit: usize) -> Claim {
        let wants = wants.iter().map(|(model, wanted)| (model.parse().unwrap(), *wanted));
        Claim::new(wants.collect(), limit)
    }

    fn search(is_full: bool) -> Search {
        Search { time: NOW, more_expired: false, is_full }
    }

    #[test]
    fn model_whose_limit_was_reached_starts_before_its_latest_due_time() {
        let (claim, mut start) = (claim(&[("/a", 2), ("/b", 2)], 10), ClaimStart::default());
        let found =
            [Found { number: 2, latest: Some(NOW - 7) }, Found { number: 1, latest: Some(5) }];
        start.advance(&claim, &found, search(false));
        assert_eq!(start.of_models(&claim), [Some(NOW - 7 - OVERLAP), Some(NOW - OVERLAP)]);
    }

    #[test]
    fn model_without_results_in_a_full_claim_keeps_its_start() {
        let (claim, mut start) = (claim(&[("/a", 2), ("/b", 2)], 1), ClaimStart::default());
        let found = [Found { number: 1, latest: Some(NOW - 7) }, Found::default()];
        start.advance(&claim, &found, search(true));
        assert_eq!(start.of_models(&claim), [Some(NOW - 7 - OVERLAP), None]);
    }

    #[test]
    fn start_follows_a_clock_that_was_set_back() {
        let (claim, mut start) = (claim(&[("/a", 2)], 10), ClaimStart::default());
        start.advance(&claim, &[Found::default()], search(false));
        start.advance(&claim, &[Found::default()], Search { time: 17, ..search(false) });
        assert_eq!(start.of_models(&claim), [Some(17 - OVERLAP)]);
        assert_eq!(start.expired, Some(17 - OVERLAP));
    }

    #[test]
    fn expired_leases_are_searched_from_the_same_start_until_all_are_found() {
        let (claim, mut start) = (claim(&[], 1), ClaimStart::default());
        start.advance(&claim, &[], Search { more_expired: true, ..search(false) });
        assert_eq!(start.expired, None);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_search_from_the_beginning_is_repeated_after_ten_times_its_duration() {
        let (mut start, began) = (ClaimStart::default(), Instant::now());
        assert!(start.begin(began));
        assert!(!start.begin(began));
        let ended = began + Duration::from_millis(500);
        start.full_search_ended(began, ended);
        assert!(!start.begin(ended + Duration::from_millis(4999)));
        assert!(start.begin(ended + Duration::from_secs(5)));
    }
}
