//! From the append until the delivery is settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
use tokio_postgres::Client;

use crate::{
    job_queue::JobQueue,
    load::{Bodies, Content, rate},
    options::Options,
    ours::Ours,
    server::{Server, Written},
    support::stats::median,
};

/// Clients that append, tasks that handle, and the maximum number of deliveries that wait for them.
const CLIENTS: usize = 64;
const WAITING: usize = 256;

/// Appends for a while, and handles everything that was appended. `handle` returns how many deliveries it settled.
async fn flow<A, H>(
    time: Duration,
    handlers: usize,
    append: impl Fn() -> A + Clone + Send + 'static,
    handle: impl Fn() -> H + Clone + Send + 'static,
) -> (usize, Duration)
where
    A: Future<Output = ()> + Send + 'static,
    H: Future<Output = usize> + Send + 'static,
{
    let (began, free) = (Instant::now(), Arc::new(Semaphore::new(WAITING)));
    let (appended, settled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let complete = Arc::new(AtomicBool::new(false));
    let (mut clients, mut working) = (JoinSet::new(), JoinSet::new());
    for _ in 0..CLIENTS {
        let (append, free, appended) = (append.clone(), Arc::clone(&free), Arc::clone(&appended));
        clients.spawn(async move {
            while began.elapsed() < time {
                free.acquire().await.unwrap().forget();
                append().await;
                appended.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..handlers {
        let (handle, free, complete) = (handle.clone(), Arc::clone(&free), Arc::clone(&complete));
        let (appended, settled) = (Arc::clone(&appended), Arc::clone(&settled));
        working.spawn(async move {
            let all = || settled.load(Ordering::Relaxed) >= appended.load(Ordering::Relaxed);
            while !complete.load(Ordering::Relaxed) || !all() {
                let some = handle().await;
                settled.fetch_add(some, Ordering::Relaxed);
                free.add_permits(some);
                if some == 0 {
                    sleep(Duration::from_millis(2)).await;
                }
            }
        });
    }
    clients.join_all().await;
    complete.store(true, Ordering::Relaxed);
    working.join_all().await;
    (settled.load(Ordering::Relaxed), began.elapsed())
}

async fn flow_of_ours(ours: &Ours, bodies: &Arc<Bodies>, time: Duration) -> (usize, Duration) {
    let (appender, handler, bodies) = (ours.clone(), ours.clone(), Arc::clone(bodies));
    let handle = move || {
        let handler = handler.clone();
        async move { handler.handle().await }
    };
    flow(time, 2, move || appender.clone().append(bodies.next()), handle).await
}

async fn flow_of_queue(
    queue: &JobQueue,
    bodies: &Arc<Bodies>,
    time: Duration,
    handlers: usize,
) -> (usize, Duration) {
    let (appender, handler, bodies) = (queue.clone(), queue.clone(), Arc::clone(bodies));
    let handle = move || {
        let handler = handler.clone();
        async move { usize::from(handler.handle().await) }
    };
    let body = move || -> Bytes { bodies.next() };
    flow(time, handlers, move || appender.clone().append(body()), handle).await
}

pub(crate) async fn run(server: &Server, client: &Client, options: &Options) {
    println!("appended, claimed and settled per second");
    println!(
        "  {:>5} {:>8} {:>9} {:>8} {:>16} {:>16}",
        "KB", "ours", "job queue", "ratio", "transactions per", "of the job queue"
    );
    let connections = u32::try_from(options.pool * 2).unwrap();
    let queue = JobQueue::open(&server.url, connections).await;
    for &size in &options.sizes {
        let (ours, bodies) = (
            Ours::open(&server.url, client, options).await,
            Arc::new(Bodies::new(size * 1000, options.content)),
        );
        let [mut rates, mut others, mut ratios] = [const { Vec::new() }; 3];
        let [mut transactions, mut of_queue] = [const { Vec::new() }; 2];
        for round in 0..=options.rounds {
            let before = Written::now(client).await;
            let ran = flow_of_ours(&ours, &bodies, options.time).await;
            let written = before.since(client, ran.0).await;
            let before = Written::now(client).await;
            let other = flow_of_queue(&queue, &bodies, options.time, options.pool).await;
            let written_by_queue = before.since(client, other.0).await;
            queue.empty().await;
            if round > 0 {
                rates.push(rate(ran));
                others.push(rate(other));
                ratios.push(rate(ran) / rate(other));
                transactions.push(written.transactions);
                of_queue.push(written_by_queue.transactions);
            }
        }
        ours.archive.close().await;
        println!(
            "  {size:>5} {:>8.0} {:>9.0} {:>8.2} {:>16.3} {:>16.3}",
            median(rates),
            median(others),
            median(ratios),
            median(transactions),
            median(of_queue),
        );
    }
    println!();
}

/// The throughput while a transaction holds an old snapshot, so that a vacuum removes nothing, compared with before.
pub(crate) async fn run_with_old_snapshot(server: &Server, client: &Client, options: &Options) {
    let held = options.held;
    let (ours, bodies) = (
        Ours::open(&server.url, client, options).await,
        Arc::new(Bodies::new(2000, Content::Words)),
    );
    flow_of_ours(&ours, &bodies, held / 10).await;
    let without = rate(flow_of_ours(&ours, &bodies, held).await);
    client.batch_execute("VACUUM inbox.work, inbox.ledger").await.unwrap();
    let holder = server.client().await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM inbox.work";
    holder.batch_execute(begin).await.unwrap();
    let (deliveries, time) = flow_of_ours(&ours, &bodies, held).await;
    sleep(Duration::from_millis(1500)).await;
    let sql = "SELECT coalesce(sum(n_dead_tup), 0)::float8 FROM pg_stat_user_tables \
               WHERE schemaname = 'inbox' AND relname = $1";
    println!("an old snapshot is held for {held:?}, 2 KB, end to end");
    let with = rate((deliveries, time));
    println!("  before {without:.0}, with it {with:.0} per second: {:.2}", with / without);
    for table in ["work", "ledger"] {
        let dead: f64 = client.query_one(sql, &[&table]).await.unwrap().get(0);
        println!("  dead rows of {table} per delivery: {:.2}", dead / deliveries as f64);
    }
    let last = rate(flow_of_ours(&ours, &bodies, held / 10).await);
    println!("  at its end {last:.0} per second: {:.2}", last / without);
    holder.batch_execute("COMMIT").await.unwrap();
    ours.archive.close().await;
    println!();
}
