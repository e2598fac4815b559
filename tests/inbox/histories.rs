//! Random histories of an inbox against a simple model of what it promises: deliveries, repeats, other versions, failing,
//! panicking and hanging handlers, clients that hang up, pauses, purges, a clock that is set, stops, crashes and restarts.
//!
//! What must hold: what was acknowledged is settled or pending at any time, and settled in the end; an inference is
//! handled until its handler takes it, never again after that was durable, and never twice at the same time. Whoever gets an
//! answer of a handler gets it after the handler gave it, also who waited for another one's.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_inbox::{
    Archive, Delivery, DeliveryId, Inbox, Inference, MemoryArchive, Outcome, Receipt, Workers,
    archive::{ArchiveError, Archived, Entries, Line, Query, Work},
    delivery::InferenceDigest,
    layer::{Attempt, InboxBody, Retries},
};

use crate::support::*;

type Body = Full<Bytes>;

/// Where each model receives.
const MODELS: [&str; 3] = [CAPTIONS, "/hooks/others", "/hooks/third"];

#[derive(Clone, Debug)]
enum Step {
    /// A job of a model in one of its versions, at one of several addresses, so many times at once.
    Post {
        model: usize,
        job: u8,
        version: u8,
        address: u8,
        times: u8,
    },
    /// The client goes away before it has its answer.
    HangUp {
        model: usize,
        job: u8,
    },
    Wait {
        seconds: u16,
    },
    Pause {
        model: usize,
    },
    Resume {
        model: usize,
    },
    /// The clock of the machine is set, forwards or back.
    Clock {
        hours: i16,
    },
    /// What is settled loses its body.
    Purge,
    Stop,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..MODELS.len(), 0..6_u8, 0..2_u8, 0..2_u8, 1..4_u8).prop_map(
            |(model, job, version, address, times)| {
                Step::Post { model, job, version, address, times }
            }
        ),
        2 => (0..MODELS.len(), 0..6_u8).prop_map(|(model, job)| Step::HangUp { model, job }),
        4 => (0..60_u16).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..MODELS.len()).prop_map(|model| Step::Pause { model }),
        1 => (0..MODELS.len()).prop_map(|model| Step::Resume { model }),
        1 => Just(Step::Purge),
        2 => (-1000..1000_i16).prop_map(|hours| Step::Clock { hours }),
        1 => Just(Step::Stop),
        2 => Just(Step::Crash),
    ]
}

/// What is known from outside.
#[derive(Default)]
struct World {
    /// Bodies that were answered 2xx.
    acknowledged: HashSet<Bytes>,
    /// Bodies whose handler has answered 2xx.
    taken: HashSet<Bytes>,
    /// Bodies whose handler has answered 404.
    refused: HashSet<Bytes>,
    /// Bodies of which it is durable that they were processed.
    processed: HashSet<Bytes>,
    /// Jobs whose handler is at work.
    running: HashSet<String>,
    /// How often the process has crashed while the handler was at work with a body.
    crashed: HashMap<Bytes, u32>,
    bodies: HashMap<DeliveryId, Bytes>,
    /// By how many hours the clock was set since the beginning, and since each was received.
    clock: i64,
    set_at: HashMap<DeliveryId, i64>,
    /// What handlers saw that must not be: a panic of theirs would be caught.
    broken: Vec<String>,
}

impl World {
    /// In the background every answer is the same. Inline a handler's answer is given to nobody before the handler gave it.
    fn check_answer(&mut self, mode: Mode, body: &Bytes, status: u16) {
        let is_right = match (mode, status) {
            (Mode::Background, 202) | (Mode::Inline, 202 | 500 | 503) => true,
            (Mode::Inline, 200) => self.taken.contains(body),
            (Mode::Inline, 404) => self.refused.contains(body),
            _ => false,
        };
        if !is_right {
            self.broken.push(format!("{body:?} is answered {status} ({mode:?})"));
        }
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// An archive whose process can crash: from then on nothing reaches it, and nobody gets an answer.
#[derive(Clone, Debug)]
struct Mortal {
    archive: MemoryArchive,
    alive: Arc<AtomicBool>,
    shared: Shared,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl std::fmt::Display for Mortal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("mortal")
    }
}

impl Mortal {
    async fn settle_now(&self, id: DeliveryId, outcome: Outcome) -> Result<(), ArchiveError> {
        if !self.alive.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        if let Outcome::Processed { .. } = outcome {
            let mut world = self.shared.world();
            let body = world.bodies[&id].clone();
            world.processed.insert(body);
        }
        self.archive.settle(id, outcome).await
    }

    /// As the clock of now tells it: what matters is how long ago something was.
    fn received_at(&self, id: DeliveryId, at: SystemTime) -> SystemTime {
        let world = self.shared.world();
        let ahead = world.clock - world.set_at.get(&id).copied().unwrap_or_default();
        let by = Duration::from_hours(ahead.unsigned_abs());
        if ahead > 0 { at - by } else { at + by }
    }

