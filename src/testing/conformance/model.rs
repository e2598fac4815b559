//! The contract for operations on one delivery, as a pure model that shares no code with the archives.

use std::collections::BTreeMap;

use crate::{
    archive::Begun,
    delivery::{Outcome, State, StateKind},
};

/// A delivery that was processed earlier and is in no archive.
const OTHER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// An operation on one delivery, or on a repeat of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Appends another delivery with the same bytes.
    Repeat,
    RepeatWithLease,
    /// Claims all deliveries that are due for the model of the delivery.
    Claim,
    Acquire,
    AcquireReviving,
    /// Renews the lease of the [`Start`]. The settling operations, `Release` and `Begin` use the same lease.
    Renew,
    SettleProcessed,
    SettleFailed,
    SettleFailedForLater,
    SettleDead,
    SettleUndecodable,
    Release,
    Begin,
    Retry,
    Remove,
    /// Removes the delivery if it is settled, as retention does.
    RemoveSettled,
    Get,
    State,
}

impl Operation {
    pub(super) const ALL: [Self; 18] = [
        Self::Repeat,
        Self::RepeatWithLease,
        Self::Claim,
        Self::Acquire,
        Self::AcquireReviving,
        Self::Renew,
        Self::SettleProcessed,
        Self::SettleFailed,
        Self::SettleFailedForLater,
        Self::SettleDead,
        Self::SettleUndecodable,
        Self::Release,
        Self::Begin,
        Self::Retry,
        Self::Remove,
        Self::RemoveSettled,
        Self::Get,
        Self::State,
    ];

    /// The outcome that the operation settles with.
    pub(super) fn outcome(self) -> Option<Outcome> {
        match self {
            Self::SettleProcessed => Some(Outcome::processed(200)),
            Self::SettleFailed => Some(Outcome::failed_at(1, "failed now")),
            Self::SettleFailedForLater => Some(Outcome::failed_at(1, "failed for later")),
            Self::SettleDead => Some(Outcome::dead("dead now")),
            Self::SettleUndecodable => Some(Outcome::undecodable("undecodable now")),
            _ => None,
        }
    }
}

/// The stage of a delivery before the operations. It was appended with a lease, which the operations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The lease was released, and the delivery is due.
    Pending,
    PendingForLater,
    Leased,
    /// The lease was released, and another worker holds a new one.
    LeasedByOther,
    Failed,
    FailedForLater,
    Dead,
    Poisoned,
    Undecodable,
    Processed,
    RepeatOfOther,
}

/// The stage of the delivery before the operations, and whether it was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) stage: Stage,
    pub(super) removed: bool,
}

impl Stage {
    pub(super) const ALL: [Self; 11] = [
        Self::Pending,
        Self::PendingForLater,
        Self::Leased,
        Self::LeasedByOther,
        Self::Failed,
        Self::FailedForLater,
        Self::Dead,
        Self::Poisoned,
        Self::Undecodable,
        Self::Processed,
        Self::RepeatOfOther,
    ];
}

/// A delivery in the model: the first one, or one that an operation appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    First,
    /// Appended by the left operation of a pair.
    Left,
    Right,
}

/// The operation that returned a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// The append that stored the first delivery.
    Start,
    Other,
    Left,
    Right,
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The delivery that has the bytes, whether it was stored before, its state, and the attempt of the lease, if any.
    Appended(Subject, bool, State, Option<u32>),
    /// The claimed deliveries, with the attempt of each lease.
    Claimed(Vec<(Subject, u32)>),
    Acquired(State, Option<u32>),
    Begun(Begun),
    Done,
    LeaseLost,
    Count(u64),
    Found(Option<State>),
}

