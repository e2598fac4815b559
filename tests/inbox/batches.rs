//! Several deliveries are handled by one call. Time is paused.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::{sync::Notify, time::Instant};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_inbox::{
    Inbox, Inference, Workers,
    delivery::StateKind,
    layer::{Batch, BatchLayer, Disposition, EachStatus, Failure, InboxBody, ResponseBody},
    testing::Sample,
};

use crate::support::{
    script::{SECOND, dead_reason, inbox_with},
    *,
};

type Body = Full<Bytes>;

const WITHIN: Duration = Duration::from_millis(200);

/// The jobs of each batch that was handled.
#[derive(Clone, Default)]
struct Batches(Arc<Mutex<Vec<Vec<String>>>>);

impl Batches {
    fn sizes(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(Vec::len).collect()
    }

    fn jobs(&self) -> Vec<String> {
        let mut jobs = self.0.lock().unwrap().concat();
        jobs.sort();
        jobs
    }

    /// A handler of batches.
    fn handler(
        &self,
        respond: impl Fn(&Batch<Caption>) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> impl Handler<Body> {
        let batches = self.clone();
        service_fn(move |request: Request<InboxBody<Body>>| {
            let batch: &Batch<Caption> = request.extensions().get().unwrap();
            assert!(batch.attempts().all(|(_, attempt)| attempt.is_some()));
            let jobs = batch.iter().map(|caption| caption.job.clone()).collect();
            batches.0.lock().unwrap().push(jobs);
            let response = respond(batch);
            async move { Ok::<_, Infallible>(response) }
        })
    }
}

fn status(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Full::default()).unwrap()
}

fn batches_of(max: usize) -> BatchLayer<Caption> {
    BatchLayer::new(max, WITHIN)
}

/// Archives some deliveries in background mode, and starts 16 workers with a handler.
async fn handled<S>(jobs: &[&str], service: S) -> Inbox
where
    S: Service<Request<InboxBody<Body>>, Response = Response<ResponseBody>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let inbox = inbox_with(memory(), Workers::new(16));
    for job in jobs {
        let sent = send(inbox.layer().layer(service.clone()), signed(caption(job))).await;
        assert_eq!(sent.status, 202);
    }
    inbox.start_workers(service).unwrap();
    inbox
}

#[tokio::test(start_paused = true)]
async fn due_deliveries_of_a_model_are_handled_in_batches_of_at_most_max() {
    let batches = Batches::default();
    let service = batches_of(3).layer(batches.handler(|_| status(204)));
    let inbox = handled(&["1", "2", "3", "4", "5", "6", "7"], service).await;
    let start = Instant::now();
    inbox.wait_idle().await;
    assert_eq!(batches.sizes(), [3, 3, 1]);
    assert_eq!(batches.jobs(), ["1", "2", "3", "4", "5", "6", "7"]);
    assert!(start.elapsed() >= WITHIN, "the last one waited for others");
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 7);
}

