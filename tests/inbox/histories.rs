//! Random histories of an inbox on the in-memory archive and the disk archive, checked against the promise of the
//! inbox.
//!
//! Deliveries, repeats and new versions arrive; handlers accept, reject, fail, panic, hang and are slow; clients hang
//! up; deliveries are purged, erased and retried in every state; models are paused; the process shuts down or crashes,
//! and restarts. `INBOX_LONG_TESTS=1` runs 20 times as many histories.
//!
//! Detected mutations: a retry that does not compare the state; a repeat that is acknowledged although the bytes of the
//! first delivery were removed; a repeat of a dead delivery that does not revive it (`transition::repeat`); a dropped
//! `InFlight` that keeps its lease; and, with `INBOX_LONG_TESTS`, a removal in memory that leaves the delivery in the
//! queue.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};
use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Inbox, Inference, MemoryArchive, Outcome,
    RetryPolicy, Workers,
    archive::{Claim, Claimed, Lease, Query, Work},
    delivery::{State, StateKind},
    layer::{DELIVERY_ID, InboxBody},
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    *,
};

type Body = Full<Bytes>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Inline,
    Background,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conduct {
    Accept,
    Refuse,
    Fail,
    Panic,
    Slow,
    Hang,
}

#[derive(Clone, Debug)]
enum Step {
    /// Posts one version of a job, several times concurrently.
    Post {
        job: u8,
        version: u8,
        times: u8,
    },
    /// The client hangs up after this many yields.
    HangUp {
        job: u8,
        yields: u8,
    },
    /// Posts a delivery while settled deliveries are removed.
    PostDuringPurge {
        job: u8,
    },
    Conduct(Conduct),
    Wait {
        seconds: u64,
    },
    PurgeSettled {
        times: u8,
    },
    /// Removes finished deliveries, as retention does.
    PurgeFinished,
    Erase {
        nth: usize,
    },
    RetryAll,
    Pause,
    Resume,
    Shutdown,
    Crash,
}

/// A job whose body cannot be decoded.
const UNDECODABLE: u8 = 4;

fn body(job: u8, version: u8) -> Bytes {
    let text = match job {
        UNDECODABLE => r#"{"job": 4}"#.to_owned(),
        job => caption(&job.to_string()),
    };
    format!("{text}{}", " ".repeat(version.into())).into()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Conduct::{Accept, Fail, Hang, Panic, Refuse, Slow};
    let conduct =
        prop::sample::select(vec![Accept, Accept, Refuse, Refuse, Fail, Panic, Slow, Hang]);
    let step = prop_oneof![
        6 => (0..=UNDECODABLE, 0..2_u8, 1..4_u8)
            .prop_map(|(job, version, times)| Step::Post { job, version, times }),
        1 => (0..4_u8, 0..6_u8).prop_map(|(job, yields)| Step::HangUp { job, yields }),
        1 => (0..4_u8).prop_map(|job| Step::PostDuringPurge { job }),
        4 => conduct.prop_map(Step::Conduct),
        3 => (0..40_u64).prop_map(|seconds| Step::Wait { seconds }),
        2 => (1..3_u8).prop_map(|times| Step::PurgeSettled { times }),
        2 => Just(Step::PurgeFinished),
        1 => (0..8_usize).prop_map(|nth| Step::Erase { nth }),
        2 => Just(Step::RetryAll),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => Just(Step::Shutdown),
        2 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..25)
}

/// The deliveries that a step may remove.
#[derive(Clone, Copy)]
enum Removal {
    Nothing,
    Settled,
    Finished,
    One(DeliveryId),
}

impl Removal {
    fn allows(self, id: DeliveryId, state: &State) -> bool {
        match self {
            Self::Nothing => false,
            Self::Settled => state.is_settled(),
            Self::Finished => matches!(state.kind(), StateKind::Processed | StateKind::Repeat),
            Self::One(erased) => id == erased,
        }
    }
}

