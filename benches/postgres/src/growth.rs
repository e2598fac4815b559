//! Claims and repeats with many deliveries, compared with few.

use std::{sync::Arc, time::Duration};

use tokio_postgres::Client;

use crate::{
    load::{Bodies, Content, closed_loop, rate},
    options::Options,
    ours::Ours,
    server::Server,
};

const FEW: usize = 10_000;
const TIME: Duration = Duration::from_secs(5);

pub(crate) async fn run(server: &Server, client: &Client, options: &Options, deliveries: usize) {
    let ours = Ours::open(&server.url, client, options).await;
    let bodies = Arc::new(Bodies::new(200, Content::Random));
    println!("with many deliveries, all of them pending; claims of 64, repeats with 64 in flight");
    let few = measure(&ours, &bodies, FEW, FEW).await;
    let many = measure(&ours, &bodies, deliveries.saturating_sub(FEW), deliveries).await;
    println!("  claims: {:.2}, repeats: {:.2} of few", many.0 / few.0, many.1 / few.1);
    ours.archive.close().await;
}

/// Appends more deliveries. Returns claimed deliveries and repeats per second.
async fn measure(ours: &Ours, bodies: &Bodies, more: usize, all: usize) -> (f64, f64) {
    let mut left = more;
    while left > 0 {
        let some = left.min(512);
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..some {
            clients.spawn(ours.clone().append(bodies.next()));
        }
        clients.join_all().await;
        left -= some;
    }
    // The same bodies again, from the first.
    let again = Bodies::new(200, Content::Random);
    let most = all / 2;
    let repeats = closed_loop(64, TIME, || {
        let body = again.next_of(most);
        ours.clone().append_repeat(body)
    })
    .await;
    let (began, mut claimed) = (std::time::Instant::now(), 0);
    while claimed < FEW / 2 {
        let leases = ours.claim(64).await;
        claimed += leases.len();
        assert!(!leases.is_empty());
    }
    let claims = (claimed, began.elapsed());
    println!("  {all:>8}: {:.0} claimed, {:.0} repeats per second", rate(claims), rate(repeats));
    (rate(claims), rate(repeats))
}
