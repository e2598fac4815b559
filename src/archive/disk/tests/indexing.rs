//! Index files remove settled deliveries from memory, and all lookups return the same results.

use std::{path::Path, time::Duration};

use super::{append, delivery};
use crate::{
    archive::{Acquire, Archive, DiskArchive, DiskArchiveBuilder, Query, disk::index::Index},
    delivery::{Delivery, DeliveryId, InferenceDigest, InferenceKey, Outcome, State, StateKind},
};

fn builder(path: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(path).segment_size(10_000).maintenance_interval(None)
}

fn in_memory(archive: &DiskArchive) -> usize {
    archive.compactor().unwrap().read(Index::entries_in_memory)
}

fn inference(of: &Delivery) -> InferenceDigest {
    let key = InferenceKey::new(String::from_utf8_lossy(of.body()));
    InferenceDigest::of(of.model(), &key, of.digest())
}

async fn settle(archive: &DiskArchive, id: DeliveryId, outcome: Outcome) {
    let lease = archive.acquire(Acquire::new(id)).await.unwrap().lease.unwrap();
    archive.settle(lease, outcome, Duration::ZERO).await.unwrap();
}

/// Sixty deliveries in several segments: of every ten, the first is dead, the second failed, the third pending. The
/// second half of the outcomes is recorded after all deliveries are stored, in later segments than their deliveries.
async fn filled(archive: &DiskArchive) -> Vec<Delivery> {
    let all: Vec<_> = (0..60).map(|it| delivery("/m", format!("{it}").as_bytes())).collect();
    for (number, one) in all.iter().enumerate() {
        let _ = append(archive, one).await.unwrap();
        if number % 2 == 0 {
            settle_one(archive, number, one).await;
        }
    }
    for (number, one) in all.iter().enumerate().filter(|(number, _)| number % 2 == 1) {
        settle_one(archive, number, one).await;
    }
    all
}

async fn settle_one(archive: &DiskArchive, number: usize, one: &Delivery) {
    if let State::Outcome(outcome) = expected(number, one) {
        settle(archive, one.id(), outcome).await;
    }
}

fn expected(number: usize, one: &Delivery) -> State {
    match number % 10 {
        0 => Outcome::dead("the handler answered 422").into(),
        1 => Outcome::failed("the handler answered 503").into(),
        2 => State::NEW,
        _ => Outcome::processed(200).with_inference(Some(inference(one))).into(),
    }
}

async fn assert_all(archive: &DiskArchive, all: &[Delivery]) {
    for (number, one) in all.iter().enumerate() {
        let found = archive.get(one.id()).await.unwrap().unwrap();
        assert_eq!((&found.delivery, found.state), (one, expected(number, one)), "{number}");
    }
    let count = |kind| async move {
        let mut entries = archive.ledger(Query::all().state(kind));
        let mut count = 0;
        while let Some(entry) = entries.next().await {
            entry.unwrap();
            count += 1;
        }
        assert_eq!(archive.counts().await.unwrap().of_all(kind), count, "{kind:?}");
        count
    };
    assert_eq!(count(StateKind::Dead).await, 6);
    assert_eq!(count(StateKind::Failed).await, 6);
    assert_eq!(count(StateKind::Pending).await, 6);
    assert_eq!(count(StateKind::Processed).await, 42);
}

#[tokio::test]
async fn settled_deliveries_leave_memory_for_index_files_and_are_found_there() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).segment_age(Duration::ZERO).open().await.unwrap();
    let all = filled(&archive).await;
    assert_eq!(in_memory(&archive), 60);
    archive.maintain_now().await.unwrap();
    assert_eq!(in_memory(&archive), 12, "those that are failed or pending");
    assert_all(&archive, &all).await;
    for one in &all {
        let again = one.clone().with_id(DeliveryId::new());
        assert_eq!(append(&archive, &again).await.unwrap().id(), one.id(), "it is a repeat");
        archive.retry(Query::all().id(again.id())).await.unwrap();
    }
    let compactor = archive.compactor().unwrap();
    for one in all.iter().skip(3).take(7) {
        let processed = compactor.read(|index| index.processed_as(inference(one).id())).unwrap();
        assert_eq!(processed.first().unwrap().0, one.id());
    }
}

