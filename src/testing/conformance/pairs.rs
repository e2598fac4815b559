//! Every single operation on one delivery in every state, and every pair of operations, sequentially and concurrently.
#![expect(clippy::panic, reason = "the suite reports a violation by panicking")]

use std::{collections::BTreeMap, fmt};

use super::{
    model::{Answer, End, Holder, Model, Operation, Stage, Start, Subject},
    support::{Fixture, Job, LATER, LEASE, NOW, done, join, join_on_threads},
};
use crate::{
    archive::{Acquire, Append, Archive, ArchiveError, Lease, Release},
    delivery::{Delivery, DeliveryId, InferenceDigest, Outcome, StateKind},
};

/// The number of concurrent scenarios. Concurrency lets an archive write them in batches.
const LANES: usize = 64;
/// The number of times that a race between threads is repeated.
const RACES: usize = 2;

pub(super) async fn every_operation_in_every_state(archive: &dyn Archive) {
    let starts = Stage::ALL
        .into_iter()
        .flat_map(|stage| [false, true].map(|removed| Start { stage, removed }));
    let scenarios = starts.flat_map(|start| {
        Operation::ALL.map(|operation| Scenario {
            start,
            mode: Mode::Serial,
            pair: [operation, Operation::State],
        })
    });
    run_all(archive, scenarios.collect()).await;
}

/// Runs every `step`-th pair of operations.
pub(super) async fn every_pair_of_operations(archive: &dyn Archive, step: usize) {
    let pairs = |mode| pairs(mode).into_iter().step_by(step.max(1)).collect();
    run_all(archive, pairs(Mode::Serial)).await;
    run_all(archive, pairs(Mode::Joined)).await;
    for _ in 0..RACES {
        run_all(archive, pairs(Mode::Threads)).await;
    }
}

fn pairs(mode: Mode) -> Vec<Scenario> {
    let present = [
        Stage::Pending,
        Stage::Leased,
        Stage::LeasedByOther,
        Stage::Failed,
        Stage::Dead,
        Stage::Undecodable,
        Stage::Processed,
    ];
    let removed = [Stage::Pending, Stage::Leased, Stage::Dead, Stage::Processed];
    let present = present.map(|stage| Start { stage, removed: false });
    let removed = removed.map(|stage| Start { stage, removed: true });
    let starts = present.into_iter().chain(removed);
    let with_left = starts.flat_map(|start| Operation::ALL.map(|left| (start, left)));
    let scenario =
        |(start, left)| Operation::ALL.map(|right| Scenario { start, mode, pair: [left, right] });
    with_left.flat_map(scenario).collect()
}

/// How the two operations of a pair are scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The right one is called after the left one has completed.
    Serial,
    /// Both are called before either is polled, and the right one is polled first.
    Joined,
    /// Both are called concurrently on two threads.
    Threads,
}

#[derive(Clone, Copy, Debug)]
struct Scenario {
    start: Start,
    mode: Mode,
    pair: [Operation; 2],
}

/// For example, "Retry at the same time as Claim on a delivery that is Failed".
impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start: Start { stage, removed }, mode, pair: [left, right] } = self;
        let how = match mode {
            Mode::Serial => "before",
            Mode::Joined => "at the same time as",
            Mode::Threads => "on another thread at the same time as",
        };
        let removed = if *removed { " removed" } else { "" };
        write!(f, "{left:?} {how} {right:?} on a delivery that is{removed} {stage:?}")
    }
}

/// The result of a scenario: the answers of the pair, and the end state.
type Observed = ([Answer; 2], End);

impl Scenario {
    /// Returns the results that the contract allows: those of one serial order, or of both.
    fn allowed(self) -> Vec<Observed> {
        let [left, right] = self.pair;
        let mut model = Model::new(self.start);
        let first = model.apply(left, Holder::Left);
        let second = model.apply(right, Holder::Right);
        let mut allowed = vec![([first, second], model.end())];
        if self.mode != Mode::Serial {
            let mut model = Model::new(self.start);
            let second = model.apply(right, Holder::Right);
            let first = model.apply(left, Holder::Left);
            allowed.push(([first, second], model.end()));
        }
        allowed
    }
}

