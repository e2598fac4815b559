//! Archives that each violate the contract in one place. The suite must detect every violation.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_inbox::{
    Archive, DeliveryId, MemoryArchive, Outcome,
    archive::{
        Acquire, Acquired, Append, Appended, Archived, Begun, Claim, Claimed, Counts, Entries,
        Lease, LedgerEntry, Query, Release, StateChange, Work,
    },
    delivery::{Fingerprint, InferenceDigest, ModelName, State, StateKind},
};

use super::whole_suite;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// `settle` accepts an outdated lease while another lease is held.
    SettleIsNotFenced,
    /// `retry` reads the state and writes later, without a comparison.
    RetryDoesNotCompare,
    /// `remove` selects deliveries first, and removes them later.
    RemovalSelectsFirst,
    /// Removed bytes still count as the source of a repeat.
    RemovedBodyIsSource,
    /// `claim` returns the same lease to two callers.
    ClaimsTwice,
    /// `begin` returns `Started` while another lease is in flight.
    NoSingleFlight,
    /// `claim` takes all deliveries of one model before the next model.
    UnfairClaim,
    /// `release` counts the attempt.
    ReleaseCounts,
    PauseIsIgnored,
    /// `history` has only the last change.
    HistoryIsCut,
}

/// A [`MemoryArchive`] with a fault.
#[derive(Clone)]
struct Broken {
    inner: MemoryArchive,
    fault: Fault,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    leases: HashMap<DeliveryId, Lease>,
    firsts: HashMap<Fingerprint, DeliveryId>,
    claimed: Option<Claimed>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self { inner: MemoryArchive::new(), fault, seen: Arc::default() }
    }

    fn claimed_before(&self, claim: &Claim) -> Option<Claimed> {
        let claimed = self.seen.lock().unwrap().claimed.take()?;
        let is_wanted = |(model, _): &_| claim.wants.iter().any(|(wanted, _)| wanted == model);
        claimed.leases.iter().all(is_wanted).then_some(claimed)
    }

    fn saw<'a>(&self, leases: impl IntoIterator<Item = &'a Lease>) {
        let leases = leases.into_iter().map(|lease| (lease.id(), *lease));
        self.seen.lock().unwrap().leases.extend(leases);
    }
}

fn leases_of(claimed: &Claimed) -> Vec<Lease> {
    claimed.leases.iter().map(|(_, lease)| *lease).collect()
}

