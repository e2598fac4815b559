//! Limits for unverified bodies: their share of the memory, and their minimum rate.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{sync::mpsc, task::JoinHandle};
use tower::{Layer, service_fn};
use tower_inbox::{
    Inbox,
    layer::{InboxBody, Rejection},
};

use crate::{
    rejections::{Parts, parts, unproved},
    support::*,
};

const OTHER: &str = "/hooks/other";

/// The budget in bytes. Unverified requests may use three quarters; one model may use half of that: 37,500.
const BUDGET: usize = 100_000;

fn two_models() -> Inbox {
    let inbox = Inbox::builder(memory()).model(CAPTIONS, captions()).model(OTHER, captions());
    inbox.bytes_in_flight(BUDGET).build().unwrap()
}

/// A caption of at least `bytes` bytes.
fn long_caption(job: &str, bytes: usize) -> String {
    format!("{}{}", caption(job), " ".repeat(bytes))
}

async fn post(inbox: &Inbox, path: &str, body: String) -> Answer {
    send(inbox.layer().layer(handler(&Seen::default())), signed_to(path, body)).await
}

/// Sends a part of a body to [`CAPTIONS`], and then stalls.
fn stall(inbox: &Inbox) -> (mpsc::UnboundedSender<&'static [u8]>, JoinHandle<Answer>) {
    let (sender, body) = parts();
    sender.send(&[b' '; 8000]).unwrap();
    let request = unproved().body(body).unwrap();
    let service = inbox.layer().layer(handler::<Parts>(&Seen::default()));
    (sender, tokio::spawn(send(service, request)))
}

#[tokio::test(start_paused = true)]
async fn stalled_unverified_bodies_of_one_model_do_not_stop_deliveries_of_another_model() {
    let inbox = two_models();
    let stalled: Vec<_> = (0..20).map(|_| stall(&inbox)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(inbox.bytes_in_flight() <= 37_500, "{}", inbox.bytes_in_flight());
    let same = post(&inbox, CAPTIONS, long_caption("1", 12_000)).await;
    assert_problem(&same, 503);
    assert!(matches!(same.rejection, Some(Rejection::Overloaded)));
    assert_eq!(post(&inbox, OTHER, long_caption("1", 12_000)).await.status, 200);
    // Admitted bodies are rejected after stalling for 10 s, which releases their share.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(inbox.bytes_in_flight(), 0);
    assert_eq!(post(&inbox, CAPTIONS, long_caption("1", 12_000)).await.status, 200);
    for (_sender, answer) in stalled {
        assert!([408, 503].contains(&answer.await.unwrap().status.as_u16()));
    }
}

#[tokio::test]
async fn verified_deliveries_in_their_handler_do_not_count_as_unverified() {
    let inbox = two_models();
    let (running, mut runs) = mpsc::unbounded_channel();
    let never = service_fn(move |_: Request<InboxBody<Full<Bytes>>>| {
        running.send(()).unwrap();
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    for job in ["1", "2", "3", "4"] {
        let service = inbox.layer().layer(never.clone());
        let request = signed(long_caption(job, 15_000));
        let answer = tokio::spawn(send(service, request));
        tokio::select! {
            Some(()) = runs.recv() => {}
            answer = answer => panic!("{job} is answered {}", answer.unwrap().status),
        }
    }
    assert!(inbox.bytes_in_flight() > 4 * 15_000, "more than the share of a model");
}

fn limited(rate: usize) -> Inbox {
    let model = captions().min_body_rate(rate).body_timeout(Duration::from_secs(30));
    Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap()
}

/// Returns the time in seconds after which a body that arrives at one `part` per second is rejected.
async fn rejected_after(inbox: &Inbox, part: &'static [u8]) -> (u64, Answer) {
    let (sender, body) = parts();
    let request = unproved().body(body.boxed_unsync()).unwrap();
    let service = inbox.layer().layer(handler(&Seen::default()));
    let began = tokio::time::Instant::now();
    let answer = tokio::spawn(async move { (send(service, request).await, began.elapsed()) });
    while !answer.is_finished() {
        let _ = sender.send(part);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (answer, elapsed) = answer.await.unwrap();
    assert_problem(&answer, 408);
    (elapsed.as_secs(), answer)
}

#[tokio::test(start_paused = true)]
async fn body_below_the_minimum_rate_is_answered_408_after_10_s() {
    for part in [&[][..], &[b' '; 90]] {
        let (seconds, answer) = rejected_after(&limited(100), part).await;
        assert_eq!(seconds, 10);
        let rejection = answer.rejection;
        assert!(matches!(rejection, Some(Rejection::BelowMinimumRate { rate: 100, .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_does_not_end_is_answered_408_after_its_deadline() {
    for (rate, part) in [(100, &[b' '; 110][..]), (0, &[])] {
        let (seconds, answer) = rejected_after(&limited(rate), part).await;
        assert_eq!(seconds, 30);
        assert!(matches!(answer.rejection, Some(Rejection::TooSlow { .. })));
    }
}
