//! Gauges of unknown values are NaN until the values are available again.

use std::{
    future::{pending, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower::Layer;
use tower_inbox::{
    Archive, Counts, Inbox, MemoryArchive,
    archive::{ArchiveError, ArchiveHealth, StorageUsage, Work},
};

use crate::{
    promtool::samples,
    runs::by_text,
    support::*,
    wrapper::{Overridden, Overrides},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answers {
    #[default]
    All,
    Errors,
    None,
}

/// An archive whose queries for its own state succeed, fail or hang.
#[derive(Clone, Debug, Default)]
struct Questioned {
    inner: MemoryArchive,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<AtomicUsize>,
}

impl Questioned {
    fn answer<T: Send + 'static>(&self, answer: Work<T>) -> Work<T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match *self.answers.lock().unwrap() {
            Answers::All => answer,
            Answers::Errors => {
                Box::pin(ready(Err(ArchiveError::Unavailable("by the test".into()))))
            }
            Answers::None => Box::pin(pending()),
        }
    }

    fn set(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }
}

impl Overrides for Questioned {
    fn inner(&self) -> &dyn Archive {
        &self.inner
    }

    fn counts(&self) -> Work<Counts> {
        self.answer(self.inner.counts())
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        self.answer(Box::pin(ready(Ok(Some(StorageUsage::new(7, 9))))))
    }

    fn health(&self) -> Work<ArchiveHealth> {
        self.answer(self.inner.health())
    }
}

/// Runs `work` in paused time, with its own exporter.
fn run(work: impl AsyncFnOnce(&PrometheusHandle, Questioned, Inbox)) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let exporter = recorder.handle();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    let work = async {
        let archive = Questioned::default();
        let inbox = inbox(Overridden(archive.clone()));
        let service = inbox.layer().layer(by_text());
        send(service, signed(caption("rejected"))).await;
        inbox.settled().await;
        inbox.start_workers(by_text()).unwrap();
        work(&exporter, archive, inbox).await;
    };
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
}

/// Returns the values of all archive gauges after the next update.
async fn gauges(exporter: &PrometheusHandle) -> Vec<(String, String)> {
    tokio::time::sleep(Duration::from_secs(20)).await;
    let is_gauge = |name: &str| {
        ["inbox_archive_", "inbox_unsettled", "inbox_oldest", "inbox_dead", "inbox_undecodable"]
            .iter()
            .any(|prefix| name.starts_with(prefix) && !name.contains("_total"))
    };
    let mut gauges = samples(&exporter.render());
    gauges.retain(|(name, _)| is_gauge(name));
    gauges
}

fn value(gauges: &[(String, String)], name: &str) -> String {
    let found = gauges.iter().find(|(series, _)| series.starts_with(name));
    found.unwrap_or_else(|| panic!("no {name}: {gauges:?}")).1.clone()
}

fn assert_known(gauges: &[(String, String)]) {
    for (name, expected) in [
        ("inbox_archive_size_bytes", "7"),
        ("inbox_archive_free_bytes", "9"),
        ("inbox_archive_writable", "1"),
        ("inbox_archive_damaged_places", "NaN"),
        ("inbox_archive_missing_segments", "NaN"),
        ("inbox_archive_maintenance_failed", "NaN"),
        ("inbox_archive_maintenance_timestamp_seconds", "NaN"),
        ("inbox_unsettled_deliveries", "0"),
        ("inbox_oldest_unsettled_age_seconds", "0"),
        ("inbox_dead_deliveries", "1"),
        ("inbox_undecodable_deliveries", "0"),
    ] {
        assert_eq!(value(gauges, name), expected, "{name}");
    }
}

fn assert_unknown(gauges: &[(String, String)]) {
    assert!(gauges.len() >= 11, "{gauges:?}");
    assert!(gauges.iter().all(|(_, value)| value == "NaN"), "{gauges:?}");
}

#[test]
fn gauges_are_nan_while_the_archive_returns_errors() {
    run(async |exporter, archive, _inbox| {
        assert_known(&gauges(exporter).await);
        archive.set(Answers::Errors);
        assert_unknown(&gauges(exporter).await);
        archive.set(Answers::All);
        assert_known(&gauges(exporter).await);
    });
}

#[test]
fn gauges_are_nan_while_the_archive_hangs_and_no_question_is_asked_twice() {
    run(async |exporter, archive, _inbox| {
        assert_known(&gauges(exporter).await);
        archive.set(Answers::None);
        assert_unknown(&gauges(exporter).await);
        let asked = archive.asked.load(Ordering::Relaxed);
        assert_unknown(&gauges(exporter).await);
        assert_eq!(archive.asked.load(Ordering::Relaxed), asked);
    });
}

#[test]
fn gauges_are_nan_once_the_workers_have_stopped() {
    run(async |exporter, _archive, inbox| {
        assert_known(&gauges(exporter).await);
        inbox.shutdown(Duration::ZERO).await;
        assert_unknown(&gauges(exporter).await);
    });
}
