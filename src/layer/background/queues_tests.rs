use std::time::Duration;

use super::{
    limits::Limits,
    queues::{Job, Next, Queues},
};
use crate::delivery::{DeliveryId, ModelName};
use tokio::time::Instant;

fn queues(all: usize) -> Queues {
    Queues::new(Limits { all, each_model: None })
}

fn job(model: &str) -> Job {
    let model: ModelName = model.parse().unwrap();
    Job::new(DeliveryId::new(), model)
}

/// As many models as most of these tests have.
const MODELS: usize = 2;

fn taken(queues: &mut Queues, now: Instant) -> Job {
    match queues.take(now, MODELS) {
        Next::Job(job) => job,
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
    assert!(matches!(take(&mut queues), Next::Job(_)));
    assert!(matches!(take(&mut queues), Next::Job(_)), "none is kept for the paused one");
    assert_eq!(take(&mut queues), Next::Wait(None));
    queues.push(job("/calm"), now);
    assert!(matches!(take(&mut queues), Next::Job(job) if job.model.as_str() == "/calm"));
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