    /// A disk takes its time: between asking and being answered others come to their turn.
    fn unless_dead<T: Send + 'static>(&self, work: impl FnOnce() -> Work<T>) -> Work<T> {
        if !self.alive.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        let work = work();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            work.await
        })
    }
}

impl Archive for Mortal {
    fn append(&self, delivery: Delivery) -> Work<Receipt> {
        self.unless_dead(|| {
            let (id, body) = (delivery.id(), delivery.body().clone());
            let mut world = self.shared.world();
            world.bodies.insert(id, body);
            let clock = world.clock;
            world.set_at.insert(id, clock);
            drop(world);
            self.archive.append(delivery)
        })
    }

    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()> {
        // It begins with the call, and until it is done nobody sees it: a crash before that loses it.
        let this = self.clone();
        let settling = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            this.settle_now(id, outcome).await
        });
        Box::pin(async { settling.await.unwrap() })
    }

    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>> {
        self.unless_dead(|| self.archive.outcome(id))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        let this = self.clone();
        self.unless_dead(|| {
            let work = self.archive.get(id);
            Box::pin(async move {
                Ok(work.await?.map(|Archived { delivery, outcome, .. }| {
                    let (model, head) = (delivery.model().clone(), delivery.head().clone());
                    let at = this.received_at(id, delivery.received_at());
                    let (body, proof) = (delivery.body().clone(), delivery.proof().clone());
                    let print = delivery.fingerprint();
                    let delivery = Delivery::from_archive(id, model, head, body, at, proof, print);
                    Archived::new(delivery, outcome)
                }))
            })
        })
    }

    fn scan(&self, query: Query) -> Entries {
        self.archive.scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<Line> {
        let (this, mut lines) = (self.clone(), self.archive.ledger(query));
        let (sender, found) = Entries::channel(16);
        tokio::spawn(async move {
            while let Some(line) = lines.next().await {
                let line = line.map(|Line { id, model, received_at, outcome, .. }| {
                    Line::new(id, model, this.received_at(id, received_at), outcome)
                });
                if !sender.send(line).await {
                    return;
                }
            }
            sender.finish();
        });
        found
    }

    fn processed_as(&self, inference: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>> {
        self.unless_dead(|| self.archive.processed_as(inference))
    }

    fn remove(&self, query: Query) -> Work<u64> {
        self.unless_dead(|| self.archive.remove(query))
    }
}

/// Takes a running job off the list, however its handler ends.
struct Running {
    shared: Shared,
    job: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.world().running.remove(&self.job);
    }
}

/// Behaves by job and attempt, so that a history can be played again.
fn handler(
    shared: &Shared,
    mended: bool,
) -> impl Service<Request<InboxBody<Body>>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    let shared = shared.clone();
    service_fn(move |request: Request<InboxBody<Body>>| {
        let shared = shared.clone();
        async move {
            let caption: &Inference<Caption> = request.extensions().get().unwrap();
            let attempt: &Attempt = request.extensions().get().unwrap();
            let (job, body) = (caption.job.clone(), caption.raw().clone());
            {
                let mut world = shared.world();
                if world.processed.contains(&body) {
                    world.broken.push(format!("{job} is handled after it was processed"));
                }
                if !world.running.insert(job.clone()) {
                    world.broken.push(format!("{job} is handled twice at once"));
                }
            }
            let running = Running { shared: shared.clone(), job: job.clone() };
            // By the job alone, of whatever model it is.
            let status = match (job.split('-').next().unwrap(), attempt.number()) {
                _ if mended => 200,
                ("1", 1) => 503,
                ("2", 1 | 3) => panic!("a handler panics, as the test wants"),
                ("3", 1) => std::future::pending().await,
                ("4", _) => {
                    tokio::time::sleep(Duration::from_secs(15)).await;
                    200
                }
                ("5", _) => 404,
                _ => 200,
            };
            drop(running);
            let mut world = shared.world();
            match status {
                200 => drop(world.taken.insert(body)),
                404 => drop(world.refused.insert(body)),
                _ => {}
            }
            Ok(Response::builder().status(status).body(Body::default()).unwrap())
        }
    })
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Inline,
    Background,
}

/// One life of the process.
struct Life {
    inbox: Inbox,
    archive: MemoryArchive,
    mode: Mode,
    alive: Arc<AtomicBool>,
    shared: Shared,
}

impl Life {
    fn begin(archive: &MemoryArchive, shared: &Shared, mode: Mode, mended: bool) -> Self {
        let alive = Arc::new(AtomicBool::new(true));
        let mortal =
            Mortal { archive: archive.clone(), alive: alive.clone(), shared: shared.clone() };
        let workers = Workers::new(2).deadline(Duration::from_secs(20)).retries(
            Retries::default()
                .attempts(1000)
                .longest_wait(Duration::from_secs(8))
                // The clock may be set by years.
                .longest_age(Duration::from_hours(1_000_000)),
        );
        let builder = Inbox::builder(mortal);
        let builder = MODELS.iter().fold(builder, |to, path| to.model(*path, captions()));
        let builder = match mode {
            Mode::Inline => builder.workers(workers),
            Mode::Background => builder.background(workers),
        };
        let inbox = builder.build().unwrap();
        inbox.work(handler(shared, mended));
        Self { inbox, archive: archive.clone(), mode, alive, shared: shared.clone() }
    }

