use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::{
    archive::disk::{
        format::entry::DeliveryMeta,
        tests::{a_place, delivery},
    },
    delivery::Delivery,
};

type Receiver<T> = oneshot::Receiver<Result<T, ArchiveError>>;

fn plan(commands: Vec<Command>, index: &Index) -> Plan {
    let mut plan = Plan::default();
    plan.add(commands, index);
    plan
}

fn append(delivery: &Delivery, leased: bool) -> (Command, Receiver<Appended>) {
    let (reply, answer) = oneshot::channel();
    let append = Append::new(delivery.clone());
    let append = if leased { append.leased_for(Duration::from_secs(60)) } else { append };
    (Command::Append { append, now: Instant::now(), reply }, answer)
}

/// Completes all commands that wait only for the disk, and applies their changes.
fn finish(plan: Plan, index: &mut Index) -> Vec<Command> {
    for (entry, change) in plan.batch.into_entries().into_iter().zip(plan.changes) {
        match (entry, change) {
            (Entry::Delivery { delivery, .. }, Change::Store { token, now }) => {
                index.store(&DeliveryMeta::of(&delivery), a_place(), token, now).unwrap();
            }
            (Entry::State { of, state }, Change::PutBack { due, .. }) => {
                index.put_back(of, &state, due).unwrap();
            }
            (Entry::State { of, state }, Change::Lease { token }) => {
                index.lease(of, &state, token).unwrap();
            }
            (Entry::Removal(ids), Change::Remove) => {
                for id in ids {
                    index.mark_removed(id).unwrap();
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let answers = plan.answers.into_iter().map(|(_, answer)| answer);
    answers.chain(plan.immediate).for_each(|answer| drop(answer.done()));
    plan.waiting
}

fn take<T>(answer: &mut Receiver<T>) -> T {
    answer.try_recv().unwrap().unwrap()
}

/// An index with one delivery in this state.
fn index_with(one: &Delivery, state: &State) -> Index {
    let mut index = Index::default();
    index.store(&DeliveryMeta::of(one), a_place(), None, Instant::now()).unwrap();
    index.put_back(one.id(), state, Instant::now()).unwrap();
    index
}

#[test]
fn second_of_two_equal_deliveries_in_a_batch_repeats_the_first() {
    let (first, second) = (delivery("/m", b"a"), delivery("/m", b"a"));
    let (one, mut first_answer) = append(&first, false);
    let (two, mut second_answer) = append(&second, false);
    let mut index = Index::default();
    let plan = plan(vec![one, two], &index);
    assert_eq!((plan.batch.entries().len(), plan.immediate.len()), (1, 0), "both wait for it");
    assert!(finish(plan, &mut index).is_empty());
    assert!(!take(&mut first_answer).receipt.is_repeat());
    let repeat = take(&mut second_answer);
    assert_eq!((repeat.receipt.id(), repeat.state), (first.id(), State::NEW));
}

#[test]
fn delivery_makes_one_transition_in_a_batch_and_the_rest_follows_in_order() {
    let (first, second, third) = (delivery("/m", b"a"), delivery("/m", b"a"), delivery("/m", b"a"));
    let (one, _first) = append(&first, false);
    let (two, mut leased) = append(&second, true);
    let (three, mut unchanged) = append(&third, false);
    let mut index = Index::default();
    let before = plan(vec![one, two, three], &index);
    assert_eq!((before.batch.entries().len(), before.waiting.len()), (1, 2));
    let waiting = finish(before, &mut index);
    let after = plan(waiting, &index);
    assert_eq!((after.batch.entries().len(), after.waiting.len()), (1, 0));
    finish(after, &mut index);
    let lease = take(&mut leased).lease.unwrap();
    assert_eq!((lease.id(), lease.attempt()), (first.id(), 1));
    assert_eq!(take(&mut unchanged).state, State::NEW.leased(), "it comes after the lease");
}

#[test]
fn id_is_given_once() {
    let taken = delivery("/m", b"a");
    let index = index_with(&taken, &State::NEW);
    let (command, mut answer) = append(&delivery("/m", b"b").with_id(taken.id()), false);
    let plan = plan(vec![command], &index);
    assert!(plan.batch.entries().is_empty());
    plan.immediate.into_iter().for_each(|answer| drop(answer.done()));
    assert!(matches!(answer.try_recv().unwrap(), Err(ArchiveError::Other(_))));
}

#[test]
fn removal_in_a_batch_is_ordered_with_repeats() {
    let (first, before, after) = (delivery("/m", b"a"), delivery("/m", b"a"), delivery("/m", b"a"));
    let mut index = index_with(&first, &State::NEW);
    let (one, mut before_answer) = append(&before, false);
    let (reply, mut removed) = oneshot::channel();
    let remove = Command::Remove { ids: vec![first.id()], query: Query::all(), reply };
    let (two, mut after_answer) = append(&after, false);
    finish(plan(vec![one, remove, two], &index), &mut index);
    assert_eq!(take(&mut before_answer).receipt.id(), first.id());
    assert_eq!(take(&mut removed), [first.id()]);
    assert!(!take(&mut after_answer).receipt.is_repeat(), "its bytes are about to be erased");
}

#[test]
fn removal_evaluates_its_query_when_it_is_decided() {
    let one = delivery("/m", b"a");
    let mut index = index_with(&one, &Outcome::dead("404").into());
    let (retry_reply, mut retried) = oneshot::channel();
    let (ids, now) = (vec![one.id()], Instant::now());
    let retry = Command::Retry { ids: ids.clone(), query: Query::all(), now, reply: retry_reply };
    let (reply, mut removed) = oneshot::channel();
    let remove = Command::Remove { ids, query: Query::all().settled(), reply };
    let waiting = finish(plan(vec![retry, remove], &index), &mut index);
    assert_eq!(take(&mut retried), 1);
    finish(plan(waiting, &index), &mut index);
    assert!(take(&mut removed).is_empty(), "it is pending by then");
}

#[test]
fn record_found_damaged_is_no_reason_to_call_a_delivery_a_repeat() {
    let (first, second) = (delivery("/m", b"a"), delivery("/m", b"a"));
    let mut index = Index::default();
    let place = a_place();
    index.store(&DeliveryMeta::of(&first), place, None, Instant::now()).unwrap();
    let (command, mut answer) = append(&second, false);
    let id = first.id();
    finish(plan(vec![Command::Unreadable { id, place }, command], &index), &mut index);
    assert!(!take(&mut answer).receipt.is_repeat());
}

#[test]
fn receiver_dropped_before_the_answer_releases_the_lease() {
    let (command, answer) = append(&delivery("/m", b"a"), true);
    drop(answer);
    let mut plan = plan(vec![command], &Index::default());
    let releases = plan.answers.remove(0).1.done();
    assert!(matches!(releases[..], [Command::Release { .. }]), "{releases:?}");
}
