//! An inbox under each fault: every acknowledged delivery is in the archive, and the handler runs once for each body.

use std::{
    collections::HashSet,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tower::{ServiceExt, service_fn};
use tower_inbox::{
    DiskArchive, Inbox, MemoryArchive, Secret,
    provider::{mindee, standard},
    signature::StandardWebhooks,
    simulate::{Answer, Fault, NotRun, Payloads, Product, Report, Sender, Target},
};

use crate::support::{
    BODY_LIMIT, Effects, PATH, SECOND_SECRET, SECRET, app, archived, inbox, serve, target,
};

fn sender(target: Target) -> Sender {
    Sender::new(target, mindee::signature(Secret::new(SECRET)))
        .second_scheme(mindee::signature(Secret::new(SECOND_SECRET)))
        .oversized(BODY_LIMIT + 1)
        .pause(Duration::from_millis(1))
}

fn payloads() -> Payloads {
    Payloads::of_mindee(Product::Extraction)
}

/// The faults that need neither a timestamp nor a restart.
fn faults() -> impl Iterator<Item = Fault> {
    let other = [Fault::StaleSignature, Fault::Restart];
    Fault::ALL.iter().copied().filter(move |fault| !other.contains(fault))
}

fn acknowledged(reports: &[Report]) -> HashSet<Bytes> {
    let acknowledged = reports.iter().filter(|report| report.is_acknowledged());
    acknowledged.map(|report| report.body().clone()).collect()
}

async fn assert_survives(fault: Fault, inbox: &Inbox, effects: &Effects, sender: &Sender) {
    let reports = sender.run(fault, &payloads()).await.unwrap();
    for report in &reports {
        assert!(report.is_expected(), "{fault}: {report:?}");
    }
    inbox.settled().await;
    let (archived, acknowledged) = (archived(inbox).await, acknowledged(&reports));
    for body in &acknowledged {
        assert!(archived.contains(body), "{fault}: an acknowledged body is not archived");
    }
    assert_eq!(effects.all(), vec![1; acknowledged.len()], "{fault}: runs of the handler");
}

#[tokio::test]
async fn inbox_in_process_keeps_acknowledged_deliveries_and_runs_the_handler_once_under_each_fault()
{
    for fault in faults() {
        let (inbox, effects) = (inbox(MemoryArchive::new()), Effects::default());
        let sender = sender(target(&inbox, &effects));
        assert_survives(fault, &inbox, &effects, &sender).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inbox_behind_a_socket_keeps_acknowledged_deliveries_and_runs_the_handler_once_under_each_fault()
 {
    for fault in faults() {
        let (inbox, effects) = (inbox(MemoryArchive::new()), Effects::default());
        let (address, server) = serve(app(&inbox, &effects)).await;
        let target = Target::url(&format!("http://{address}{PATH}")).unwrap();
        assert_survives(fault, &inbox, &effects, &sender(target)).await;
        server.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn hang_up_does_not_stop_a_running_handler_and_the_repeat_does_not_run_it_again() {
    let (inbox, runs) = (inbox(MemoryArchive::new()), Arc::new(Mutex::new([0, 0])));
    let counted = Arc::clone(&runs);
    let handler = async move || {
        counted.lock().unwrap()[0] += 1;
        tokio::time::sleep(Duration::from_secs(10)).await;
        counted.lock().unwrap()[1] += 1;
    };
    let app = Router::new().route(PATH, axum::routing::post(handler)).layer(inbox.layer());
    let reports = sender(Target::service(app, PATH).unwrap()).run(Fault::HangUp, &payloads()).await;
    let reports = reports.unwrap();
    assert!(reports.iter().all(Report::is_expected), "{reports:?}");
    assert!(reports[0].took() < Duration::from_secs(1), "it hung up during the handler");
    inbox.settled().await;
    assert_eq!(*runs.lock().unwrap(), [1, 1], "started and ended once");
}

/// A server whose inbox is closed and opened again.
#[derive(Clone, Default)]
struct Restartable {
    current: Arc<Mutex<Option<(Inbox, Router)>>>,
    effects: Effects,
}

impl Restartable {
    async fn open(&self, directory: &std::path::Path) -> io::Result<()> {
        let inbox = inbox(DiskArchive::open(directory).await.map_err(io::Error::other)?);
        let app = app(&inbox, &self.effects);
        *self.current.lock().unwrap() = Some((inbox, app));
        Ok(())
    }

    async fn close(&self) {
        let closed = self.current.lock().unwrap().take();
        if let Some((inbox, _)) = closed {
            inbox.shutdown(Duration::from_secs(20)).await;
        }
    }

    fn inbox(&self) -> Inbox {
        self.current.lock().unwrap().as_ref().unwrap().0.clone()
    }

    fn target(&self) -> Target {
        let current = Arc::clone(&self.current);
        let service = service_fn(move |request: Request<Incoming>| {
            let app = current.lock().unwrap().as_ref().map(|(_, app)| app.clone());
            async move {
                match app {
                    Some(app) => app.oneshot(request).await,
                    None => Ok(unavailable()),
                }
            }
        });
        Target::service(service, PATH).unwrap()
    }
}

fn unavailable() -> Response<Body> {
    Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn restart_loses_nothing_and_the_repeat_after_it_is_not_run_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let server = Restartable::default();
    server.open(&path).await.unwrap();
    let restarted = server.clone();
    let sender = sender(server.target()).restart_with(move || {
        let (server, path) = (restarted.clone(), path.clone());
        async move {
            server.close().await;
            server.open(&path).await
        }
    });
    let reports = sender.run(Fault::Restart, &payloads()).await.unwrap();
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(Report::is_expected), "{reports:?}");
    server.inbox().settled().await;
    assert_eq!(server.effects.all(), [1, 1]);
    let archived: HashSet<_> = archived(&server.inbox()).await.into_iter().collect();
    assert_eq!(archived, acknowledged(&reports));
    server.close().await;
}

#[tokio::test]
async fn stale_signature_is_rejected_and_message_ids_make_repeats() {
    let secret = || Secret::new("whsec_c2VjcmV0c2VjcmV0c2VjcmV0");
    let model = standard::event::<serde_json::Value>().signed_with(secret());
    let inbox = Inbox::builder(MemoryArchive::new()).model(PATH, model).build().unwrap();
    let handler = axum::routing::post(async || StatusCode::OK);
    let app = Router::new().route(PATH, handler).layer(inbox.layer());
    let target = Target::service(app, PATH).unwrap();
    let sender = Sender::new(target, StandardWebhooks::new(secret()));
    let event = |n| format!(r#"{{"type": "t", "timestamp": "2026-11-02T10:00:00Z", "data": {n}}}"#);
    let payloads = Payloads::new(event(1), event(2));
    let reports = sender.run(Fault::StaleSignature, &payloads).await.unwrap();
    assert_eq!(reports[0].answer(), &Answer::Status(StatusCode::UNAUTHORIZED));
    let reports = sender.run(Fault::Duplicate, &payloads).await.unwrap();
    assert!(reports.iter().all(Report::is_acknowledged), "{reports:?}");
    inbox.settled().await;
    assert_eq!(archived(&inbox).await.len(), 1, "both attempts have one message id");
}

#[tokio::test]
async fn faults_without_their_means_are_not_applicable_and_post_nothing() {
    let (inbox, effects) = (inbox(MemoryArchive::new()), Effects::default());
    let scheme = mindee::signature(Secret::new(SECRET));
    let sender = Sender::new(target(&inbox, &effects), scheme);
    for (fault, reason) in [
        (Fault::StaleSignature, "the signature has no timestamp"),
        (Fault::RotatedSignature, "there is no second secret"),
        (Fault::Restart, "there is no hook that restarts the receiver"),
    ] {
        let error = sender.run(fault, &payloads()).await.unwrap_err();
        assert!(matches!(error, NotRun::NotApplicable { .. }));
        assert_eq!(error.to_string(), format!("the fault {fault} is not applicable: {reason}"));
    }
    assert!(archived(&inbox).await.is_empty());
}

/// Answers every request with this status, without reading its body.
fn always(status: StatusCode) -> Target {
    let service = service_fn(move |_: Request<Incoming>| async move {
        let response = Response::builder().status(status).body(Body::empty());
        Ok::<_, Infallible>(response.unwrap())
    });
    Target::service(service, PATH).unwrap()
}

#[tokio::test]
async fn receiver_that_accepts_or_rejects_everything_is_found() {
    for (status, fault) in [
        (StatusCode::OK, Fault::WrongSignature),
        (StatusCode::OK, Fault::OversizedBody),
        (StatusCode::UNAUTHORIZED, Fault::None),
        (StatusCode::UNAUTHORIZED, Fault::RotatedSignature),
        (StatusCode::INTERNAL_SERVER_ERROR, Fault::UnknownValue),
        (StatusCode::INTERNAL_SERVER_ERROR, Fault::Gzip),
        (StatusCode::FOUND, Fault::Duplicate),
    ] {
        let reports = sender(always(status)).run(fault, &payloads()).await.unwrap();
        assert!(reports.iter().any(|report| !report.is_expected()), "{status}: {fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn receiver_without_an_answer_times_out() {
    let silent = service_fn(async |_: Request<Incoming>| {
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    });
    let sender = sender(Target::service(silent, PATH).unwrap()).timeout(Duration::from_secs(5));
    let reports = sender.run(Fault::None, &payloads()).await.unwrap();
    assert_eq!(reports[0].answer(), &Answer::TimedOut);
    assert_eq!(reports[0].took(), Duration::from_secs(5));
}

#[tokio::test]
async fn receiver_that_is_down_is_unreachable() {
    let (address, server) = serve(Router::new()).await;
    server.abort();
    let _ = server.await;
    let target = Target::url(&format!("http://{address}{PATH}")).unwrap();
    for fault in [Fault::None, Fault::OversizedBody, Fault::CutBody] {
        let reports = sender(target.clone()).run(fault, &payloads()).await.unwrap();
        assert!(matches!(reports[0].answer(), Answer::Unreachable(_)), "{reports:?}");
        assert!(reports.iter().all(|report| !report.is_expected()));
    }
}