    fn post(&self, model: usize, job: u8, version: u8, address: u8) -> tokio::task::JoinHandle<()> {
        let body = Bytes::from(caption(&format!("{job}-{model}")) + &" ".repeat(version.into()));
        let request = signed_to(&format!("{}?address={address}", MODELS[model]), body.clone());
        let service = self.inbox.layer().layer(handler(&self.shared, false));
        let (shared, alive, mode) = (self.shared.clone(), self.alive.clone(), self.mode);
        tokio::spawn(async move {
            let answer = service.oneshot(request).await.unwrap();
            shared.world().check_answer(mode, &body, answer.status().as_u16());
            if answer.status().is_success() && alive.load(Ordering::SeqCst) {
                shared.world().acknowledged.insert(body);
            }
        })
    }

    /// Ends when the process does; the steps that are left are for the next one.
    async fn live(&self, steps: &mut impl Iterator<Item = Step>) -> bool {
        let name = |model: usize| MODELS[model].parse().unwrap();
        for step in steps {
            assert_kept(&self.archive, &self.shared).await;
            match step {
                Step::Post { model, job, version, address, times } => {
                    for _ in 0..times {
                        drop(self.post(model, job, version, address));
                    }
                }
                Step::HangUp { model, job } => {
                    let post = self.post(model, job, 0, 0);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    post.abort();
                }
                Step::Wait { seconds } => {
                    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                }
                Step::Pause { model } => self.inbox.pause(&name(model)),
                Step::Clock { hours } => self.shared.world().clock += i64::from(hours),
                Step::Resume { model } => self.inbox.resume(&name(model)),
                Step::Purge => {
                    let settled = Query::all().settled();
                    self.inbox.archive().remove(settled).await.unwrap();
                }
                Step::Stop => {
                    self.inbox.stop(Duration::from_secs(5)).await;
                    self.alive.store(false, Ordering::SeqCst);
                    return true;
                }
                Step::Crash => {
                    self.alive.store(false, Ordering::SeqCst);
                    return true;
                }
            }
        }
        false
    }
}

/// What is acknowledged is in the archive, or was settled and lost its body since.
async fn assert_kept(archive: &MemoryArchive, shared: &Shared) {
    let (acknowledged, bodies) = {
        let world = shared.world();
        (world.acknowledged.clone(), world.bodies.clone())
    };
    let mut kept = HashSet::new();
    for (id, body) in bodies {
        let is_kept = match archive.get(id).await.unwrap() {
            Some(archived) => {
                assert_eq!(*archived.delivery.body(), body);
                true
            }
            None => archive.outcome(id).await.unwrap().is_some_and(|outcome| outcome.is_settled()),
        };
        kept.extend(is_kept.then_some(body));
    }
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and not in the archive: {lost:?}");
}

async fn assert_settled(archive: &MemoryArchive, shared: &Shared) {
    let mut unsettled = archive.ledger(Query::all().unsettled());
    assert!(unsettled.next().await.is_none(), "not settled after all is drained");
    let world = shared.world();
    assert!(world.broken.is_empty(), "{:?}", world.broken);
    for body in &world.acknowledged {
        let poisonous = world.crashed.get(body).copied().unwrap_or_default() >= 3;
        assert!(
            world.taken.contains(body) || world.refused.contains(body) || poisonous,
            "acknowledged, and its handler never took it: {body:?}"
        );
    }
}

fn in_a_process(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work);
}

fn play(mode: Mode, steps: Vec<Step>) {
    let (archive, shared) = (MemoryArchive::new(), Shared::default());
    let mut steps = steps.into_iter().peekable();
    while steps.peek().is_some() {
        in_a_process(async {
            let life = Life::begin(&archive, &shared, mode, false);
            life.live(&mut steps).await;
            life.alive.store(false, Ordering::SeqCst);
            note_crashes(&shared);
        });
        in_a_process(assert_kept(&archive, &shared));
    }
    in_a_process(async {
        let life = Life::begin(&archive, &shared, mode, true);
        life.inbox.drained().await;
        life.inbox.stop(Duration::from_secs(1)).await;
    });
    in_a_process(assert_settled(&archive, &shared));
}

/// Whatever is at work when the process ends may be taken for what ended it.
fn note_crashes(shared: &Shared) {
    let mut world = shared.world();
    let running: Vec<_> = world.running.drain().collect();
    let of_job = |body: &Bytes, job: &String| body.starts_with(caption(job).as_bytes());
    let bodies: HashSet<_> = world.bodies.values().cloned().collect();
    for body in bodies.into_iter().filter(|body| running.iter().any(|job| of_job(body, job))) {
        *world.crashed.entry(body).or_default() += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_inline_everything_acknowledged_is_settled(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        play(Mode::Inline, steps);
    }

    #[test]
    fn whatever_happens_in_the_background_everything_acknowledged_is_settled(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        play(Mode::Background, steps);
    }
}
