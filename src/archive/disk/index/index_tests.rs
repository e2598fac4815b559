use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{
    archive::disk::warc::Salt,
    delivery::{Digest, InferenceKey},
};

fn segment() -> SegmentName {
    SegmentName { sequence: 1, salt: Salt::random() }
}

fn meta(received_at: SystemTime) -> DeliveryMeta {
    let model = "/m".parse().unwrap();
    let id = DeliveryId::new();
    let digest = Digest::of(id.as_bytes());
    DeliveryMeta { id, fingerprint: Fingerprint::from_archive(digest), model, digest, received_at }
}

#[test]
fn what_does_not_fit_into_a_record_reads_back_too() {
    let segment = segment();
    let now = SystemTime::now();
    let mut index = Index::default();
    let four_gib = 1 << 32;
    for (offset, length, received_at) in [
        (7, 8, now),
        (four_gib - 1, 8, now),
        (four_gib, 8, now - Duration::from_hours(1)),
        (7, four_gib, now + Duration::from_hours(1)),
    ] {
        let (meta, place) = (meta(received_at), Place { segment, offset, length });
        index.insert(&meta, place);
        let kept = index.get(meta.id).unwrap();
        assert_eq!((kept.place, kept.received_at), (Some(place), received_at));
    }
    assert_eq!((index.far.len(), index.other_times.len()), (3, 2));
}

#[test]
fn what_was_processed_as_another_inference_is_known_as_that_one_alone() {
    let segment = segment();
    let mut index = Index::default();
    let meta = meta(SystemTime::now());
    index.insert(&meta, Place { segment, offset: 0, length: 1 });
    let of = |key| InferenceDigest::of(&meta.model, &InferenceKey::new(key), meta.digest);
    for key in ["a", "b"] {
        let outcome = Outcome::Processed { status: 200, inference: Some(of(key)) };
        index.settle(meta.id, &outcome);
        assert_eq!(index.processed_as(of(key)), Some((meta.id, outcome)));
    }
    assert_eq!(index.processed_as(of("a")), None);
    index.settle(meta.id, &Outcome::dead("of old age"));
    assert_eq!(index.processed_as(of("b")), None);
}

#[test]
fn questions_are_asked_of_the_positions_that_are_named() {
    let segment = segment();
    let mut index = Index::default();
    let all: Vec<_> = (0..3).map(|_| meta(SystemTime::now())).collect();
    for meta in &all {
        index.insert(meta, Place { segment, offset: 0, length: 1 });
        index.settle(meta.id, &Outcome::processed(200));
    }
    let ids = |positions: std::ops::Range<usize>| {
        let selected = index.selected(positions.clone(), &crate::archive::Query::all());
        let selected: Vec<_> = selected.into_iter().map(|(id, _)| id).collect();
        assert_eq!(index.settled_in(positions.clone(), segment), selected);
        assert_eq!(index.others_in(positions, segment, &HashSet::new()), !selected.is_empty());
        selected
    };
    assert_eq!(ids(0..1), [all[0].id]);
    assert_eq!(ids(1..9), [all[1].id, all[2].id]);
    assert_eq!(ids(3..9), []);
}

#[test]
fn only_what_is_forgotten_counts_as_forgotten() {
    let [segment, other] = [(); 2].map(|()| segment());
    let mut index = Index::default();
    let (here, twice) = (meta(SystemTime::now()), meta(SystemTime::now()));
    for (meta, segment) in [(&here, segment), (&twice, segment), (&twice, other)] {
        index.insert(meta, Place { segment, offset: 0, length: 1 });
    }
    let ids = [here.id, twice.id, here.id];
    assert_eq!(index.forget(ids), 0, "they are there");
    for id in ids {
        index.dropped(id, segment);
    }
    assert_eq!(index.forget(ids), 1, "of one there is a copy");
    index.dropped(twice.id, other);
    assert_eq!((index.forget(ids), index.len()), (1, 0));
}
