//! The leases that this process holds, and the task that renews them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::Processor;
use crate::{
    archive::{Lease, LeaseToken},
    delivery::DeliveryId,
    supervise::supervise,
};

/// The leases that this process holds, to renew them and to stop the handlers of those that were lost.
#[derive(Debug)]
pub(super) struct HeldLeases {
    /// The length of each lease. All are renewed three times in that time.
    length: Duration,
    held: Mutex<Held>,
    /// Some lease was lost.
    lost: Notify,
}

#[derive(Debug, Default)]
struct Held {
    leases: HashMap<LeaseToken, HeldLease>,
    /// When the last successful renewal was sent, or when the first lease was added since there were none.
    renewed_at: Option<Instant>,
    renewal: Option<JoinHandle<()>>,
}

/// How long ago the leases of this process were renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renewals {
    /// The time since the last successful renewal.
    pub(crate) age: Duration,
    /// Renewals have failed for longer than a third of the length of a lease.
    pub(crate) failed: bool,
}

#[derive(Debug)]
struct HeldLease {
    lease: Lease,
    /// When the lease ends unless it is renewed, by this process's clock.
    until: Instant,
    lost: bool,
}

impl HeldLeases {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, held: Mutex::default(), lost: Notify::new() }
    }

    /// How often the leases are renewed.
    fn interval(&self) -> Duration {
        self.length / 3
    }

    /// Adds a lease. An earlier one of the same delivery is lost: it has ended, or a failover of the database lost it.
    /// `renewal` starts the task that renews, if none is running.
    pub(super) fn add(&self, lease: Lease, renewal: impl FnOnce() -> Option<JoinHandle<()>>) {
        let mut held = self.lock();
        let now = Instant::now();
        if held.leases.is_empty() {
            held.renewed_at = Some(now);
        }
        let earlier = held.leases.values_mut().filter(|holding| holding.lease.id() == lease.id());
        let replaced = earlier.map(|holding| holding.lost = true).count();
        let until = now + self.length;
        held.leases.insert(lease.token(), HeldLease { lease, until, lost: false });
        if held.renewal.as_ref().is_none_or(JoinHandle::is_finished) {
            held.renewal = renewal();
        }
        drop(held);
        // Wakes every handler, so only if one has to end.
        if replaced > 0 {
            self.lost.notify_waiters();
        }
    }

    pub(super) fn remove(&self, token: LeaseToken) {
        let mut held = self.lock();
        held.leases.remove(&token);
    }

    /// The leases to renew; None, and the renewing task may end, if there are none.
    pub(super) fn to_renew(&self) -> Option<Vec<Lease>> {
        let mut held = self.lock();
        if held.leases.is_empty() {
            held.renewal = None;
            return None;
        }
        let live = held.leases.values().filter(|holding| !holding.lost);
        Some(live.map(|holding| holding.lease).collect())
    }

    /// The renewals of the leases that are held; None if there are none.
    pub(super) fn renewals(&self, now: Instant) -> Option<Renewals> {
        let held = self.lock();
        let renewed_at = held.renewed_at.filter(|_| !held.leases.is_empty())?;
        let age = now.saturating_duration_since(renewed_at);
        // A renewal was due after a third of the length, and has failed for another third since.
        Some(Renewals { age, failed: age > self.interval() * 2 })
    }

    /// All leases that are held.
    pub(super) fn held(&self) -> Vec<Lease> {
        self.lock().leases.values().map(|holding| holding.lease).collect()
    }

    /// The leases were renewed by a call that was sent at `sent`, apart from those that are `lost`.
    pub(super) fn renewed(&self, sent: Instant, lost: impl Fn(&Lease) -> bool) {
        let mut held = self.lock();
        for holding in held.leases.values_mut() {
            if lost(&holding.lease) {
                holding.lost = true;
            } else {
                holding.until = sent + self.length;
            }
        }
        held.renewed_at = Some(sent);
        drop(held);
        self.lost.notify_waiters();
    }

    /// The leases could not be renewed: those that have ended by this process's clock are lost.
    pub(super) fn not_renewed(&self, now: Instant) {
        let mut held = self.lock();
        held.leases.values_mut().for_each(|holding| holding.lost |= holding.until <= now);
        drop(held);
        self.lost.notify_waiters();
    }

    /// Waits until this lease is lost.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub(super) async fn lost(&self, token: LeaseToken) {
        loop {
            let mut notified = std::pin::pin!(self.lost.notified());
            notified.as_mut().enable();
            if self.lock().leases.get(&token).is_none_or(|holding| holding.lost) {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens of the leases of these deliveries that were sent. A lease of one of them may have been added since.
fn tokens_of(lost: &[DeliveryId], sent: &[Lease]) -> HashSet<LeaseToken> {
    sent.iter().filter(|lease| lost.contains(&lease.id())).map(Lease::token).collect()
}

/// Spawns the task that renews the leases of a processor while it exists. None without a runtime.
pub(super) fn spawn_renewal(
    processor: impl Fn() -> Option<Processor> + Clone + Send + Sync + 'static,
) -> Option<JoinHandle<()>> {
    let runtime = Handle::try_current().ok()?;
    Some(runtime.spawn(async move {
        supervise("lease renewal", || renew(processor.clone())).await;
    }))
}

/// Renews the leases of this process until there are none.
async fn renew(processor: impl Fn() -> Option<Processor>) {
    let mut sent = Instant::now();
    loop {
        let Some(interval) = processor().map(|it| it.leases().interval()) else { return };
        tokio::time::sleep_until(sent + interval).await;
        let Some(processor) = processor() else { return };
        let Some(leases) = processor.leases().to_renew() else { return };
        let length = processor.leases().length;
        sent = Instant::now();
        // An archive that hangs must not keep handlers running under leases that have ended.
        match timeout_at(sent + interval, processor.archive().renew(leases.clone(), length)).await {
            Ok(Ok(lost)) => {
                let lost = tokens_of(&lost, &leases);
                processor.leases().renewed(sent, |lease| lost.contains(&lease.token()));
            }
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "leases could not be renewed");
                processor.leases().not_renewed(Instant::now());
            }
            Err(_) => {
                tracing::error!(timeout = ?interval, "leases were not renewed in time");
                processor.leases().not_renewed(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::LEASE_LENGTH;

    #[tokio::test(start_paused = true)]
    async fn lease_is_lost_when_the_archive_says_so_or_when_it_was_not_renewed_in_time() {
        let held = HeldLeases::new(LEASE_LENGTH);
        let [kept, lost] = [(); 2].map(|()| Lease::new(DeliveryId::new(), LeaseToken::new(), 1, 0));
        for lease in [kept, lost] {
            held.add(lease, || None);
        }
        held.renewed(Instant::now(), |lease| *lease == lost);
        held.lost(lost.token()).await;
        assert_eq!(held.to_renew(), Some(vec![kept]));
        held.not_renewed(Instant::now());
        assert_eq!(held.to_renew(), Some(vec![kept]));
        held.not_renewed(Instant::now() + LEASE_LENGTH);
        held.lost(kept.token()).await;
        for lease in [kept, lost] {
            held.remove(lease.token());
        }
        assert_eq!(held.to_renew(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn later_lease_of_a_delivery_ends_the_earlier_one_and_not_itself() {
        let (held, id) = (HeldLeases::new(LEASE_LENGTH), DeliveryId::new());
        let [earlier, later] = [1, 2].map(|attempt| Lease::new(id, LeaseToken::new(), attempt, 0));
        held.add(earlier, || None);
        held.add(later, || None);
        timeout_at(Instant::now() + LEASE_LENGTH, held.lost(earlier.token())).await.unwrap();
        assert_eq!(held.to_renew(), Some(vec![later]));
        // The answer to a renewal that was sent before.
        let lost = tokens_of(&[id], &[earlier]);
        held.renewed(Instant::now(), |lease| lost.contains(&lease.token()));
        assert_eq!(held.to_renew(), Some(vec![later]));
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_have_failed_after_two_thirds_of_a_lease_without_success() {
        let (held, start) = (HeldLeases::new(LEASE_LENGTH), Instant::now());
        let failed = |held: &HeldLeases, seconds| {
            let renewals = held.renewals(start + Duration::from_secs(seconds));
            renewals.map(|renewals| (renewals.age.as_secs(), renewals.failed))
        };
        assert_eq!(failed(&held, 1000), None, "no lease, no renewal");
        let lease = Lease::new(DeliveryId::new(), LeaseToken::new(), 1, 0);
        held.add(lease, || None);
        assert_eq!(failed(&held, 40), Some((40, false)));
        held.not_renewed(start + Duration::from_secs(40));
        assert_eq!(failed(&held, 41), Some((41, true)));
        held.renewed(start + Duration::from_secs(60), |_| false);
        assert_eq!(failed(&held, 61), Some((1, false)));
        held.remove(lease.token());
        assert_eq!(failed(&held, 1000), None);
        tokio::time::advance(Duration::from_secs(1000)).await;
        held.add(lease, || None);
        assert_eq!(failed(&held, 1001), Some((1, false)), "counted from the first lease");
    }
}
