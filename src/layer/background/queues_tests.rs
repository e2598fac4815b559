use std::time::Duration;

use super::{
    Job,
    limits::Limits,
    queues::{Next, Queues},
};
use crate::delivery::{DeliveryId, ModelName};
use tokio::time::Instant;

fn queues(all: usize) -> Queues {
    Queues::new(Limits { all, each_model: None, waiting: 5 })
}

fn job(model: &str) -> Job {
    let model: ModelName = model.parse().unwrap();
    Job::new(DeliveryId::new(), model)
}

/// As many models as most of these tests have.
const MODELS: usize = 2;

fn taken(queues: &mut Queues, now: Instant) -> Job {
    match queues.take(now, MODELS) {
        Next::Job(job, _) => job,
        Next::Wait(until) => panic!("nothing to take until {until:?}"),
    }
}

#[test]
fn what_is_due_first_comes_first_and_nothing_comes_early() {
    let (mut queues, now) = (queues(9), Instant::now());
    let (late, soon, later) = (job("/m"), job("/m"), job("/m"));
    queues.push(late.clone(), now + Duration::from_secs(2));
    queues.push(soon.clone(), now);
    queues.push(later.clone(), now + Duration::from_secs(2));
    assert_eq!(taken(&mut queues, now), soon);
    assert_eq!(queues.take(now, MODELS), Next::Wait(Some(now + Duration::from_secs(2))));
    let then = now + Duration::from_secs(2);
    assert_eq!([taken(&mut queues, then), taken(&mut queues, then)], [late, later]);
    assert_eq!(queues.take(then, MODELS), Next::Wait(None));
}

#[test]
fn models_take_turns_and_one_alone_cannot_take_all_workers() {
    let (mut queues, now) = (queues(3), Instant::now());
    for _ in 0..5 {
        queues.push(job("/busy"), now);
    }
    queues.push(job("/calm"), now);
    let models: Vec<_> = (0..3).map(|_| taken(&mut queues, now).model.to_string()).collect();
    assert_eq!(models, ["/busy", "/calm", "/busy"]);
    assert_eq!(queues.take(now, MODELS), Next::Wait(None), "all three workers are busy");
}

#[test]
fn a_failing_model_leaves_room_for_the_others() {
    let (mut queues, now) = (queues(3), Instant::now());
    for _ in 0..5 {
        queues.push(job("/hangs"), now);
    }
    queues.push(job("/later"), now + Duration::from_secs(1));
    let hanging = [taken(&mut queues, now), taken(&mut queues, now)];
    assert!(matches!(queues.take(now, MODELS), Next::Wait(Some(_))), "the third is not for /hangs");
    assert_eq!(taken(&mut queues, now + Duration::from_secs(1)).model.as_str(), "/later");
    queues.done(&hanging[0]);
    assert_eq!(taken(&mut queues, now).model.as_str(), "/hangs");
}

#[test]
fn a_paused_model_waits_and_the_others_go_on() {
    let (mut queues, now) = (queues(3), Instant::now());
    let (a, b) = (job("/a"), job("/b"));
    queues.push(a.clone(), now);
    queues.push(b.clone(), now);
    queues.set_paused(&a.model, true);
    assert_eq!(taken(&mut queues, now), b);
    assert_eq!(queues.take(now, MODELS), Next::Wait(None));
    queues.set_paused(&a.model, false);
    assert_eq!(taken(&mut queues, now), a);
}

#[test]
fn only_the_last_ticket_of_a_delivery_counts() {
    let (mut queues, now) = (queues(3), Instant::now());
    let (one, other) = (job("/m"), job("/m"));
    queues.push(one.clone(), now);
    queues.push(one.clone(), now);
    queues.push(other.clone(), now);
    queues.forget(other.id);
    assert_eq!(taken(&mut queues, now), one);
    assert_eq!(queues.take(now, MODELS), Next::Wait(None));
    assert!(queues.knows(one.id) && !queues.knows(other.id));
    queues.forget(one.id);
    assert_eq!(queues.len(), 0);
}

#[test]
fn of_those_that_may_take_the_process_down_one_is_handled_at_a_time() {
    let (mut queues, now) = (queues(3), Instant::now());
    let suspect = |model| Job { suspect: true, ..job(model) };
    let (first, second, other) = (suspect("/a"), suspect("/b"), job("/c"));
    for job in [&first, &second, &other] {
        queues.push(job.clone(), now);
    }
    assert_eq!([taken(&mut queues, now), taken(&mut queues, now)], [first.clone(), other]);
    assert_eq!(queues.take(now, MODELS), Next::Wait(None));
    queues.done(&first);
    assert_eq!(taken(&mut queues, now), second);
}

