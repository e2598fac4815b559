//! Random histories of several nodes on one archive, with paused time: leases expire, settles are late, nodes crash.
//!
//! Invariants: an acknowledged delivery exists until it is removed; a delivery has at most one valid lease at a time; a
//! processed delivery never runs again; crashes and attempts are counted exactly; everything is settled in the end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use tokio::time::{Instant, sleep};
use tower_inbox::{
    Archive, DeliveryId, Digest, ModelName, Outcome,
    archive::{Acquire, Append, ArchiveError, Begun, Claim, Lease, Query, Release},
    delivery::{InferenceDigest, InferenceKey, StateKind},
    testing::Sample,
};

pub(crate) const NODES: usize = 3;
const LEASE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Append {
        node: usize,
        body: u8,
        lease: bool,
    },
    Claim {
        node: usize,
        limit: usize,
        suspects: usize,
    },
    Acquire {
        node: usize,
        body: u8,
        revive: bool,
    },
    Renew {
        node: usize,
    },
    /// Settles one of the leases that the node considers valid.
    Settle {
        node: usize,
        lease: usize,
        kind: StateKind,
        retry_in: u64,
    },
    Release {
        node: usize,
        lease: usize,
        when_free: bool,
    },
    Begin {
        node: usize,
        lease: usize,
    },
    /// The node loses its leases.
    Crash {
        node: usize,
    },
    Retry,
    Remove {
        body: u8,
        settled: bool,
    },
    Wait {
        seconds: u64,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES;
    let kind = prop_oneof![
        4 => Just(StateKind::Processed),
        3 => Just(StateKind::Failed),
        1 => Just(StateKind::Dead),
        1 => Just(StateKind::Undecodable),
    ];
    prop_oneof![
        5 => (node(), 0..5_u8, any::<bool>())
            .prop_map(|(node, body, lease)| Step::Append { node, body, lease }),
        6 => (node(), 1..4_usize, 0..3_usize)
            .prop_map(|(node, limit, suspects)| Step::Claim { node, limit, suspects }),
        1 => (node(), 0..5_u8, any::<bool>())
            .prop_map(|(node, body, revive)| Step::Acquire { node, body, revive }),
        2 => node().prop_map(|node| Step::Renew { node }),
        5 => (node(), 0..4_usize, kind, 0..100_u64)
            .prop_map(|(node, lease, kind, retry_in)| Step::Settle { node, lease, kind, retry_in }),
        2 => (node(), 0..4_usize, any::<bool>())
            .prop_map(|(node, lease, when_free)| Step::Release { node, lease, when_free }),
        3 => (node(), 0..4_usize).prop_map(|(node, lease)| Step::Begin { node, lease }),
        1 => node().prop_map(|node| Step::Crash { node }),
        1 => Just(Step::Retry),
        1 => (0..5_u8, any::<bool>()).prop_map(|(body, settled)| Step::Remove { body, settled }),
        5 => (1..70_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// The expected state of a delivery, derived from the responses of the archive.
struct Known {
    body: u8,
    removed: bool,
    /// `None` while pending or leased.
    outcome: Option<StateKind>,
    poisoned: bool,
    attempts: u32,
    crashes: u32,
    held: Option<(Lease, Instant)>,
    in_flight: bool,
}

impl Known {
    fn new(body: u8) -> Self {
        Self {
            body,
            removed: false,
            outcome: None,
            poisoned: false,
            attempts: 0,
            crashes: 0,
            held: None,
            in_flight: false,
        }
    }

    fn is_settled(&self) -> bool {
        self.outcome.is_some_and(StateKind::is_settled)
    }

    fn is_revivable(&self) -> bool {
        matches!(self.outcome, Some(StateKind::Dead | StateKind::Undecodable)) && !self.poisoned
    }

    fn holds(&self, lease: Lease) -> bool {
        self.held.is_some_and(|(held, _)| held.token() == lease.token())
    }

    fn restart(&mut self) {
        *self = Self { removed: self.removed, ..Self::new(self.body) };
    }

    fn end_lease(&mut self) {
        (self.held, self.in_flight) = (None, false);
    }

    fn expire(&mut self, now: Instant) {
        if self.held.is_some_and(|(_, until)| until <= now) {
            self.end_lease();
            self.crashes += 1;
            if self.crashes == 3 {
                (self.outcome, self.poisoned) = (Some(StateKind::Dead), true);
                self.crashes = 0;
            }
        }
    }

    fn kind(&self) -> StateKind {
        match (self.held, self.outcome) {
            (Some(_), _) => StateKind::Leased,
            (None, Some(kind)) => kind,
            (None, None) => StateKind::Pending,
        }
    }
}

struct World {
    /// The archive of each node. All have the same contents.
    archives: [Arc<dyn Archive>; NODES],
    /// The leases that each node considers valid.
    nodes: [Vec<Lease>; NODES],
    known: HashMap<DeliveryId, Known>,
    /// The last stored delivery with each body.
    latest: HashMap<u8, DeliveryId>,
    leases: Vec<Lease>,
}

fn model() -> ModelName {
    "/hooks/nodes".parse().unwrap()
}

/// Returns the inference of a body. Bodies with the same remainder belong to the same job.
fn inference(body: u8) -> InferenceDigest {
    let (id, version) = ((body % 2).to_string(), body.to_string());
    InferenceDigest::of(&model(), &InferenceKey::versioned(id, version), Digest::of(&[body]))
}

impl World {
    fn of(&mut self, id: DeliveryId) -> &mut Known {
        self.known.get_mut(&id).expect("a delivery that was appended")
    }

    fn expire(&mut self) {
        self.known.values_mut().for_each(|known| known.expire(Instant::now()));
    }

    fn got(&mut self, node: usize, lease: Lease) {
        let known = self.of(lease.id());
        assert!(known.held.is_none(), "a delivery is leased twice");
        assert!(!known.removed, "a removed delivery is leased");
        assert!(!known.is_settled(), "a settled delivery runs again");
        known.attempts += 1;
        known.outcome = None;
        assert_eq!((lease.attempt(), lease.crashes()), (known.attempts, known.crashes));
        known.held = Some((lease, Instant::now() + LEASE));
        self.leases.push(lease);
        self.nodes[node].push(lease);
    }

    async fn append(&mut self, node: usize, body: u8, wants_lease: bool) {
        let delivery = Sample::of("/hooks/nodes").body(vec![body]).delivery();
        let mut append = Append::new(delivery.clone());
        if wants_lease {
            append = append.leased_for(LEASE);
        }
        let appended = self.archives[node].append(append).await.unwrap();
        let id = appended.receipt.id();
        if appended.receipt.is_repeat() {
            assert_eq!(self.latest.get(&body), Some(&id), "the last delivery with these bytes");
            let known = self.of(id);
            let is_final = known.is_settled() && !known.is_revivable();
            assert!(!known.removed || is_final, "a repeat of removed bytes is acknowledged");
            if known.is_revivable() {
                known.restart();
            }
            let can_lease = wants_lease && known.held.is_none() && !known.is_settled();
            assert_eq!(appended.lease.is_some(), can_lease, "a lease of a repeat");
        } else {
            assert_eq!(id, delivery.id());
            if let Some(latest) = self.latest.insert(body, id) {
                let known = self.of(latest);
                assert!(known.removed, "the same bytes are stored twice");
            }
            self.known.insert(id, Known::new(body));
            assert_eq!(appended.lease.is_some(), wants_lease, "a lease of a new delivery");
        }
        if let Some(lease) = appended.lease {
            self.got(node, lease);
        }
        assert_eq!(appended.state.kind(), self.of(id).kind(), "the state after append");
    }

    async fn acquire(&mut self, node: usize, body: u8, revive: bool) {
        let Some(id) = self.latest.get(&body).copied() else { return };
        let mut acquire = Acquire::new(id).leased_for(LEASE);
        if revive {
            acquire = acquire.reviving();
        }
        let acquired = self.archives[node].acquire(acquire).await.unwrap();
        let known = self.of(id);
        if revive && known.is_revivable() && !known.removed {
            known.restart();
        }
        let can_lease = !known.removed && known.held.is_none() && !known.is_settled();
        assert_eq!(acquired.lease.is_some(), can_lease, "a lease by acquire");
        if let Some(lease) = acquired.lease {
            self.got(node, lease);
        }
    }

    async fn renew(&mut self, node: usize) {
        let leases = self.nodes[node].clone();
        let lost = self.archives[node].renew(leases.clone(), LEASE).await.unwrap();
        let mut expected = Vec::new();
        for lease in leases {
            let known = self.of(lease.id());
            if known.holds(lease) {
                known.held = Some((lease, Instant::now() + LEASE));
            } else {
                expected.push(lease.id());
            }
        }
        assert_eq!(lost, expected, "renew returns the lost leases");
    }

    fn take(&mut self, node: usize, lease: usize) -> Option<Lease> {
        let leases = &mut self.nodes[node];
        (lease < leases.len()).then(|| leases.remove(lease))
    }

    async fn settle(&mut self, node: usize, lease: Lease, kind: StateKind, retry_in: Duration) {
        let body = self.of(lease.id()).body;
        let outcome = match kind {
            StateKind::Processed => Outcome::processed(200).with_inference(Some(inference(body))),
            StateKind::Failed => Outcome::failed_at(lease.attempt(), "503"),
            StateKind::Dead => Outcome::dead("404"),
            _ => Outcome::undecodable("$"),
        };
        let result = self.archives[node].settle(lease, outcome, retry_in).await;
        let known = self.of(lease.id());
        let late_success = kind == StateKind::Processed && !known.is_settled();
        if !(known.holds(lease) || late_success) {
            assert!(matches!(result, Err(ArchiveError::LeaseLost { .. })), "{result:?}");
            return;
        }
        result.unwrap();
        known.end_lease();
        (known.outcome, known.crashes, known.poisoned) = (Some(kind), 0, false);
    }

    async fn release(&mut self, node: usize, lease: Lease, when_free: bool) {
        let inference = inference(self.of(lease.id()).body).id();
        let when =
            if when_free { Release::WhenFree(inference) } else { Release::After(Duration::ZERO) };
        let result = self.archives[node].release(lease, when).await;
        let known = self.of(lease.id());
        if known.holds(lease) {
            result.unwrap();
            known.end_lease();
            known.attempts -= 1;
        } else {
            assert!(matches!(result, Err(ArchiveError::LeaseLost { .. })), "{result:?}");
        }
    }

    async fn begin(&mut self, node: usize, lease: Lease) {
        let id = lease.id();
        let inference = inference(self.of(id).body);
        let result = self.archives[node].begin(lease, inference).await;
        let is_busy = self.known.iter().any(|(other, known)| {
            *other != id && known.in_flight && known.body % 2 == self.known[&id].body % 2
        });
        let known = self.of(id);
        if !known.holds(lease) {
            assert!(matches!(result, Err(ArchiveError::LeaseLost { .. })), "{result:?}");
            return;
        }
        let begun = result.unwrap();
        assert_eq!(begun == Begun::Busy, is_busy, "single flight: {begun:?}");
        known.in_flight = !is_busy;
    }

    async fn retry(&mut self) {
        let retried = self.archives[0].retry(Query::all()).await.unwrap();
        let mut expected = 0;
        for known in self.known.values_mut().filter(|known| !known.removed) {
            if known.is_revivable() || known.poisoned || known.kind() == StateKind::Failed {
                known.restart();
                expected += 1;
            }
        }
        assert_eq!(retried, expected, "retry changes dead, undecodable and failed deliveries");
    }

    async fn remove(&mut self, body: u8, settled: bool) {
        let Some(id) = self.latest.get(&body).copied() else { return };
        let query = Query::all().id(id);
        let query = if settled { query.settled() } else { query };
        let removed = self.archives[0].remove(query).await.unwrap();
        let known = self.of(id);
        let is_removed = !known.removed && (!settled || known.is_settled());
        assert_eq!(removed, u64::from(is_removed), "remove changes what it selects");
        known.removed |= is_removed;
    }

    async fn claim(&mut self, node: usize, limit: usize, suspects: usize) {
        let claim = Claim::new(vec![(model(), limit)], limit).suspects(suspects).leased_for(LEASE);
        let claimed = self.archives[node].claim(claim).await.unwrap();
        assert!(claimed.leases.len() <= limit, "a claim has a limit");
        let suspect = claimed.leases.iter().filter(|(_, lease)| lease.crashes() > 0).count();
        assert!(suspect <= suspects, "a claim has a limit of suspects");
        claimed.leases.into_iter().for_each(|(_, lease)| self.got(node, lease));
    }

    async fn take_step(&mut self, step: Step) {
        match step {
            Step::Append { node, body, lease } => self.append(node, body, lease).await,
            Step::Claim { node, limit, suspects } => self.claim(node, limit, suspects).await,
            Step::Acquire { node, body, revive } => self.acquire(node, body, revive).await,
            Step::Renew { node } => self.renew(node).await,
            Step::Settle { node, lease, kind, retry_in } => {
                if let Some(lease) = self.take(node, lease) {
                    self.settle(node, lease, kind, Duration::from_secs(retry_in)).await;
                }
            }
            Step::Release { node, lease, when_free } => {
                if let Some(lease) = self.take(node, lease) {
                    self.release(node, lease, when_free).await;
                }
            }
            Step::Begin { node, lease } => {
                if let Some(lease) = self.nodes[node].get(lease).copied() {
                    self.begin(node, lease).await;
                }
            }
            Step::Crash { node } => self.nodes[node].clear(),
            Step::Retry => self.retry().await,
            Step::Remove { body, settled } => self.remove(body, settled).await,
            Step::Wait { seconds } => sleep(Duration::from_secs(seconds)).await,
        }
        self.expire();
    }

    async fn check(&self) {
        for (id, known) in &self.known {
            let state = self.archives[0].state(*id).await.unwrap().expect("its state");
            assert_eq!(state.kind(), known.kind(), "the state of a delivery: {state}");
            let found = self.archives[0].get(*id).await.unwrap();
            assert_eq!(found.is_none(), known.removed, "the body of a delivery");
            let body = found.map(|found| found.delivery.body().to_vec());
            assert!(body.is_none_or(|body| body == [known.body]), "the bytes as they were sent");
        }
        for lease in &self.leases {
            let held = self.known[&lease.id()].held.filter(|(held, _)| held == lease);
            let length = held.map_or(LEASE, |(_, until)| until - Instant::now());
            let lost = self.archives[0].renew(vec![*lease], length).await.unwrap();
            assert_eq!(lost.is_empty(), held.is_some(), "one valid lease of a delivery");
        }
    }

    /// Processes all remaining deliveries on one node, after the leases of the others have expired.
    async fn drain(&mut self) {
        for _ in 0..20 {
            sleep(2 * LEASE).await;
            self.expire();
            self.nodes[0].clear();
            self.claim(0, 99, 99).await;
            for lease in std::mem::take(&mut self.nodes[0]) {
                self.settle(0, lease, StateKind::Processed, Duration::ZERO).await;
            }
        }
        self.check().await;
        for (id, known) in self.known.iter().filter(|(_, known)| !known.removed) {
            assert!(known.is_settled(), "delivery {id} is never settled: {}", known.kind());
        }
        let counts = self.archives[0].counts().await.unwrap();
        assert_eq!(counts.unsettled(&model()), 0, "nothing is left to be processed");
    }
}

/// Plays a history on archives with the same contents, one for each node.
pub(crate) async fn play(archives: [Arc<dyn Archive>; NODES], steps: Vec<Step>) {
    let mut world = World {
        archives,
        nodes: Default::default(),
        known: HashMap::new(),
        latest: HashMap::new(),
        leases: Vec::new(),
    };
    for step in steps {
        world.take_step(step).await;
        world.check().await;
    }
    world.drain().await;
}