/// Returns true if repeats never run again: they are acknowledged even after the bytes were removed.
fn is_final(state: &State) -> bool {
    let poisoned = matches!(state.outcome(), Some(Outcome::Dead { poisoned: true, .. }));
    poisoned || matches!(state.kind(), StateKind::Processed | StateKind::Repeat)
}

/// The externally visible state.
#[derive(Debug, Default)]
struct World {
    /// The body of each delivery that was acknowledged with 2xx.
    acknowledged: HashMap<DeliveryId, Bytes>,
    /// The deliveries that were acknowledged since the last check.
    recent: HashSet<DeliveryId>,
    /// The deliveries that were recorded as processed at any time.
    processed: HashSet<DeliveryId>,
    /// The jobs whose handlers run in the current process.
    running: HashSet<String>,
    /// The number of handler runs for each delivery.
    runs: HashMap<DeliveryId, u32>,
    violations: Vec<String>,
}

/// The archive as seen by one process. After a crash of the process, its operations have no effect on the archive.
#[derive(Debug)]
struct Mortal {
    archive: Arc<dyn Archive>,
    after_crash: MemoryArchive,
    alive: Arc<AtomicBool>,
    world: Arc<Mutex<World>>,
    on_disk: bool,
}

impl Overrides for Mortal {
    fn inner(&self) -> &dyn Archive {
        if self.alive.load(Ordering::SeqCst) { &self.archive } else { &self.after_crash }
    }

    /// Checks that leased deliveries have a body. Only in memory, where no removal can run between the claim and the
    /// check.
    fn claim(&self, claim: Claim) -> Work<Claimed> {
        let claiming = self.inner().claim(claim);
        if self.on_disk || !self.alive.load(Ordering::SeqCst) {
            return claiming;
        }
        let (archive, world) = (self.archive.clone(), self.world.clone());
        Box::pin(async move {
            let claimed = claiming.await?;
            for (_, lease) in &claimed.leases {
                if archive.get(lease.id()).await?.is_none() {
                    let violation = format!("{} is leased without a body", lease.id());
                    lock(&world).violations.push(violation);
                }
            }
            Ok(claimed)
        })
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        let (world, is_processed) =
            (self.world.clone(), matches!(outcome, Outcome::Processed { .. }));
        let settling = self.inner().settle(lease, outcome, retry_in);
        Box::pin(async move {
            settling.await?;
            if is_processed {
                lock(&world).processed.insert(lease.id());
            }
            Ok(())
        })
    }
}

/// A process with its inbox.
struct Process {
    inbox: Inbox,
    alive: Arc<AtomicBool>,
}

struct History<'d> {
    mode: Mode,
    /// The directory of the disk archive; `None` in memory.
    dir: Option<&'d Path>,
    archive: Arc<dyn Archive>,
    disk: Option<DiskArchive>,
    process: Process,
    world: Arc<Mutex<World>>,
    conduct: Arc<Mutex<Conduct>>,
    /// The deliveries in the archive at the last check.
    stored: HashSet<DeliveryId>,
    /// The number of runs, at the last check, of each delivery that was dead but not poisoned.
    dead: HashMap<DeliveryId, u32>,
    crashed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Marks a job as running until dropped.
struct Running {
    world: Arc<Mutex<World>>,
    alive: Arc<AtomicBool>,
    job: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.alive.load(Ordering::SeqCst) {
            lock(&self.world).running.remove(&self.job);
        }
    }
}

impl<'d> History<'d> {
    async fn start(mode: Mode, dir: Option<&'d Path>) -> Self {
        let (archive, disk) = Self::open(dir).await;
        let archive = archive.unwrap_or_else(|| Arc::new(memory()));
        let (world, conduct) = (Arc::default(), Arc::new(Mutex::new(Conduct::Accept)));
        let process = Self::run(mode, dir.is_some(), &archive, &world, &conduct);
        Self {
            mode,
            dir,
            archive,
            disk,
            process,
            world,
            conduct,
            stored: HashSet::new(),
            dead: HashMap::new(),
            crashed: false,
        }
    }

