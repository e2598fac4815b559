//! Archive failures: the responses to senders, and outcomes that cannot be recorded.

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
    Archive, DiskArchive, Inbox, MemoryArchive, Outcome,
    archive::{ArchiveError, Lease, Work},
    layer::Rejection,
    testing::{Fault, FaultyDisk},
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    script::{Reply, Script},
    *,
};

/// `settle` fails `left` times.
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
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;
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

#[tokio::test]
async fn full_or_read_only_disk_is_answered_503_until_writes_succeed_again() {
    for fault in [Fault::Full { room: 10 }, Fault::ReadOnly, Fault::Unsynced] {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        let archive = disk.open(DiskArchive::builder(directory.path())).await.unwrap();
        let inbox = inbox(archive);
        let seen = Seen::default();
        let service = inbox.layer().layer(handler(&seen));
        assert_eq!(send(service.clone(), signed(caption("1"))).await.status, 200);
        inbox.settled().await;
        disk.fail(fault);
        for _ in 0..2 {
            let refused = send(service.clone(), signed(caption("2"))).await;
            assert_problem(&refused, 503);
            assert_eq!(refused.headers["retry-after"], "5");
            assert!(matches!(refused.rejection, Some(Rejection::Archive(_))), "{fault:?}");
        }
        disk.heal();
        assert_eq!(send(service, signed(caption("2"))).await.status, 200, "{fault:?}");
        assert_eq!(seen.all(), ["1", "2"]);
        assert_eq!(bodies(&inbox).await, [caption("1"), caption("2")], "{fault:?}");
    }
}

#[tokio::test]
async fn disk_that_does_not_answer_is_answered_503_after_archive_timeout() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let archive = disk.open(DiskArchive::builder(directory.path())).await.unwrap();
    let builder = Inbox::builder(archive).model(CAPTIONS, captions());
    let inbox = builder.archive_timeout(Duration::from_millis(50)).build().unwrap();
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    disk.fail(Fault::HangingSync);
    let refused = send(service.clone(), signed(caption("1"))).await;
    assert_problem(&refused, 503);
    assert_eq!(refused.headers["retry-after"], "5");
    let Some(Rejection::Archive(error)) = &refused.rejection else { panic!("{refused:?}") };
    assert!(matches!(**error, ArchiveError::Unsure(_)), "{error}");
    assert!(disk.is_hanging(), "the request waited for the disk");
    disk.heal();
    // The delivery is or becomes durable anyway: the repeat is recognized, and the handler runs once.
    let accepted = send(service, signed(caption("1"))).await;
    assert_eq!(accepted.status, 200);
    assert_eq!(seen.all(), ["1"]);
    assert_eq!(bodies(&inbox).await, [caption("1")]);
}

#[tokio::test]
async fn failed_write_is_logged_by_the_archive_and_not_again_for_each_delivery() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let archive = disk.open(DiskArchive::builder(directory.path())).await.unwrap();
    let service = inbox(archive).layer().layer(handler(&Seen::default()));
    let log = Log::default();
    let _collecting = log.here();
    for fault in [Fault::ReadOnly, Fault::Unsynced] {
        disk.fail(fault);
        assert_eq!(send(service.clone(), signed(caption("1"))).await.status, 503);
    }
    let text = log.text();
    let loud = text.lines().filter(|line| line.contains("ERROR") || line.contains("WARN"));
    assert_eq!(loud.count(), 0, "{text}");
    assert!(text.contains("the delivery could not be archived"), "at debug: {text}");
}

#[tokio::test]
async fn free_space_below_the_limit_is_answered_503_until_there_is_space_again() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    disk.fail(Fault::Free { bytes: 1 << 20 });
    let builder = DiskArchive::builder(directory.path()).min_free_space(1 << 20);
    let inbox = inbox(disk.open(builder).await.unwrap());
    let seen = Seen::default();
    let service = inbox.layer().layer(handler(&seen));
    let refused = send(service.clone(), signed(caption("1"))).await;
    assert_problem(&refused, 503);
    assert_eq!(refused.headers["retry-after"], "5");
    assert!(matches!(refused.rejection, Some(Rejection::Archive(_))));
    disk.fail(Fault::Free { bytes: 2 << 20 });
    // A rejected append triggers another read of the free space, on another thread.
    let accepted = loop {
        let response = send(service.clone(), signed(caption("1"))).await;
        if response.status != 503 {
            break response;
        }
    };
    assert_eq!(accepted.status, 200);
    assert_eq!(seen.all(), ["1"]);
    assert_eq!(bodies(&inbox).await, [caption("1")]);
}