async fn run_all(archive: &dyn Archive, scenarios: Vec<Scenario>) {
    let mut lanes: Vec<Vec<Scenario>> = vec![Vec::new(); LANES];
    for (number, scenario) in scenarios.into_iter().enumerate() {
        if let Some(lane) = lanes.get_mut(number % LANES) {
            lane.push(scenario);
        }
    }
    let run = |lane: Vec<Scenario>| -> Job<'_, ()> {
        Box::pin(async move {
            let fixture = Fixture::new(archive);
            for scenario in lane {
                Subjects::new(&fixture).run(scenario).await;
            }
        })
    };
    join(lanes.into_iter().map(run).collect()).await;
}

/// The deliveries of one scenario. They have the same bytes. Their model is empty before and after.
struct Subjects<'a> {
    fixture: &'a Fixture<'a>,
    deliveries: [(Subject, Delivery); 3],
    inference: InferenceDigest,
}

/// An answer, and the leases that it contains.
type Result = (Answer, Vec<Lease>);

impl<'a> Subjects<'a> {
    fn new(fixture: &'a Fixture<'a>) -> Self {
        let body = DeliveryId::new().to_string();
        let sample = fixture.sample(&body);
        let deliveries = [Subject::First, Subject::Left, Subject::Right]
            .map(|subject| (subject, sample.delivery()));
        Self { fixture, deliveries, inference: fixture.inference(&body, "1", &body) }
    }

    fn delivery(&self, subject: Subject) -> &Delivery {
        let [first, left, right] = &self.deliveries;
        match subject {
            Subject::First => &first.1,
            Subject::Left => &left.1,
            Subject::Right => &right.1,
        }
    }

    async fn run(&self, scenario: Scenario) {
        let (lease, other) = self.prepare(scenario.start).await;
        let (answers, given) = self.meet(scenario, lease).await;
        let held = [(Holder::Start, Some(lease)), (Holder::Other, other)];
        let held = held.into_iter().filter_map(|(holder, lease)| Some((holder, lease?)));
        let leases: Vec<_> = held.chain(given).collect();
        let (end, valid) = self.end(&leases).await;
        let (observed, allowed) = ((answers, end), scenario.allowed());
        assert!(
            allowed.contains(&observed),
            "{scenario}:\nthe result is  {observed:?}\nthe contract allows {allowed:?}"
        );
        self.clean_up(valid).await;
    }

    /// Returns the lease that the operations use, and the lease of another holder, if any.
    async fn prepare(&self, start: Start) -> (Lease, Option<Lease>) {
        let (fixture, first) = (self.fixture, self.delivery(Subject::First));
        let appended = fixture.append_leased(first).await;
        let Some(lease) = appended.lease else { panic!("a new delivery is leased: {appended:?}") };
        let mut other = None;
        match start.stage {
            Stage::Leased => {}
            Stage::Pending => fixture.release(lease, Release::After(NOW)).await,
            Stage::PendingForLater => fixture.release(lease, Release::After(LATER)).await,
            Stage::LeasedByOther => {
                fixture.release(lease, Release::After(NOW)).await;
                other = fixture.acquire(Acquire::new(first.id())).await.lease;
            }
            Stage::FailedForLater => {
                let settle = fixture.archive.settle(lease, start.stage.outcome(), LATER);
                done("settle", settle).await;
            }
            stage => fixture.settle(lease, stage.outcome()).await,
        }
        if start.removed {
            let removed = fixture.remove(fixture.query().id(first.id())).await;
            assert_eq!(removed, 1, "{start:?}: the delivery is removed");
        }
        (lease, other)
    }