    async fn open(dir: Option<&Path>) -> (Option<Arc<dyn Archive>>, Option<DiskArchive>) {
        let Some(dir) = dir else { return (None, None) };
        let builder = DiskArchive::builder(dir)
            .segment_size(4000)
            .maintenance_interval(None)
            .min_free_space(0);
        let disk = builder.open().await.unwrap();
        (Some(Arc::new(disk.clone())), Some(disk))
    }

    fn run(
        mode: Mode,
        on_disk: bool,
        archive: &Arc<dyn Archive>,
        world: &Arc<Mutex<World>>,
        conduct: &Arc<Mutex<Conduct>>,
    ) -> Process {
        let alive = Arc::new(AtomicBool::new(true));
        let mortal = Overridden(Mortal {
            archive: Arc::clone(archive),
            after_crash: memory(),
            alive: Arc::clone(&alive),
            world: Arc::clone(world),
            on_disk,
        });
        let retries = RetryPolicy::default().max_backoff(Duration::from_secs(20));
        let workers = Workers::new(3).handler_timeout(Duration::from_secs(15)).retries(retries);
        // Paused time does not wait for the disk.
        let builder = Inbox::builder(mortal).model(CAPTIONS, captions()).archive_timeout(None);
        let builder = match mode {
            Mode::Inline => builder.workers(workers),
            Mode::Background => builder.background(workers),
        };
        let inbox = builder.build().unwrap();
        inbox.start_workers(Self::handler(world, conduct, &alive)).unwrap();
        Process { inbox, alive }
    }

    fn handler(
        world: &Arc<Mutex<World>>,
        conduct: &Arc<Mutex<Conduct>>,
        alive: &Arc<AtomicBool>,
    ) -> impl Handler<Body> + use<> {
        let (world, conduct, alive) = (world.clone(), conduct.clone(), alive.clone());
        service_fn(move |request: Request<InboxBody<Body>>| {
            let (world, conduct, alive) = (world.clone(), conduct.clone(), alive.clone());
            async move {
                let caption: &Inference<Caption> = request.extensions().get().unwrap();
                let id = request.extensions().get::<Delivery>().unwrap().id();
                let job = caption.job.clone();
                let _running = if alive.load(Ordering::SeqCst) {
                    let mut known = lock(&world);
                    *known.runs.entry(id).or_default() += 1;
                    if known.processed.contains(&id) {
                        known.violations.push(format!("{id} runs after it was processed"));
                    }
                    if !known.running.insert(job.clone()) {
                        known.violations.push(format!("job {job} runs twice at a time"));
                    }
                    Some(Running { world: world.clone(), alive: alive.clone(), job })
                } else {
                    None
                };
                tokio::time::sleep(Duration::from_millis(1)).await;
                let conduct = *lock(&conduct);
                let status = match conduct {
                    Conduct::Accept => 200,
                    Conduct::Refuse => 404,
                    Conduct::Fail => 503,
                    Conduct::Panic => panic!("on purpose"),
                    Conduct::Slow => {
                        tokio::time::sleep(Duration::from_secs(10)).await;
                        200
                    }
                    Conduct::Hang => std::future::pending().await,
                };
                Ok(Response::builder().status(status).body(Full::default()).unwrap())
            }
        })
    }

    fn post(&self, job: u8, version: u8) -> tokio::task::JoinHandle<()> {
        let body = body(job, version);
        let handler = Self::handler(&self.world, &self.conduct, &self.process.alive);
        let service = self.process.inbox.layer().layer(handler);
        let (world, alive) = (Arc::clone(&self.world), Arc::clone(&self.process.alive));
        tokio::spawn(async move {
            let response = service.oneshot(signed(body.clone())).await.unwrap();
            if response.status().is_success() && alive.load(Ordering::SeqCst) {
                let id = response.headers()[DELIVERY_ID].to_str().unwrap().parse().unwrap();
                let mut world = lock(&world);
                world.recent.insert(id);
                world.acknowledged.insert(id, body);
            }
        })
    }