async fn ids(archive: &MemoryArchive, query: Query) -> Vec<DeliveryId> {
    let mut entries = archive.ledger(query);
    let mut ids = Vec::new();
    while let Some(entry) = entries.next().await {
        ids.push(entry.unwrap().id);
    }
    ids
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory, broken: {:?}", self.fault)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without a fault, the wrapper delegates every operation, and the suite accepts it.
#[tokio::test]
async fn wrapper_without_fault_conforms() {
    whole_suite(&Broken::new(Fault::None)).await;
}

macro_rules! finds {
    ($($name:ident: $fault:ident => $message:literal;)*) => {$(
        #[tokio::test]
        #[should_panic(expected = $message)]
        async fn $name() {
            whole_suite(&Broken::new(Fault::$fault)).await;
        }
    )*};
}

finds! {
    settle_without_fence_is_found: SettleIsNotFenced => "on a delivery that is LeasedByOther";
    retry_that_reads_first_is_found: RetryDoesNotCompare => "at the same time as";
    removal_that_selects_first_is_found: RemovalSelectsFirst => "RemoveSettled";
    repeat_of_removed_bytes_is_found: RemovedBodyIsSource => "the bytes are gone: store them";
    lease_for_two_is_found: ClaimsTwice => "claim";
    missing_single_flight_is_found: NoSingleFlight => "single flight";
    unfair_claim_is_found: UnfairClaim => "in rounds";
    release_that_counts_is_found: ReleaseCounts => "release";
    cut_history_is_found: HistoryIsCut => "in the history";
    ignored_pause_is_found: PauseIsIgnored => "paused";
}

impl Archive for Broken {
    fn append(&self, append: Append) -> Work<Appended> {
        let this = self.clone();
        Box::pin(async move {
            let fingerprint = append.delivery().fingerprint();
            let first = this.seen.lock().unwrap().firsts.get(&fingerprint).copied();
            if let Some(first) = first
                && this.fault == Fault::RemovedBodyIsSource
                && this.inner.get(first).await?.is_none()
            {
                let state = this.inner.state(first).await?.unwrap_or(State::NEW);
                return Ok(append.repeats(first, state, None));
            }
            let appended = this.inner.append(append).await?;
            this.saw(&appended.lease);
            this.seen.lock().unwrap().firsts.insert(fingerprint, appended.receipt.id());
            Ok(appended)
        })
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        let this = self.clone();
        Box::pin(async move {
            let mut claim = claim;
            if this.fault == Fault::ClaimsTwice
                && let Some(again) = this.claimed_before(&claim)
                && this.inner.renew(leases_of(&again), claim.lease_length).await?.is_empty()
            {
                return Ok(again);
            }
            if this.fault == Fault::UnfairClaim {
                let mut all = Claimed::default();
                for want in claim.wants.drain(..) {
                    let left = claim.limit - all.leases.len();
                    let one = Claim::new(vec![want], left).leased_for(claim.lease_length);
                    let claimed = this.inner.claim(one).await?;
                    all.leases.extend(claimed.leases);
                    all.next_due = [all.next_due, claimed.next_due].into_iter().flatten().min();
                }
                return Ok(all);
            }
            let claimed = this.inner.claim(claim).await?;
            this.saw(claimed.leases.iter().map(|(_, lease)| lease));
            if !claimed.leases.is_empty() {
                this.seen.lock().unwrap().claimed = Some(claimed.clone());
            }
            Ok(claimed)
        })
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        let this = self.clone();
        Box::pin(async move {
            let acquired = this.inner.acquire(acquire).await?;
            this.saw(&acquired.lease);
            Ok(acquired)
        })
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        self.inner.renew(leases, length)
    }

    fn settle(&self, mut lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        if self.fault == Fault::SettleIsNotFenced {
            lease = self.seen.lock().unwrap().leases.get(&lease.id()).copied().unwrap_or(lease);
        }
        self.inner.settle(lease, outcome, retry_in)
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        if let (Fault::ReleaseCounts, Release::After(wait)) = (self.fault, release) {
            return self.inner.settle(lease, Outcome::failed_at(lease.attempt(), "released"), wait);
        }
        self.inner.release(lease, release)
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        let work = self.inner.begin(lease, inference);
        let fault = self.fault;
        Box::pin(async move {
            match work.await? {
                Begun::Busy if fault == Fault::NoSingleFlight => {
                    Ok(Begun::Started { earlier: None })
                }
                begun => Ok(begun),
            }
        })
    }

    fn retry(&self, query: Query) -> Work<u64> {
        if self.fault != Fault::RetryDoesNotCompare {
            return self.inner.retry(query);
        }
        let inner = self.inner.clone();
        Box::pin(async move {
            let mut selected = Vec::new();
            for id in ids(&inner, query).await {
                let kind = inner.state(id).await?.map(|state| state.kind());
                if matches!(
                    kind,
                    Some(StateKind::Failed | StateKind::Dead | StateKind::Undecodable)
                ) {
                    selected.push(id);
                }
            }
            tokio::task::yield_now().await;
            for id in &selected {
                inner.retry(Query::all().id(*id)).await?;
            }
            Ok(selected.len() as u64)
        })
    }

    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        if self.fault == Fault::PauseIsIgnored {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.inner.set_paused(model, paused)
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        self.inner.paused()
    }

    fn remove(&self, query: Query) -> Work<u64> {
        if self.fault != Fault::RemovalSelectsFirst {
            return self.inner.remove(query);
        }
        let inner = self.inner.clone();
        Box::pin(async move {
            let selected = ids(&inner, query).await;
            tokio::task::yield_now().await;
            let mut removed = 0;
            for id in selected {
                removed += inner.remove(Query::all().id(id)).await?;
            }
            Ok(removed)
        })
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        self.inner.state(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.inner.get(id)
    }

    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        let (inner, fault) = (self.inner.clone(), self.fault);
        Box::pin(async move {
            let mut history = inner.history(id).await?;
            if let (Fault::HistoryIsCut, Some(changes)) = (fault, &mut history) {
                changes.drain(..changes.len().saturating_sub(1));
            }
            Ok(history)
        })
    }

    fn scan(&self, query: Query) -> Entries {
        self.inner.scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        self.inner.ledger(query)
    }

    fn counts(&self) -> Work<Counts> {
        self.inner.counts()
    }
}
