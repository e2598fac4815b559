//! An archive that cannot record outcomes for a while.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tower::Layer;
use tower_inbox::{
    Archive, MemoryArchive, Outcome,
    archive::{ArchiveError, Lease, Work},
};

use crate::{
    script::{Reply, Script},
    support::*,
    wrapper::{Overridden, Overrides},
};

/// Fails to settle `left` times.
#[derive(Clone, Debug)]
struct FailingSettles {
    archive: MemoryArchive,
    left: Arc<AtomicU32>,
}

impl Overrides for FailingSettles {
    fn inner(&self) -> &dyn Archive {
        &self.archive
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        let fail = |left: u32| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail) {
            Ok(_) => Box::pin(ready(Err(ArchiveError::Closed))),
            Err(_) => self.archive.settle(lease, outcome, retry_in),
        }
    }
}

/// Posts a delivery inline while its outcome cannot be recorded `failures` times. Returns the runs and the archive.
async fn post_with_failing_settles(failures: u32) -> (Script, MemoryArchive) {
    let (archive, script) = (memory(), Script::new(|_| Reply::Status(200)));
    let failing = FailingSettles { archive: archive.clone(), left: Arc::new(failures.into()) };
    let inbox = inbox(Overridden(failing));
    inbox.start_workers(script.service()).unwrap();
    let answer = send(inbox.layer().layer(script.service()), signed(caption("1"))).await;
    assert_eq!(answer.status, 200);
    tokio::time::sleep(Duration::from_mins(2)).await;
    inbox.settled().await;
    (script, archive)
}

#[tokio::test(start_paused = true)]
async fn handler_is_not_run_again_because_its_outcome_could_not_be_recorded_at_once() {
    let (script, archive) = post_with_failing_settles(3).await;
    assert_eq!(script.runs().len(), 1);
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

#[tokio::test(start_paused = true)]
async fn delivery_runs_again_if_its_outcome_could_not_be_recorded_at_all() {
    let (script, archive) = post_with_failing_settles(4).await;
    let attempts: Vec<_> = script.runs().iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, [1, 1], "the first attempt was released");
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}