    /// Runs a step. Returns the deliveries that it may have removed.
    async fn step(&mut self, step: &Step) -> Removal {
        match *step {
            Step::Post { job, version, times } => {
                let posts: Vec<_> = (0..times).map(|_| self.post(job, version)).collect();
                for post in posts {
                    post.await.unwrap();
                }
            }
            Step::HangUp { job, yields } => {
                let post = self.post(job, 0);
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                post.abort();
            }
            Step::PostDuringPurge { job } => {
                let post = self.post(job, 0);
                self.archive.remove(Query::all().settled()).await.unwrap();
                post.await.unwrap();
                return Removal::Settled;
            }
            Step::Conduct(conduct) => *lock(&self.conduct) = conduct,
            Step::Wait { seconds } => tokio::time::sleep(Duration::from_secs(seconds)).await,
            Step::PurgeSettled { times } => {
                for _ in 0..times {
                    self.archive.remove(Query::all().settled()).await.unwrap();
                }
                return Removal::Settled;
            }
            Step::PurgeFinished => {
                self.archive.remove(Query::all().finished()).await.unwrap();
                return Removal::Finished;
            }
            Step::Erase { nth } => {
                let mut ids: Vec<_> = self.stored.iter().copied().collect();
                ids.sort_unstable();
                if let Some(id) = ids.get(nth).copied() {
                    self.archive.remove(Query::all().id(id)).await.unwrap();
                    return Removal::One(id);
                }
            }
            Step::RetryAll => {
                self.process.inbox.retry(Query::all()).await.unwrap();
            }
            Step::Pause => self.process.inbox.pause(&CAPTIONS.parse().unwrap()).await.unwrap(),
            Step::Resume => self.process.inbox.resume(&CAPTIONS.parse().unwrap()).await.unwrap(),
            Step::Shutdown => self.shutdown().await,
            Step::Crash => {
                self.crashed = true;
                self.restart().await;
            }
        }
        Removal::Nothing
    }

    async fn shutdown(&mut self) {
        self.process.inbox.shutdown(Duration::from_secs(3)).await;
        // Inline handlers may continue, leases of a crashed process are still valid, and paused time does not wait for
        // the disk.
        if self.mode == Mode::Background && self.dir.is_none() && !self.crashed {
            let leased = self.archive.counts().await.unwrap().of_all(StateKind::Leased);
            assert_eq!(leased, 0, "leased after the shutdown");
        }
        self.restart().await;
    }

    /// Ends the process immediately, and starts another one.
    async fn restart(&mut self) {
        self.process.alive.store(false, Ordering::SeqCst);
        lock(&self.world).running.clear();
        if let Some(disk) = self.disk.take() {
            disk.close().await;
            let (archive, disk) = Self::open(self.dir).await;
            (self.archive, self.disk) = (archive.unwrap(), disk);
        }
        self.process =
            Self::run(self.mode, self.dir.is_some(), &self.archive, &self.world, &self.conduct);
        // The archive in memory stays, with its paused models.
        self.process.inbox.resume(&CAPTIONS.parse().unwrap()).await.unwrap();
    }