/// Everything observable after the operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The state of each delivery, and whether it has a body.
    pub(super) deliveries: Vec<(Subject, State, bool)>,
    /// The leases that are still valid.
    pub(super) leases: Vec<(Subject, Holder)>,
    /// The number of deliveries with a body, by state.
    pub(super) counts: BTreeMap<StateKind, u64>,
    /// The deliveries that a claim leases, with the attempt of each lease.
    pub(super) due: Vec<(Subject, u32)>,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    deliveries: BTreeMap<Subject, Modelled>,
    /// The delivery that a repeat is compared with.
    latest: Subject,
}

#[derive(Clone, Debug)]
struct Modelled {
    state: State,
    has_body: bool,
    is_due: bool,
    holder: Option<Holder>,
}

impl Model {
    pub(super) fn new(Start { stage, removed }: Start) -> Self {
        let pending = State::Pending { attempts: 0, crashes: 0 };
        let leased = State::Leased { attempts: 1, crashes: 0 };
        let (state, is_due, holder) = match stage {
            Stage::Pending => (pending, true, None),
            Stage::PendingForLater => (pending, false, None),
            Stage::Leased => (leased, false, Some(Holder::Start)),
            Stage::LeasedByOther => (leased, false, Some(Holder::Other)),
            _ => (State::Outcome(stage.outcome()), stage == Stage::Failed, None),
        };
        let first = Modelled { state, has_body: !removed, is_due, holder };
        Self { deliveries: [(Subject::First, first)].into(), latest: Subject::First }
    }

    pub(super) fn apply(&mut self, operation: Operation, by: Holder) -> Answer {
        let first = self.deliveries.entry(Subject::First).or_insert_with(|| Modelled::new(None));
        let holds = first.holder == Some(Holder::Start);
        match operation {
            Operation::Repeat => self.append(by, false),
            Operation::RepeatWithLease => self.append(by, true),
            Operation::Claim => Answer::Claimed(self.claim(by)),
            Operation::Acquire => first.acquire(by, false),
            Operation::AcquireReviving => first.acquire(by, true),
            Operation::Renew | Operation::Begin | Operation::Release if !holds => Answer::LeaseLost,
            Operation::Renew => Answer::Done,
            Operation::Begin => Answer::Begun(Begun::Started { earlier: None }),
            Operation::Release => {
                let (attempts, crashes) = (first.state.attempts() - 1, first.state.crashes());
                first.put(State::Pending { attempts, crashes }, true);
                Answer::Done
            }
            Operation::Retry => {
                let kinds = [StateKind::Dead, StateKind::Undecodable, StateKind::Failed];
                let retried = first.has_body && kinds.contains(&first.state.kind());
                if retried {
                    first.put(State::Pending { attempts: 0, crashes: 0 }, true);
                }
                Answer::Count(retried.into())
            }
            Operation::Remove => first.remove(true),
            Operation::RemoveSettled => first.remove(first.is_settled()),
            Operation::Get => Answer::Found(first.has_body.then(|| first.state.clone())),
            Operation::State => Answer::Found(Some(first.state.clone())),
            Operation::SettleProcessed
            | Operation::SettleFailed
            | Operation::SettleFailedForLater
            | Operation::SettleDead
            | Operation::SettleUndecodable => {
                let late_success = operation == Operation::SettleProcessed && !first.is_settled();
                let Some(outcome) = operation.outcome().filter(|_| holds || late_success) else {
                    return Answer::LeaseLost;
                };
                first.put(State::Outcome(outcome), operation == Operation::SettleFailed);
                Answer::Done
            }
        }
    }

    fn append(&mut self, by: Holder, wants_lease: bool) -> Answer {
        let holder = wants_lease.then_some(by);
        let latest = self.latest;
        if let Some(stored) = self.deliveries.get_mut(&latest).filter(|stored| stored.is_source()) {
            let revived = stored.is_revivable();
            let mut leased = None;
            if revived {
                stored.put(State::Pending { attempts: 0, crashes: 0 }, true);
            }
            if wants_lease && !stored.is_settled() && stored.holder.is_none() {
                leased = Some(stored.lease(by));
            }
            return Answer::Appended(latest, true, stored.state.clone(), leased);
        }
        self.latest = if by == Holder::Left { Subject::Left } else { Subject::Right };
        let stored = Modelled::new(holder);
        let (state, leased) = (stored.state.clone(), holder.map(|_| 1));
        self.deliveries.insert(self.latest, stored);
        Answer::Appended(self.latest, false, state, leased)
    }

