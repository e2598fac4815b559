use std::{
    collections::HashMap,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{delivery::ModelName, metrics};

/// The default limit of bytes in flight of one inbox: 256 MiB.
pub const DEFAULT_BYTES_IN_FLIGHT: usize = 256 << 20;

/// Limits the memory of all requests that are being read, archived and processed. Clones share the limit.
///
/// A request counts as the memory allocated for its body, twice its headers, 200 bytes for each header, and 4 KiB of
/// overhead. The buffer of a body doubles while the body arrives, up to the announced length, and is cut to the length
/// of the body at its end.
///
/// Bytes count when they arrive, not when they are announced: a sender that only announces a long body uses nothing.
///
/// A body counts as unverified until its signature was checked. Anybody who can reach the server can send unverified
/// bodies. These limits keep them from stopping deliveries:
///
/// - Unverified requests use at most three quarters of the limit: 192 MiB of the default. The rest is for verified
///   deliveries that are being archived and processed.
/// - Unverified requests of one model use at most as much of these three quarters as they leave free: for one model,
///   half of it (96 MiB of the default); for n models, one of n + 1 equal shares each. A share is always left for
///   another model.
///
/// A body longer than three eighths of the limit can never be received. Set the limit to at least three times the
/// largest [body limit](crate::Model::body_limit) of a model.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: usize,
    usage: Arc<Mutex<Usage>>,
    /// Notified when nothing is in flight.
    emptied: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Usage {
    /// By all requests, in bytes.
    total: usize,
    /// By requests whose signature was not checked yet; a part of the total.
    unverified: usize,
    /// The unverified bytes of each model that has some.
    by_model: HashMap<ModelName, usize>,
}

impl Budget {
    /// Creates a budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, usage: Arc::default(), emptied: Arc::default() }
    }

    /// The number of bytes in flight.
    pub fn used(&self) -> usize {
        self.usage().total
    }

    /// The number of bytes in flight of requests whose signature was not checked yet.
    pub fn unverified(&self) -> usize {
        self.usage().unverified
    }

    /// Waits until nothing is in flight: no request is being read, and none that is processed inline.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub(crate) async fn emptied(&self) {
        loop {
            let mut emptied = pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.used() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// The maximum share of one model: that of its unverified requests if no other model has any.
    pub(crate) fn largest_share(&self) -> usize {
        unverified_limit(self.limit) / 2
    }

    /// Creates an empty reservation for an unverified request of this model.
    pub(super) fn reserve(&self, model: &ModelName) -> Reservation {
        Reservation { budget: self.clone(), unverified: Some(model.clone()), bytes: 0 }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 MiB.
impl Default for Budget {
    fn default() -> Self {
        Self::new(DEFAULT_BYTES_IN_FLIGHT)
    }
}

fn unverified_limit(limit: usize) -> usize {
    limit - limit / 4
}

impl Usage {
    /// Whether an unverified request of `model` may use `bytes` more.
    fn admits(&self, model: &ModelName, bytes: usize, limit: usize) -> bool {
        let of_model = self.by_model.get(model).copied().unwrap_or_default();
        let fits = |used: usize, limit: usize| used.checked_add(bytes).is_some_and(|n| n <= limit);
        let unverified_limit = unverified_limit(limit);
        fits(self.total, limit)
            && fits(self.unverified, unverified_limit)
            && fits(of_model, unverified_limit - self.unverified.saturating_add(bytes))
    }

    fn add_unverified(&mut self, model: &ModelName, bytes: usize) {
        self.unverified += bytes;
        match self.by_model.get_mut(model) {
            Some(of_model) => *of_model += bytes,
            None => drop(self.by_model.insert(model.clone(), bytes)),
        }
    }

    fn subtract_unverified(&mut self, model: &ModelName, bytes: usize) {
        self.unverified -= bytes;
        if let Some(of_model) = self.by_model.get_mut(model) {
            *of_model -= bytes;
            if *of_model == 0 {
                self.by_model.remove(model);
            }
        }
    }
}

/// A part of the budget. Dropping it returns the bytes.
#[derive(Debug)]
pub(in crate::layer) struct Reservation {
    budget: Budget,
    /// The model, until the signature was checked.
    unverified: Option<ModelName>,
    bytes: usize,
}

impl Reservation {
    /// Returns true if [`grow`](Self::grow) can reserve `bytes` more now. Verified requests do not grow.
    pub(super) fn can_grow(&self, bytes: usize) -> bool {
        let admits = |model| self.budget.usage().admits(model, bytes, self.budget.limit);
        self.unverified.as_ref().is_some_and(admits)
    }

    /// Reserves more. False, and nothing is reserved, if the budget or the share of the model is used up.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let Some(model) = &self.unverified else { return false };
        let mut usage = self.budget.usage();
        if !usage.admits(model, bytes, self.budget.limit) {
            return false;
        }
        usage.total += bytes;
        usage.add_unverified(model, bytes);
        metrics::add_in_flight(bytes);
        self.bytes += bytes;
        true
    }

    /// Returns bytes to the budget.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        let mut usage = self.budget.usage();
        usage.total -= bytes;
        if let Some(model) = &self.unverified {
            usage.subtract_unverified(model, bytes);
        }
        if usage.total == 0 {
            self.budget.emptied.notify_waiters();
        }
        metrics::subtract_in_flight(bytes);
        self.bytes -= bytes;
    }

    /// The signature was checked: the reserved bytes leave the share of the model. The total stays the same, so this
    /// cannot fail.
    pub(in crate::layer) fn mark_verified(&mut self) {
        if let Some(model) = mem::take(&mut self.unverified) {
            self.budget.usage().subtract_unverified(&model, self.bytes);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelName {
        name.parse().unwrap()
    }

    /// Reserves for a model as long as one byte more is possible.
    fn fill(budget: &Budget, name: &str) -> Reservation {
        let mut reservation = budget.reserve(&model(name));
        while reservation.grow(1) {}
        reservation
    }

    #[test]
    fn dropped_reservation_is_returned_to_the_budget() {
        let budget = Budget::new(100);
        let mut one = budget.reserve(&model("/a"));
        assert!(one.grow(10) && one.can_grow(27) && !one.can_grow(28) && !one.grow(usize::MAX));
        let mut other = budget.reserve(&model("/a"));
        assert!(other.grow(5));
        one.shrink(4);
        assert_eq!((budget.used(), budget.unverified()), (11, 11));
        other.mark_verified();
        assert_eq!((budget.used(), budget.unverified()), (11, 6));
        drop((one, other));
        assert_eq!((budget.used(), budget.unverified()), (0, 0));
        assert!(budget.usage().by_model.is_empty(), "a map that grows by every name");
    }

    #[test]
    fn unverified_bytes_of_one_model_leave_a_share_for_the_next_one() {
        let budget = Budget::new(128);
        let shares: Vec<_> = ["/a", "/b", "/c"].map(|name| fill(&budget, name)).into();
        let bytes: Vec<_> = shares.iter().map(|share| share.bytes).collect();
        // Of 96, each gets half of the rest.
        assert_eq!(bytes, [48, 24, 12]);
        assert_eq!(budget.largest_share(), 48);
    }

    #[test]
    fn verified_deliveries_leave_the_share_of_their_model_and_the_unverified_limit() {
        let budget = Budget::new(128);
        let mut handled = fill(&budget, "/a");
        handled.mark_verified();
        assert_eq!(fill(&budget, "/a").bytes, 48, "of the same model");
        let mut more = fill(&budget, "/a");
        more.mark_verified();
        assert_eq!(budget.used(), 96);
        assert_eq!(fill(&budget, "/b").bytes, 32, "all that is left of the limit");
    }
}