#[tokio::test(start_paused = true)]
async fn batch_is_complete_within_the_time_after_its_first_delivery() {
    let batches = Batches::default();
    let service = batches_of(10).layer(batches.handler(|_| status(200)));
    let inbox = handled(&[], service.clone()).await;
    for job in ["1", "2", "3"] {
        send(inbox.layer().layer(service.clone()), signed(caption(job))).await;
        tokio::time::sleep(WITHIN / 2 + Duration::from_millis(1)).await;
    }
    inbox.wait_idle().await;
    assert_eq!(batches.sizes(), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_get_the_status_of_their_batch() {
    let batches = Batches::default();
    let inbox = inbox(memory());
    let service = inbox.layer().layer(batches_of(2).layer(batches.handler(|_| status(201))));
    let (one, two) = tokio::join!(
        send(service.clone(), signed(caption("1"))),
        send(service.clone(), signed(caption("2")))
    );
    assert_eq!((one.status, two.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(batches.sizes(), [2]);
}

#[tokio::test(start_paused = true)]
async fn each_delivery_of_a_batch_can_have_its_own_status() {
    let batches = Batches::default();
    let handler = batches.handler(|batch| {
        let each: EachStatus = batch
            .iter()
            .filter(|caption| caption.job != "no status")
            .map(|caption| caption.job.parse::<u16>().unwrap().try_into().unwrap())
            .collect();
        let mut response = status(200);
        response.extensions_mut().insert(each);
        response
    });
    let inbox = inbox(memory());
    let service = inbox.layer().layer(batches_of(4).layer(handler));
    let jobs = ["200", "503", "422", "no status"];
    let sending = jobs.map(|job| tokio::spawn(send(service.clone(), signed(caption(job)))));
    let mut statuses = Vec::new();
    for sent in sending {
        statuses.push(sent.await.unwrap().status.as_u16());
    }
    assert_eq!(batches.sizes(), [4]);
    assert_eq!(statuses, [200, 503, 422, 500]);
    let counts = inbox.counts().await.unwrap();
    let of = |kind| counts.of_all(kind);
    let kinds = (of(StateKind::Processed), of(StateKind::Failed), of(StateKind::Dead));
    assert_eq!(kinds, (1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn disposition_and_failure_of_a_batch_are_those_of_each_delivery() {
    let batches = Batches::default();
    let handler = batches.handler(|_| {
        let mut response = status(409);
        response.extensions_mut().insert(Disposition::Dead);
        response.extensions_mut().insert(Failure::new("the month is closed"));
        response
    });
    let inbox = handled(&["1"], batches_of(1).layer(handler)).await;
    inbox.wait_idle().await;
    let reason = dead_reason(inbox.archive()).await;
    assert!(reason.ends_with("the handler returned 409: the month is closed"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_and_text_of_a_failed_batch_are_those_of_each_delivery() {
    let (batches, calls) = (Batches::default(), Arc::new(Mutex::new(0)));
    let handler = batches.handler(move |_| {
        *calls.lock().unwrap() += 1;
        if *calls.lock().unwrap() > 1 {
            return Response::builder()
                .status(422)
                .header("content-type", "text/plain")
                .body(Full::from("the sum is wrong"))
                .unwrap();
        }
        let busy = Response::builder().status(503).header("retry-after", "1000");
        busy.body(Full::default()).unwrap()
    });
    let inbox = handled(&["1"], batches_of(1).layer(handler)).await;
    let start = Instant::now();
    inbox.wait_idle().await;
    assert!(start.elapsed() >= 1000 * SECOND, "{:?}", start.elapsed());
    let reason = dead_reason(inbox.archive()).await;
    assert!(reason.ends_with("the handler returned 422: the sum is wrong"), "{reason}");
}

#[test]
fn batch_for_the_test_of_a_handler_has_no_attempts() {
    let caption = |job| {
        Inference::<Caption>::load(Sample::of(CAPTIONS).body(caption(job)).delivery()).unwrap()
    };
    let batch = Batch::new(["1", "2"].map(caption));
    assert_eq!((batch.len(), batch.is_empty()), (2, false));
    assert!(
        batch
            .attempts()
            .zip(["1", "2"])
            .all(|((caption, attempt), job)| { caption.job == job && attempt.is_none() })
    );
}

#[tokio::test(start_paused = true)]
async fn panic_of_the_handler_fails_each_delivery_of_the_batch_and_they_are_retried() {
    let (batches, calls) = (Batches::default(), Arc::new(Mutex::new(0)));
    let handler = batches.handler(move |_| {
        *calls.lock().unwrap() += 1;
        assert!(*calls.lock().unwrap() > 1, "on purpose");
        status(200)
    });
    let inbox = handled(&["1", "2"], batches_of(2).layer(handler)).await;
    inbox.wait_idle().await;
    assert_eq!(batches.jobs(), ["1", "1", "2", "2"]);
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 2);
}

/// A request as a batch layer gets it.
fn request(job: &str) -> Request<()> {
    let delivery = Sample::of(CAPTIONS).body(caption(job)).delivery();
    Request::builder().extension(Inference::<Caption>::load(delivery).unwrap()).body(()).unwrap()
}

fn jobs_of(request: &Request<()>) -> Vec<String> {
    let batch: &Batch<Caption> = request.extensions().get().unwrap();
    batch.iter().map(|caption| caption.job.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn batches_wait_for_a_concurrency_limit_and_call_the_service_that_is_ready() {
    let running = Arc::new(Mutex::new((0, 0)));
    let counted = Arc::clone(&running);
    let handler = service_fn(move |request: Request<()>| {
        let running = Arc::clone(&counted);
        async move {
            {
                let (now, most) = &mut *running.lock().unwrap();
                *now += 1;
                *most = (*now).max(*most);
            }
            tokio::time::sleep(SECOND).await;
            running.lock().unwrap().0 -= 1;
            assert_eq!(jobs_of(&request).len(), 2);
            Ok::<_, Infallible>(status(200))
        }
    });
    let service = batches_of(2).layer(ConcurrencyLimit::new(handler, 1));
    let sending: Vec<_> =
        ["1", "2", "3", "4"].map(|job| tokio::spawn(service.clone().oneshot(request(job)))).into();
    for sent in sending {
        assert_eq!(sent.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(*running.lock().unwrap(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn requests_without_an_inference_pass_through_a_concurrency_limit() {
    let handler = service_fn(async |request: Request<()>| {
        assert!(request.extensions().get::<Batch<Caption>>().is_none());
        Ok::<_, Infallible>(status(299))
    });
    let service = batches_of(2).layer(ConcurrencyLimit::new(handler, 1));
    for _ in 0..3 {
        let response = service.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status().as_u16(), 299);
    }
}

#[tokio::test(start_paused = true)]
async fn stopped_delivery_is_not_in_the_batch() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let jobs = Arc::clone(&seen);
    let handler = service_fn(move |request: Request<()>| {
        jobs.lock().unwrap().push(jobs_of(&request));
        async { Ok::<_, Infallible>(status(200)) }
    });
    let service = batches_of(10).layer(handler);
    let stopped = tokio::spawn(service.clone().oneshot(request("1")));
    let kept = tokio::spawn(service.clone().oneshot(request("2")));
    tokio::task::yield_now().await;
    stopped.abort();
    assert_eq!(kept.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(*seen.lock().unwrap(), [["2"]]);
}

#[tokio::test(start_paused = true)]
async fn handler_is_stopped_when_all_deliveries_of_its_batch_are() {
    let (started, stopped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (on_start, on_stop) = (Arc::clone(&started), Arc::clone(&stopped));
    let handler = service_fn(move |_: Request<()>| {
        let (on_start, on_stop) = (Arc::clone(&on_start), Arc::clone(&on_stop));
        async move {
            let _stopped = NotifyOnDrop(on_stop);
            on_start.notify_one();
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        }
    });
    let service = batches_of(2).layer(handler);
    let sending = ["1", "2"].map(|job| tokio::spawn(service.clone().oneshot(request(job))));
    started.notified().await;
    for sent in sending {
        sent.abort();
    }
    tokio::time::timeout(SECOND, stopped.notified()).await.unwrap();
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