#[test]
fn one_that_may_take_the_process_down_keeps_back_no_others_of_its_model() {
    let (mut queues, now) = (queues(4), Instant::now());
    let suspect = |model| Job { suspect: true, ..job(model) };
    let (first, second, other) = (suspect("/a"), suspect("/b"), job("/b"));
    for job in [&first, &second, &other] {
        queues.push(job.clone(), now);
    }
    assert_eq!([taken(&mut queues, now), taken(&mut queues, now)], [first.clone(), other]);
    queues.done(&first);
    assert_eq!(taken(&mut queues, now), second);
}

#[test]
fn a_worker_is_kept_for_a_model_that_has_nothing_to_do_yet() {
    let (mut queues, now) = (queues(3), Instant::now());
    for _ in 0..5 {
        queues.push(job("/hangs"), now);
    }
    let paused = "/paused".parse().unwrap();
    queues.set_paused(&paused, true);
    let take = |queues: &mut Queues| queues.take(now, 3);
    assert!(matches!(take(&mut queues), Next::Job(..)));
    assert!(matches!(take(&mut queues), Next::Job(..)), "none is kept for the paused one");
    assert_eq!(take(&mut queues), Next::Wait(None));
    queues.push(job("/calm"), now);
    assert!(matches!(take(&mut queues), Next::Job(job, _) if job.model.as_str() == "/calm"));
}

#[test]
fn it_is_known_when_each_is_due_also_while_it_is_handled() {
    let (mut queues, now) = (queues(3), Instant::now());
    let (one, later) = (job("/m"), now + Duration::from_secs(1));
    assert_eq!(queues.due(one.id), None);
    queues.push(one.clone(), later);
    assert_eq!(queues.due(one.id), Some(later));
    queues.push(one.clone(), now);
    assert_eq!(taken(&mut queues, now), one);
    assert_eq!(queues.due(one.id), Some(now));
    assert_eq!(queues.take(later, MODELS), Next::Wait(None), "the ticket for later does not count");
}

#[test]
fn of_each_model_only_so_many_wait_and_what_is_due_last_is_left_to_the_archive() {
    let (mut queues, now) = (queues(9), Instant::now());
    let later = |seconds| now + Duration::from_secs(seconds);
    let jobs: Vec<_> = (0..6).map(|_| job("/busy")).collect();
    for (job, seconds) in jobs.iter().zip([9, 1, 2, 3, 4, 0]) {
        assert!(!queues.has_spilled());
        queues.push(job.clone(), later(seconds));
    }
    queues.push(job("/calm"), now);
    assert!(queues.has_spilled() && !queues.wants_more());
    assert!(!queues.knows(jobs[0].id), "the one that is due last");
    assert_eq!(queues.len(), 6);
    for _ in 0..3 {
        taken(&mut queues, later(5));
        assert!(!queues.wants_more());
    }
    taken(&mut queues, later(5));
    assert!(queues.wants_more(), "half of the room is free");
    queues.refill();
    assert!(!queues.has_spilled());
}

#[test]
fn what_is_parked_comes_when_it_is_woken_and_not_when_something_else_was_said_since() {
    let (mut queues, now) = (queues(3), Instant::now());
    let (one, other) = (job("/m"), job("/m"));
    for job in [&one, &other] {
        queues.push(job.clone(), now);
        queues.park(job.clone(), now);
    }
    assert_eq!(queues.take(now, MODELS), Next::Wait(None));
    assert_eq!((queues.len(), queues.due(one.id)), (2, Some(now)), "nobody else takes it up");
    let later = now + Duration::from_secs(9);
    queues.push(other.clone(), later);
    queues.wake(other.clone(), now);
    queues.wake(one.clone(), now);
    assert_eq!(taken(&mut queues, now), one);
    assert_eq!(queues.take(now, MODELS), Next::Wait(Some(later)));
    queues.forget(other.id);
    queues.wake(other, now);
    assert_eq!(queues.take(later, MODELS), Next::Wait(None));
}

#[test]
fn a_ticket_counts_until_there_is_another_or_the_delivery_is_settled() {
    let (mut queues, now) = (queues(3), Instant::now());
    let one = job("/m");
    queues.push(one.clone(), now);
    let Next::Job(_, number) = queues.take(now, MODELS) else { panic!("it is due") };
    assert!(queues.counts(one.id, number));
    queues.push(one.clone(), now + Duration::from_secs(9));
    assert!(!queues.counts(one.id, number));
    queues.forget(one.id);
    assert!(!queues.counts(one.id, number + 1));
}