    async fn meet(
        &self,
        Scenario { mode, pair: [left, right], .. }: Scenario,
        lease: Lease,
    ) -> ([Answer; 2], Vec<(Holder, Lease)>) {
        let results = match mode {
            Mode::Serial => {
                let left = self.start(left, Subject::Left, lease).await;
                vec![left, self.start(right, Subject::Right, lease).await]
            }
            Mode::Joined => {
                let left = self.start(left, Subject::Left, lease);
                join(vec![left, self.start(right, Subject::Right, lease)]).await
            }
            Mode::Threads => {
                join_on_threads(vec![
                    Box::new(move || self.start(left, Subject::Left, lease)),
                    Box::new(move || self.start(right, Subject::Right, lease)),
                ])
                .await
            }
        };
        let Ok([(left, by_left), (right, by_right)]) = <[Result; 2]>::try_from(results) else {
            panic!("two operations have two results");
        };
        let by_left = by_left.into_iter().map(|lease| (Holder::Left, lease));
        let by_right = by_right.into_iter().map(|lease| (Holder::Right, lease));
        ([left, right], by_left.chain(by_right).collect())
    }

    /// Calls the operation, and returns a future that awaits it.
    fn start(&self, operation: Operation, copy: Subject, lease: Lease) -> Job<'_, Result> {
        let archive = &self.fixture.archive;
        let id = lease.id();
        let query = self.fixture.query().id(id);
        match operation {
            Operation::Repeat | Operation::RepeatWithLease => self.repeat(operation, copy),
            Operation::Claim => self.claim(),
            Operation::Acquire | Operation::AcquireReviving => self.acquire(operation, id),
            Operation::Renew => {
                let renew = archive.renew(vec![lease], LEASE);
                answer(async move {
                    let lost = done("renew", renew).await;
                    if lost.is_empty() {
                        return Answer::Done;
                    }
                    assert_eq!(lost, [id], "renew returns the deliveries whose lease was lost");
                    Answer::LeaseLost
                })
            }
            Operation::SettleProcessed
            | Operation::SettleFailed
            | Operation::SettleFailedForLater
            | Operation::SettleDead
            | Operation::SettleUndecodable => {
                let Some(outcome) = operation.outcome() else { panic!("{operation:?} settles") };
                let later = operation == Operation::SettleFailedForLater;
                let settle = archive.settle(lease, outcome, if later { LATER } else { NOW });
                answer(async { fenced(settle.await, |()| Answer::Done) })
            }
            Operation::Release => {
                let release = archive.release(lease, Release::After(NOW));
                answer(async { fenced(release.await, |()| Answer::Done) })
            }
            Operation::Begin => {
                let begin = archive.begin(lease, self.inference);
                answer(async { fenced(begin.await, Answer::Begun) })
            }
            Operation::Retry => {
                let retry = archive.retry(query);
                answer(async { Answer::Count(done("retry", retry).await) })
            }
            Operation::Remove => {
                let remove = archive.remove(query);
                answer(async { Answer::Count(done("remove", remove).await) })
            }
            Operation::RemoveSettled => {
                let remove = archive.remove(query.settled());
                answer(async { Answer::Count(done("remove", remove).await) })
            }
            Operation::Get => {
                let get = archive.get(id);
                answer(async {
                    let found = done("get", get).await;
                    Answer::Found(found.map(|archived| archived.state))
                })
            }
            Operation::State => {
                let state = archive.state(id);
                answer(async { Answer::Found(done("read a state", state).await) })
            }
        }
    }

    fn repeat(&self, operation: Operation, copy: Subject) -> Job<'_, Result> {
        let archive = &self.fixture.archive;
        let mut append = Append::new(self.delivery(copy).clone());
        if operation == Operation::RepeatWithLease {
            append = append.leased_for(LEASE);
        }
        let append = archive.append(append);
        Box::pin(async {
            let appended = done("append", append).await;
            let subject = self.subject(appended.receipt.id());
            let attempt = appended.lease.map(|lease| lease.attempt());
            let repeat = appended.receipt.is_repeat();
            let answer = Answer::Appended(subject, repeat, appended.state, attempt);
            (answer, appended.lease.into_iter().collect())
        })
    }

    fn claim(&self) -> Job<'_, Result> {
        let Fixture { archive, model } = &self.fixture;
        let claim = archive.claim(self.fixture.wants(9));
        Box::pin(async move {
            let claimed = done("claim", claim).await.leases;
            let all = claimed.iter().all(|(claimed, _)| claimed == model);
            assert!(all, "a claim returns the model of each delivery: {claimed:?}");
            let leases: Vec<_> = claimed.into_iter().map(|(_, lease)| lease).collect();
            (Answer::Claimed(self.attempts(&leases)), leases)
        })
    }

    fn acquire(&self, operation: Operation, id: DeliveryId) -> Job<'_, Result> {
        let archive = &self.fixture.archive;
        let mut acquire = Acquire::new(id).leased_for(LEASE);
        if operation == Operation::AcquireReviving {
            acquire = acquire.reviving();
        }
        let acquire = archive.acquire(acquire);
        Box::pin(async {
            let acquired = done("acquire", acquire).await;
            let attempt = acquired.lease.map(|lease| lease.attempt());
            let answer = Answer::Acquired(acquired.state, attempt);
            (answer, acquired.lease.into_iter().collect())
        })
    }

    fn subject(&self, id: DeliveryId) -> Subject {
        let found = self.deliveries.iter().find(|(_, delivery)| delivery.id() == id);
        match found {
            Some((subject, _)) => *subject,
            None => panic!("delivery {id} is none of those with these bytes"),
        }
    }

    fn attempts(&self, leases: &[Lease]) -> Vec<(Subject, u32)> {
        let attempt = |lease: &Lease| (self.subject(lease.id()), lease.attempt());
        let mut attempts: Vec<_> = leases.iter().map(attempt).collect();
        attempts.sort_unstable();
        attempts
    }

    /// Returns the observable state, and the leases that are valid afterwards.
    async fn end(&self, leases: &[(Holder, Lease)]) -> (End, Vec<Lease>) {
        let archive = self.fixture.archive;
        let mut deliveries = Vec::new();
        for (subject, delivery) in &self.deliveries {
            let Some(state) = done("read a state", archive.state(delivery.id())).await else {
                continue;
            };
            let found = done("get", archive.get(delivery.id())).await;
            if let Some(found) = &found {
                assert_eq!(found.delivery, *delivery, "the delivery as it was appended");
                assert_eq!(found.state, state, "get and state agree");
            }
            deliveries.push((*subject, state, found.is_some()));
        }
        let (mut held, mut valid) = (Vec::new(), Vec::new());
        for (holder, lease) in leases {
            if self.fixture.is_valid(*lease).await {
                held.push((self.subject(lease.id()), *holder));
                valid.push(*lease);
            }
        }
        held.sort_unstable();
        let counts = done("count", archive.counts()).await;
        let counts = StateKind::ALL.map(|kind| (kind, counts.of(&self.fixture.model, kind)));
        let counts: BTreeMap<_, _> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        let due = self.fixture.claim(9).await;
        valid.extend(&due);
        (End { deliveries, leases: held, counts, due: self.attempts(&due) }, valid)
    }

    /// Removes the deliveries, and checks that none is left due, leased or counted.
    async fn clean_up(&self, valid: Vec<Lease>) {
        for lease in valid {
            self.fixture.settle(lease, Outcome::processed(200)).await;
        }
        for (_, delivery) in &self.deliveries {
            self.fixture.remove(self.fixture.query().id(delivery.id())).await;
        }
        let claimed = self.fixture.claimed(9).await;
        assert!(claimed.leases.is_empty(), "a delivery was claimed after all were removed");
        assert_eq!(claimed.next_due, None, "a delivery waits after all were removed");
    }
}

/// Wraps an operation that returns no lease.
fn answer<'a>(answer: impl Future<Output = Answer> + Send + 'a) -> Job<'a, Result> {
    Box::pin(async { (answer.await, Vec::new()) })
}

/// Returns the answer of an operation that requires a lease.
fn fenced<T>(
    result: std::result::Result<T, ArchiveError>,
    answer: impl FnOnce(T) -> Answer,
) -> Answer {
    match result {
        Ok(done) => answer(done),
        Err(ArchiveError::LeaseLost { .. }) => Answer::LeaseLost,
        Err(error) => panic!("an operation under a lease failed: {error:?}"),
    }
}