#[tokio::test]
async fn opening_loads_only_unsettled_deliveries_into_memory() {
    for seals in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let age = if seals { Duration::ZERO } else { Duration::from_secs(9999 * 24 * 60 * 60) };
        let archive = builder(dir.path()).segment_age(age).open().await.unwrap();
        let all = filled(&archive).await;
        archive.maintain_now().await.unwrap();
        archive.close().await;
        let archive = builder(dir.path()).open().await.unwrap();
        // If the last segment is not sealed, its entries are in memory too.
        let most = if seals { 12 } else { 30 };
        assert!((12..=most).contains(&in_memory(&archive)), "{}", in_memory(&archive));
        assert_all(&archive, &all).await;
        assert_all(&DiskArchive::read_only(dir.path()).await.unwrap(), &all).await;
    }
}

#[tokio::test]
async fn change_of_a_settled_delivery_survives_reopening_with_and_without_another_index_file() {
    for maintenance in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let open = || builder(dir.path()).segment_age(Duration::ZERO).open();
        let archive = open().await.unwrap();
        let all = filled(&archive).await;
        archive.maintain_now().await.unwrap();
        assert_eq!(archive.retry(Query::all().state(StateKind::Dead)).await.unwrap(), 6);
        settle(&archive, all[0].id(), Outcome::processed(204)).await;
        assert_eq!(archive.remove(Query::all().id(all[3].id())).await.unwrap(), 1);
        if maintenance {
            archive.maintain_now().await.unwrap();
        }
        archive.close().await;
        for archive in [DiskArchive::read_only(dir.path()).await.unwrap(), open().await.unwrap()] {
            let state = |number: usize| archive.state(all[number].id());
            assert_eq!(state(0).await.unwrap(), Some(Outcome::processed(204).into()));
            assert_eq!(state(10).await.unwrap(), Some(State::NEW));
            assert_eq!(state(3).await.unwrap(), Some(expected(3, &all[3])));
            assert!(archive.get(all[3].id()).await.unwrap().is_none());
            assert_eq!(archive.counts().await.unwrap().of_all(StateKind::Pending), 11);
            archive.close().await;
        }
    }
}

/// Compression moves the records of the second segment to offsets that the index file of the first one has passed.
#[tokio::test]
async fn state_in_a_later_segment_survives_its_compression() {
    let dir = tempfile::tempdir().unwrap();
    let open = || builder(dir.path()).segment_size(1 << 20).segment_age(Duration::ZERO);
    let archive = open().compress_after(Duration::ZERO).open().await.unwrap();
    let [one, other] = [b"1", b"2"].map(|body| delivery("/m", body));
    let _ = append(&archive, &one).await.unwrap();
    let _ = append(&archive, &other).await.unwrap();
    let lease = archive.acquire(Acquire::new(one.id())).await.unwrap().lease.unwrap();
    archive.maintain_now().await.unwrap();
    let _ = append(&archive, &delivery("/m", &vec![b'a'; 100_000])).await.unwrap();
    // The first segment gets an index file that includes the start of the second one.
    assert_eq!(archive.remove(Query::all().id(other.id())).await.unwrap(), 1);
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
    archive.maintain_now().await.unwrap();
    archive.close().await;
    let archive = open().open().await.unwrap();
    assert_eq!(archive.state(one.id()).await.unwrap(), Some(Outcome::processed(200).into()));
}

#[tokio::test]
async fn deliveries_without_index_files_are_found_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).segment_age(Duration::ZERO).open().await.unwrap();
    let all = filled(&archive).await;
    archive.maintain_now().await.unwrap();
    archive.close().await;
    let index_files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
        .collect();
    assert!(index_files.len() > 3);
    // The states of the deliveries in the segments without an index file are recorded in other segments.
    for path in index_files.iter().step_by(2) {
        std::fs::remove_file(path).unwrap();
    }
    let archive = builder(dir.path()).open().await.unwrap();
    assert_all(&archive, &all).await;
    archive.maintain_now().await.unwrap();
    assert_eq!(in_memory(&archive), 12);
    assert!(index_files.iter().all(|path| path.exists()), "they are written again");
}

#[tokio::test]
async fn damaged_index_file_is_an_error_with_its_path_and_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).segment_age(Duration::ZERO).open().await.unwrap();
    let all = filled(&archive).await;
    archive.maintain_now().await.unwrap();
    let settled = &all[3];
    let position = archive.compactor().unwrap().read(|index| index.locate(settled.id()));
    let path = position.unwrap().unwrap().segment.index_path(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    // The entries follow the first page, which is 40 bytes long.
    bytes[50] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = archive.get(settled.id()).await.unwrap_err();
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    archive.close().await;
    std::fs::remove_file(&path).unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    assert_all(&archive, &all).await;
}
