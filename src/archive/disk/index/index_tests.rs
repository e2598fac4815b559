use std::time::{Duration, SystemTime};

use super::*;
use crate::archive::Claim;
use crate::{
    archive::disk::warc::Salt,
    delivery::{Digest, InferenceKey, Outcome, StateKind},
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
        index.insert(&meta, place, false);
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
    index.insert(&meta, Place { segment, offset: 0, length: 1 }, false);
    let of = |key| InferenceDigest::of(&meta.model, &InferenceKey::new(key), meta.digest);
    for key in ["a", "b"] {
        let state = Outcome::processed(200).with_inference(Some(of(key))).into();
        index.set_state(meta.id, &state);
        assert_eq!(index.processed_as(of(key).id()), [(meta.id, state)]);
    }
    assert_eq!(index.processed_as(of("a").id()), []);
    let dead = State::from(Outcome::dead("of old age").with_inference(Some(of("b"))));
    index.set_state(meta.id, &dead);
    assert_eq!(index.processed_as(of("b").id()), []);
    assert_eq!(index.get(meta.id).unwrap().state(), dead);
    index.set_state(meta.id, &State::NEW);
    assert!(index.inferences.is_empty());
}

#[test]
fn questions_are_asked_of_the_positions_that_are_named() {
    let segment = segment();
    let mut index = Index::default();
    let all: Vec<_> = (0..3).map(|_| meta(SystemTime::now())).collect();
    for meta in &all {
        index.insert(meta, Place { segment, offset: 0, length: 1 }, false);
        index.set_state(meta.id, &Outcome::processed(200).into());
    }
    let ids = |positions: std::ops::Range<usize>| {
        let query = crate::archive::Query::all();
        let selected = index.selected(positions.clone(), &query);
        let selected: Vec<_> = selected.map(|entry| entry.id).collect();
        assert_eq!(index.selected_in(segment, positions, &query.finished()), selected);
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
        index.insert(meta, Place { segment, offset: 0, length: 1 }, false);
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

#[test]
fn counts_follow_states_and_bodies() {
    let (segment, other) = (segment(), segment());
    let mut index = Index::default();
    let meta = meta(SystemTime::now());
    let count = |index: &Index, kind| index.counts().of(&meta.model, kind);
    index.insert(&meta, Place { segment, offset: 0, length: 1 }, true);
    assert_eq!(count(&index, StateKind::Leased), 1);
    assert_eq!(index.counts().oldest_unsettled(), Some(meta.received_at));
    index.insert(&meta, Place { segment: other, offset: 0, length: 1 }, true);
    assert_eq!(count(&index, StateKind::Leased), 1, "its batch was written twice");
    index.set_state(meta.id, &Outcome::dead("404").into());
    assert_eq!([StateKind::Leased, StateKind::Dead].map(|kind| count(&index, kind)), [0, 1]);
    index.give_up(meta.id);
    assert_eq!(index.counts().iter().count(), 0);
    assert_eq!(index.left_over()[&meta.id].len(), 2);
    index.set_state(meta.id, &Outcome::processed(200).into());
    assert_eq!(index.counts().iter().count(), 0, "it has no body");
}

#[test]
fn latest_delivery_with_a_fingerprint_is_the_first_of_repeats() {
    let segment = segment();
    let mut index = Index::default();
    let (old, new) = (meta(SystemTime::now()), meta(SystemTime::now()));
    let new = DeliveryMeta { fingerprint: old.fingerprint, ..new };
    for meta in [&old, &new] {
        index.insert(meta, Place { segment, offset: 0, length: 1 }, false);
    }
    assert_eq!(index.first(old.fingerprint).unwrap().id, new.id);
}

#[test]
fn after_opening_what_was_leased_has_crashed_and_failed_waits() {
    let segment = segment();
    let mut index = Index::default();
    let (now, time) = (tokio::time::Instant::now(), SystemTime::now());
    let second = Duration::from_secs(1);
    let cases = [
        (State::NEW, State::NEW, 0),
        (State::NEW.leased(), State::NEW.leased().crashed(), 1),
        (State::Leased { attempts: 2, crashes: 1 }, State::Pending { attempts: 2, crashes: 2 }, 2),
        (Outcome::failed("x").due_at(time + 9 * second).into(), State::NEW, 9),
        (Outcome::failed("x").into(), Outcome::failed("x").into(), 0),
    ];
    for (found, opened, wait) in cases {
        let meta = meta(time);
        index.insert(&meta, Place { segment, offset: 0, length: 1 }, false);
        index.set_state(meta.id, &found);
        assert_eq!(index.queue_all(now, time), []);
        if found.kind() != StateKind::Failed {
            assert_eq!(index.get(meta.id).unwrap().state(), opened);
        }
        let claim = Claim::new(vec![(meta.model.clone(), 9)], 9).suspects(9);
        let selected = |after| index.select(&claim, now + after, |_| false).ids.len();
        let wait = wait * second;
        assert_eq!(selected(wait + second), 1, "{found}");
        let early = wait.saturating_sub(Duration::from_millis(1));
        assert_eq!(selected(early), usize::from(wait.is_zero()), "{found}");
        index.put_back(meta.id, &Outcome::processed(200).into(), now);
    }
    let meta = meta(time);
    index.insert(&meta, Place { segment, offset: 0, length: 1 }, false);
    index.set_state(meta.id, &State::Leased { attempts: 3, crashes: 2 });
    let poisoned = index.queue_all(now, time);
    assert_eq!(poisoned.len(), 1);
    assert_eq!(index.get(meta.id).unwrap().kind(), StateKind::Dead);
}

#[test]
fn positions_end_at_two_to_the_32_and_do_not_wrap_around() {
    let most = usize::try_from(u32::MAX).unwrap();
    let index = Index::default();
    assert!(index.has_room_for(most));
    assert!(!index.has_room_for(most + 1) && !index.has_room_for(usize::MAX));
    let mut index = index.limited_to(2);
    let place = Place { segment: segment(), offset: 0, length: 1 };
    let all = [(); 3].map(|()| meta(SystemTime::now()));
    for (one, fits) in all.iter().zip([true, true, false]) {
        index.insert(one, place, false);
        assert_eq!((index.get(one.id).is_some(), index.check_complete().is_ok()), (fits, fits));
    }
    // Forgetting gives no position back.
    index.give_up(all[0].id);
    index.dropped(all[0].id, place.segment);
    assert_eq!(index.forget([all[0].id]), 1);
    assert!(!index.has_room_for(1));
}