    fn claim(&mut self, by: Holder) -> Vec<(Subject, u32)> {
        let due = self.deliveries.iter_mut().filter(|(_, delivery)| delivery.is_claimable());
        due.map(|(subject, delivery)| (*subject, delivery.lease(by))).collect()
    }

    pub(super) fn end(&self) -> End {
        let mut counts = BTreeMap::new();
        for delivery in self.deliveries.values().filter(|delivery| delivery.has_body) {
            *counts.entry(delivery.state.kind()).or_default() += 1;
        }
        let deliveries = self.deliveries.iter();
        End {
            deliveries: deliveries
                .clone()
                .map(|(s, d)| (*s, d.state.clone(), d.has_body))
                .collect(),
            leases: deliveries.filter_map(|(s, d)| Some((*s, d.holder?))).collect(),
            counts,
            due: self.clone().claim(Holder::Other),
        }
    }
}

impl Modelled {
    fn new(holder: Option<Holder>) -> Self {
        let state = State::Pending { attempts: 0, crashes: 0 };
        let mut new = Self { state, has_body: true, is_due: true, holder: None };
        if let Some(holder) = holder {
            new.lease(holder);
        }
        new
    }

    fn is_settled(&self) -> bool {
        let kind = self.state.kind();
        !matches!(kind, StateKind::Pending | StateKind::Leased | StateKind::Failed)
    }

    fn is_revivable(&self) -> bool {
        let poisoned = matches!(self.state, State::Outcome(Outcome::Dead { poisoned: true, .. }));
        matches!(self.state.kind(), StateKind::Dead | StateKind::Undecodable) && !poisoned
    }

    /// Returns true if a delivery with the same bytes is a repeat of this one.
    fn is_source(&self) -> bool {
        self.has_body || (self.is_settled() && !self.is_revivable())
    }

    fn is_claimable(&self) -> bool {
        self.has_body && self.is_due && !self.is_settled() && self.holder.is_none()
    }

    /// Sets a state that has no lease.
    fn put(&mut self, state: State, is_due: bool) {
        (self.state, self.is_due, self.holder) = (state, is_due, None);
    }

    fn lease(&mut self, by: Holder) -> u32 {
        let (attempts, crashes) = (self.state.attempts() + 1, self.state.crashes());
        (self.state, self.holder) = (State::Leased { attempts, crashes }, Some(by));
        attempts
    }

    fn acquire(&mut self, by: Holder, revive: bool) -> Answer {
        let mut leased = None;
        if self.has_body && self.holder.is_none() {
            if revive && self.is_revivable() {
                self.put(State::Pending { attempts: 0, crashes: 0 }, true);
            }
            leased = (!self.is_settled()).then(|| self.lease(by));
        }
        Answer::Acquired(self.state.clone(), leased)
    }

    fn remove(&mut self, selected: bool) -> Answer {
        let removed = selected && self.has_body;
        self.has_body &= !removed;
        Answer::Count(removed.into())
    }
}

impl Stage {
    /// The outcome that leads to this stage. `Processed` for stages without an outcome.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Failed | Self::FailedForLater => Outcome::failed_at(1, "failed before"),
            Self::Dead => Outcome::dead("dead before"),
            Self::Poisoned => Outcome::poisoned("poisoned before"),
            Self::Undecodable => Outcome::undecodable("undecodable before"),
            Self::RepeatOfOther => OTHER.parse().map_or(Outcome::processed(201), Outcome::repeat),
            _ => Outcome::processed(201),
        }
    }
}
