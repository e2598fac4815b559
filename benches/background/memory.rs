//! What pending deliveries take of memory.

use std::{convert::Infallible, error::Error, fs};

use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_inbox::{
    DiskArchive, Inbox, Workers,
    delivery::StateKind,
    layer::InboxBody,
    provider::mindee::{self, Fields},
};

use crate::support::http::rounds::PATH;

const PENDING: usize = 100_000;
const STEP: usize = 25_000;

/// Posts, without a socket between, while the model is paused.
pub(crate) fn measure() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    runtime.block_on(async {
        let inbox = Inbox::builder(DiskArchive::open(dir.path()).await?)
            .model(PATH, mindee::extraction::<Fields>().unsigned())
            .background(Workers::new(4))
            .build()?;
        inbox.pause(&PATH.parse()?).await?;
        let handler = service_fn(async |_: Request<InboxBody<Full<bytes::Bytes>>>| {
            Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::default()))
        });
        inbox.start_workers(handler)?;
        let service = inbox.layer().layer(handler);
        // What the first ones need once: segments, buffers, threads.
        post(&service, 0..STEP).await;
        let mut before = resident()?;
        let waiting = inbox.counts().await?.of_all(StateKind::Pending);
        println!("{waiting:>9} pending  {:>6} KiB resident", before >> 10);
        for from in (STEP..PENDING).step_by(STEP) {
            post(&service, from..from + STEP).await;
            let now = resident()?;
            let each = now.saturating_sub(before) / STEP;
            let waiting = inbox.counts().await?.of_all(StateKind::Pending);
            println!("{waiting:>9} pending  {:>6} KiB resident  {each:>5} bytes each", now >> 10);
            before = now;
        }
        Ok(())
    })
}

async fn post<S>(service: &S, numbers: std::ops::Range<usize>)
where
    S: Service<Request<Full<bytes::Bytes>>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Response: Send,
{
    for at_a_time in numbers.collect::<Vec<_>>().chunks(256) {
        let mut posting = tokio::task::JoinSet::new();
        for number in at_a_time {
            let body = format!("{{\"number\": {number}}}");
            let request = Request::post(PATH).body(Full::from(body)).unwrap();
            let service = service.clone();
            posting.spawn(async move { drop(service.oneshot(request).await) });
        }
        posting.join_all().await;
    }
}

/// In bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(resident.trim().trim_end_matches(" kB").parse::<usize>()? << 10)
}
