//! Workers read only the deliveries that they process from the archive. Time is paused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower::Layer;
use tower_inbox::{
    Archive, DeliveryId, Inbox, InboxBuilder, MemoryArchive, Workers,
    archive::{Archived, Claim, Claimed, Entries, LedgerEntry, Query, Work},
    delivery::StateKind,
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    script::{Reply, Script},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// Counts reads and claims, and does not support listing deliveries.
#[derive(Clone, Debug, Default)]
struct Counting {
    archive: MemoryArchive,
    reads: Arc<AtomicUsize>,
    leased: Arc<AtomicUsize>,
}

impl Counting {
    fn builder(&self) -> InboxBuilder {
        Inbox::builder(Overridden(self.clone())).model(CAPTIONS, captions())
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Overrides for Counting {
    fn inner(&self) -> &dyn Archive {
        &self.archive
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        let (claiming, leased) = (self.archive.claim(claim), self.leased.clone());
        Box::pin(async move {
            let claimed = claiming.await?;
            leased.fetch_add(claimed.leases.len(), Ordering::SeqCst);
            Ok(claimed)
        })
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.archive.get(id)
    }

    fn scan(&self, _: Query) -> Entries {
        panic!("the archive is scanned")
    }

    fn ledger(&self, _: Query) -> Entries<LedgerEntry> {
        panic!("the ledger is read")
    }
}

#[tokio::test(start_paused = true)]
async fn workers_do_not_read_the_ledger_and_each_body_once() {
    let (archive, script) = (Counting::default(), Script::new(|_| Reply::Status(200)));
    let before = archive.builder().background(Workers::new(1)).build().unwrap();
    for job in 0..50 {
        let service = before.layer().layer(script.service());
        assert_eq!(send(service, signed(caption(&job.to_string()))).await.status, 202);
    }
    let inbox = archive.builder().background(Workers::new(3)).build().unwrap();
    inbox.start_workers(script.service()).unwrap();
    inbox.wait_idle().await;
    tokio::time::sleep(3600 * SECOND).await;
    inbox.shutdown(SECOND).await;
    assert_eq!(script.runs().len(), 50);
    assert_eq!(archive.reads(), 50);
}

#[tokio::test(start_paused = true)]
async fn slow_inline_deliveries_are_not_read_by_workers() {
    let (archive, script) = (Counting::default(), Script::new(|_| Reply::After(110 * SECOND, 200)));
    let inbox = archive.builder().answer_within(SECOND).build().unwrap();
    inbox.start_workers(script.service()).unwrap();
    let sending: Vec<_> = (0..20)
        .map(|job| {
            let service = inbox.layer().layer(script.service());
            tokio::spawn(send(service, signed(caption(&job.to_string()))))
        })
        .collect();
    for one in sending {
        assert_eq!(one.await.unwrap().status, 202);
    }
    tokio::time::sleep(105 * SECOND).await;
    assert_eq!(archive.leased.load(Ordering::SeqCst), 0);
    inbox.wait_idle().await;
    assert_eq!(script.runs().len(), 20);
    assert_eq!(archive.reads(), 0, "each is processed by its request");
}

#[tokio::test(start_paused = true)]
async fn version_of_an_inference_is_read_at_most_twice_while_another_one_runs() {
    const VERSIONS: usize = 300;
    let (archive, script) = (Counting::default(), Script::new(|_| Reply::After(200 * SECOND, 200)));
    let inbox = archive.builder().background(Workers::new(2)).build().unwrap();
    inbox.start_workers(script.service()).unwrap();
    for version in 0..VERSIONS {
        let service = inbox.layer().layer(script.service());
        let body = caption("1") + &" ".repeat(version);
        assert_eq!(send(service, signed(body)).await.status, 202);
        tokio::time::sleep(SECOND / 100).await;
    }
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(script.runs().len(), 1, "one version at a time");
    assert!(archive.reads() <= VERSIONS, "{} reads", archive.reads());
    inbox.wait_idle().await;
    let runs = script.runs();
    assert_eq!(runs.len(), VERSIONS);
    for pair in runs.windows(2) {
        let wait = pair[1].at - pair[0].at;
        assert!(wait >= 200 * SECOND && wait < 201 * SECOND, "the next starts at once: {wait:?}");
    }
    assert!(archive.reads() <= 2 * VERSIONS, "{} reads", archive.reads());
    assert!(archive.leased.load(Ordering::SeqCst) <= 2 * VERSIONS);
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), VERSIONS as u64);
}

#[tokio::test(start_paused = true)]
async fn other_inferences_run_while_versions_of_one_wait() {
    let script = Script::new(|run| match run.job.as_str() {
        "slow" => Reply::After(200 * SECOND, 200),
        _ => Reply::After(SECOND, 200),
    });
    let inbox = Counting::default().builder().background(Workers::new(2)).build().unwrap();
    inbox.start_workers(script.service()).unwrap();
    for version in 0..20 {
        let service = inbox.layer().layer(script.service());
        send(service, signed(caption("slow") + &" ".repeat(version))).await;
    }
    for job in ["1", "2", "3"] {
        let service = inbox.layer().layer(script.service());
        send(service, signed(caption(job))).await;
    }
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(script.jobs(), ["slow", "1", "2", "3"]);
}
