//! Appends: throughput, transactions and log.

use std::sync::Arc;

use tokio_postgres::Client;

use crate::{
    by_hand::ByHand,
    cpu::CpuTime,
    load::{Bodies, closed_loop, rate},
    options::Options,
    ours::Ours,
    server::{Server, Written},
    support::stats::median,
};

/// Inserts the rows of the ledger and of the bodies again, into tables with the same columns and indexes, each
/// delivery by a transaction of its own.
const BARE_TABLES: &str = "
    DROP SCHEMA IF EXISTS bare CASCADE;
    CREATE SCHEMA bare;
    CREATE TABLE bare.ledger (LIKE inbox.ledger INCLUDING ALL);
    CREATE TABLE bare.bodies (LIKE inbox.bodies INCLUDING ALL);";
const BARE_INSERTS: &str = "
    DO $$
    DECLARE
        one uuid;
    BEGIN
        FOREACH one IN ARRAY (SELECT array_agg(id) FROM (SELECT id FROM inbox.ledger ORDER BY seq LIMIT 20000) l) LOOP
            INSERT INTO bare.ledger SELECT * FROM inbox.ledger WHERE id = one;
            INSERT INTO bare.bodies SELECT b.* FROM inbox.bodies b JOIN inbox.ledger l USING (day, id) WHERE id = one;
            COMMIT;
        END LOOP;
    END
    $$";

#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    by_hand: Vec<f64>,
    ratio: Vec<f64>,
    cpu_ratio: Vec<f64>,
    transactions: Vec<f64>,
    wal: Vec<f64>,
    wal_by_hand: Vec<f64>,
}

pub(crate) async fn run(server: &Server, client: &Client, options: &Options) {
    println!("appends per second, and the bytes of the write-ahead log for each");
    println!(
        "  {:>5} {:>9} {:>8} {:>8} {:>8} {:>8} {:>16} {:>10} {:>16} {:>16}",
        "KB",
        "in flight",
        "ours",
        "by hand",
        "ratio",
        "CPU",
        "transactions per",
        "WAL B",
        "to bare insert",
        "to by hand"
    );
    for &size in &options.sizes {
        let bodies = Arc::new(Bodies::new(size * 1000, options.content));
        for &in_flight in &options.in_flight {
            let (rounds, bare) = rounds(server, client, options, &bodies, in_flight).await;
            let wal = median(rounds.wal);
            println!(
                "  {size:>5} {in_flight:>9} {:>8.0} {:>8.0} {:>8.2} {:>8.2} {:>16.3} {wal:>10.0} {:>16.2} {:>16.2}",
                median(rounds.ours),
                median(rounds.by_hand),
                median(rounds.ratio),
                median(rounds.cpu_ratio),
                median(rounds.transactions),
                wal / bare,
                wal / median(rounds.wal_by_hand),
            );
        }
    }
    println!();
}

async fn rounds(
    server: &Server,
    client: &Client,
    options: &Options,
    bodies: &Arc<Bodies>,
    in_flight: usize,
) -> (Rounds, f64) {
    let ours = Ours::open(&server.url, client, options).await;
    let by_hand = ByHand::open(&server.url, options.pool, client).await;
    let mut rounds = Rounds::default();
    // The first round warms up.
    for round in 0..=options.rounds {
        let (before, cpu) = (Written::now(client).await, CpuTime::now(server.postmaster));
        let ran = closed_loop(in_flight, options.time, || ours.clone().append(bodies.next())).await;
        let cpu = cpu.since(server.postmaster, ran.0);
        let written = before.since(client, ran.0).await;
        let (before, others_cpu) = (Written::now(client).await, CpuTime::now(server.postmaster));
        let other =
            closed_loop(in_flight, options.time, || by_hand.clone().append(bodies.next())).await;
        let others_cpu = others_cpu.since(server.postmaster, other.0);
        let written_by_hand = before.since(client, other.0).await;
        if round > 0 {
            rounds.ours.push(rate(ran));
            rounds.by_hand.push(rate(other));
            rounds.ratio.push(rate(ran) / rate(other));
            rounds.cpu_ratio.push(cpu / others_cpu);
            rounds.transactions.push(written.transactions);
            rounds.wal.push(written.wal_bytes);
            rounds.wal_by_hand.push(written_by_hand.wal_bytes);
        }
    }
    let bare = bare_inserts(client).await;
    ours.archive.close().await;
    (rounds, bare)
}

/// The bytes of the log for each inserted row.
async fn bare_inserts(client: &Client) -> f64 {
    client.batch_execute(BARE_TABLES).await.unwrap();
    client.batch_execute("SET synchronous_commit = off").await.unwrap();
    let before = Written::now(client).await;
    client.batch_execute(BARE_INSERTS).await.unwrap();
    let count: i64 =
        client.query_one("SELECT count(*) FROM bare.ledger", &[]).await.unwrap().get(0);
    let written = before.since(client, usize::try_from(count).unwrap()).await;
    client.batch_execute("DROP SCHEMA bare CASCADE; RESET synchronous_commit").await.unwrap();
    written.wal_bytes
}