    /// Checks each acknowledged delivery: it is stored, a step was allowed to remove it, or its state is final.
    async fn check(&mut self, after: &str, removal: Removal) {
        // Handlers may run during the check, so the expected states are read before the actual ones.
        let (acknowledged, recent, processed) = {
            let mut world = lock(&self.world);
            let recent = std::mem::take(&mut world.recent);
            (world.acknowledged.clone(), recent, world.processed.clone())
        };
        let stored: HashMap<_, _> =
            archived(&*self.archive).await.into_iter().map(|a| (a.delivery.id(), a)).collect();
        let known: HashSet<_> = self.stored.iter().chain(acknowledged.keys()).copied().collect();
        for id in known {
            let state = self.archive.state(id).await.unwrap();
            let state = state.expect("a ledger entry is lost");
            match stored.get(&id) {
                Some(found) => {
                    if let Some(body) = acknowledged.get(&id) {
                        assert_eq!(found.delivery.body(), body, "after {after}");
                    }
                }
                None if removal.allows(id, &state) => {}
                None => {
                    let lost = self.stored.contains(&id);
                    assert!(!lost, "after {after}: {id} is {state}, and its body is lost");
                    let empty = recent.contains(&id) && !is_final(&state);
                    assert!(!empty, "after {after}: {id} is {state}, acknowledged without a body");
                }
            }
            let runs = lock(&self.world).runs.get(&id).copied().unwrap_or_default();
            let is_dead = state.kind() == StateKind::Dead && !is_final(&state);
            if is_dead && recent.contains(&id) {
                let ran = self.dead.get(&id).is_none_or(|before| *before < runs);
                assert!(ran, "after {after}: the repeat of {id} was acknowledged and did not run");
            }
            if is_dead && stored.contains_key(&id) {
                self.dead.insert(id, runs);
            } else {
                self.dead.remove(&id);
            }
            let regressed = processed.contains(&id) && state.kind() != StateKind::Processed;
            assert!(!regressed, "after {after}: {id} was processed and is {state}");
            if state.kind() == StateKind::Processed {
                lock(&self.world).processed.insert(id);
            }
        }
        let violations = &lock(&self.world).violations;
        assert!(violations.is_empty(), "after {after}: {violations:?}");
        self.stored = stored.into_keys().collect();
    }

    /// Checks that all deliveries are settled once handlers accept.
    async fn finish(&mut self) {
        *lock(&self.conduct) = Conduct::Accept;
        self.process.inbox.resume(&CAPTIONS.parse().unwrap()).await.unwrap();
        // Leases of crashed processes expire in memory.
        tokio::time::sleep(Duration::from_secs(70)).await;
        self.process.inbox.wait_idle().await;
        self.check("the end", Removal::Nothing).await;
        let mut unsettled = self.archive.ledger(Query::all().unsettled());
        let left = unsettled.next().await;
        assert!(left.is_none(), "not settled in the end: {left:?}");
        drop(unsettled);
        if let Some(disk) = &self.disk {
            disk.close().await;
        }
    }
}

fn play(mode: Mode, on_disk: bool, steps: &[Step]) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let dir = tempfile::tempdir().unwrap();
    runtime.unwrap().block_on(async {
        let dir = on_disk.then(|| dir.path());
        let mut history = History::start(mode, dir).await;
        for step in steps {
            let removal = history.step(step).await;
            history.check(&format!("{step:?}"), removal).await;
        }
        history.finish().await;
    });
}

fn cases(short: u32) -> ProptestConfig {
    let long = std::env::var_os("INBOX_LONG_TESTS").is_some();
    ProptestConfig {
        cases: if long { 20 * short } else { short },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Inline, Mode::Background])
}

#[test]
fn random_histories_in_memory_keep_the_promise() {
    proptest!(cases(60), |(mode in mode(), steps in steps())| play(mode, false, &steps));
}

#[test]
fn random_histories_on_disk_keep_the_promise() {
    proptest!(cases(40), |(mode in mode(), steps in steps())| play(mode, true, &steps));
}

#[test]
fn repeat_of_dead_delivery_survives_two_purges() {
    let post = || Step::Post { job: 1, version: 0, times: 1 };
    for on_disk in [false, true] {
        let wait = || Step::Wait { seconds: 1 };
        let refuse = Step::Conduct(Conduct::Refuse);
        let steps =
            [refuse, post(), wait(), post(), Step::PurgeSettled { times: 2 }, post(), wait()];
        play(Mode::Background, on_disk, &steps);
    }
}

#[test]
fn erased_delivery_is_not_leased() {
    let post = Step::Post { job: 1, version: 0, times: 1 };
    for on_disk in [false, true] {
        let erase = Step::Erase { nth: 0 };
        let steps = [Step::Pause, post.clone(), erase, Step::Resume, Step::Wait { seconds: 1 }];
        play(Mode::Background, on_disk, &steps);
    }
}
