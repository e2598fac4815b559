//! Claims and repeats with many deliveries, compared with few.

use std::time::Duration;

use tokio_postgres::Client;

use crate::{
    load::{Bodies, Content, closed_loop, rate},
    options::Options,
    ours::Ours,
    server::Server,
    support::stats::median,
};

const FEW: usize = 10_000;
/// How often claims and repeats are measured with each number of deliveries.
const ROUNDS: usize = 5;
/// How long repeats are measured in a round.
const TIME: Duration = Duration::from_secs(2);

pub(crate) async fn run(server: &Server, client: &Client, options: &Options, deliveries: usize) {
    println!("with many deliveries, all of them pending; claims of 64, repeats with 64 in flight");
    let mut few = Vec::new();
    for _ in 0..ROUNDS {
        let ours = filled(server, client, options, FEW).await;
        few.push(measure(&ours, FEW).await);
        ours.archive.close().await;
    }
    let ours = filled(server, client, options, deliveries).await;
    let mut many = Vec::new();
    for _ in 0..ROUNDS {
        many.push(measure(&ours, deliveries).await);
    }
    ours.archive.close().await;
    let (few, many) = (medians(FEW, few), medians(deliveries, many));
    println!("  claims: {:.2}, repeats: {:.2} of few", many.0 / few.0, many.1 / few.1);
}

fn medians(deliveries: usize, rounds: Vec<(f64, f64)>) -> (f64, f64) {
    let (claims, repeats): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let (claims, repeats) = (median(claims), median(repeats));
    println!("  {deliveries:>8}: {claims:.0} claimed, {repeats:.0} repeats per second");
    (claims, repeats)
}

/// An archive with this number of pending deliveries.
async fn filled(server: &Server, client: &Client, options: &Options, deliveries: usize) -> Ours {
    let ours = Ours::open(&server.url, client, options).await;
    let bodies = Bodies::new(200, Content::Random);
    let mut left = deliveries;
    while left > 0 {
        let some = left.min(512);
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..some {
            clients.spawn(ours.clone().append(bodies.next()));
        }
        clients.join_all().await;
        left -= some;
    }
    ours
}

/// Returns claimed deliveries and repeats per second.
async fn measure(ours: &Ours, deliveries: usize) -> (f64, f64) {
    // The same bodies again, from the first.
    let again = Bodies::new(200, Content::Random);
    let repeats =
        closed_loop(64, TIME, || ours.clone().append_repeat(again.next_of(deliveries / 2))).await;
    let (began, mut claimed) = (std::time::Instant::now(), 0);
    while claimed < FEW / 2 {
        let leases = ours.claim(64).await;
        claimed += leases.len();
        assert!(!leases.is_empty());
    }
    (rate((claimed, began.elapsed())), rate(repeats))
}
