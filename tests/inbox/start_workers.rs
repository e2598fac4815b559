//! Starting the workers: once, inside a runtime, and with a service that has a route for each model.

use std::time::Duration;

use axum::{Router, body::Body, extract::Request, middleware, routing::post};
use tower::ServiceExt;
use tower_inbox::{
    Inbox, Inference, Model, Workers, WorkersError,
    layer::{ArchiveLayer, Attempt, Models},
};

use crate::support::{
    script::{self, Reply, Script, inbox_with},
    *,
};

async fn on_caption(caption: Inference<Caption>) -> String {
    caption.job.clone()
}

fn background(path: &str, model: Model) -> Inbox {
    Inbox::builder(memory()).model(path, model).background(Workers::default()).build().unwrap()
}

fn start(inbox: &Inbox, router: Router) -> Result<(), WorkersError> {
    inbox.start_workers::<Body>(router)
}

/// Returns the path without a route, as reported by `start_workers`, or `None` if the workers started.
fn missing(inbox: &Inbox, router: Router) -> Option<String> {
    match start(inbox, router) {
        Ok(()) => None,
        Err(WorkersError::NoRoute { path, .. }) => Some(path),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn start_workers_rejects_a_router_without_a_route_for_a_model() {
    let routes = || Router::new().route("/hooks/captions/{reference}", post(on_caption));
    let inbox = background("/hooks/captions/{reference}", captions());
    let error = start(&inbox, Router::new().nest("/api", routes())).unwrap_err().to_string();
    assert!(error.contains("no route for the model /hooks/captions/{reference}"), "{error}");
    assert!(error.contains("404 to /hooks/captions/probe"), "{error}");
    // The workers did not start, so they can be started with another router.
    assert_eq!(missing(&inbox, routes()), None);
    assert_eq!(start(&inbox, routes()), Err(WorkersError::AlreadyStarted));
}

#[tokio::test]
async fn start_workers_rejects_the_unprefixed_router_of_an_inbox_around_a_nest() {
    let routes = Router::new().route("/captions", post(on_caption));
    let nested = Router::new().nest("/api", routes.clone());
    let inbox = background("/api/captions", captions());
    assert_eq!(missing(&inbox, routes).as_deref(), Some("/api/captions"));
    assert_eq!(missing(&inbox, nested), None);
}

#[tokio::test]
async fn inbox_inside_a_nest_takes_the_unprefixed_router() {
    let routes = Router::new().route("/captions", post(on_caption));
    let inbox = background("/captions", captions());
    let app = Router::new().nest("/api", routes.clone().layer(inbox.layer()));
    assert_eq!(missing(&inbox, app.clone()).as_deref(), Some("/captions"));
    assert_eq!(missing(&inbox, routes), None);
    let request = signed_to("/api/captions", caption("1")).map(Body::new);
    assert_eq!(app.oneshot(request).await.unwrap().status(), 202);
    inbox.wait_idle().await;
    assert_eq!(processed(&only_state(inbox.archive()).await), Some(200));
}

#[tokio::test]
async fn probe_of_start_workers_runs_no_handler_and_is_not_logged_as_an_error() {
    let log = Log::default();
    let _logging = log.here();
    let routes = Router::new()
        .route("/posted", post(async || -> &'static str { panic!("the handler ran") }))
        .route(
            "/any",
            axum::routing::any(async |_: Attempt, _: Inference<Caption>| -> &'static str {
                panic!("the handler ran");
            }),
        );
    let inbox = Inbox::builder(memory())
        .model("/posted", captions())
        .model("/any", captions())
        .workers(Workers::default())
        .build()
        .unwrap();
    assert_eq!(missing(&inbox, routes), None);
    tokio::task::yield_now().await;
    assert!(!log.text().contains("ERROR"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn missing_route_behind_a_layer_that_waits_is_logged() {
    let log = Log::default();
    let _logging = log.here();
    let slow = middleware::from_fn(async |request: Request, next: middleware::Next| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        next.run(request).await
    });
    let inbox = background(CAPTIONS, captions());
    assert_eq!(missing(&inbox, Router::new().layer(slow)), None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let expected = "ERROR tower_inbox::worker::pool: no route for the model /hooks/captions";
    assert!(log.text().contains(expected), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn service_that_is_not_a_router_is_not_probed() {
    let seen = Seen::default();
    let inbox = inbox(memory());
    inbox.start_workers(handler::<Body>(&seen)).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.all(), <[String; 0]>::default());
}

#[tokio::test]
async fn workers_started_by_hand_report_the_start_of_their_shutdown() {
    let workers = Workers::new(1);
    let processor = workers.processor(memory());
    let models = Models::new();
    let seen = Seen::default();
    let running = workers.start(&processor, &models, handler::<Body>(&seen)).unwrap();
    let _layer = ArchiveLayer::background(&running);
    let started = running.shutdown_started();
    let mut started = std::pin::pin!(started);
    let before = tokio::time::timeout(Duration::from_millis(10), started.as_mut()).await;
    assert!(before.is_err(), "the shutdown has not started");
    running.shutdown(Duration::from_secs(1)).await;
    started.await;
}

#[tokio::test(start_paused = true)]
async fn start_workers_twice_is_an_error_and_keeps_the_first_service() {
    let (first, second) =
        (Script::new(|_| Reply::Status(200)), Script::new(|_| Reply::Status(200)));
    let inbox = inbox_with(memory(), Workers::new(1));
    inbox.start_workers(first.service()).unwrap();
    assert_eq!(inbox.start_workers(second.service()), Err(WorkersError::AlreadyStarted));
    let clone = inbox.clone();
    assert_eq!(clone.start_workers(second.service()), Err(WorkersError::AlreadyStarted));
    script::post(&inbox, &first, "1").await;
    inbox.wait_idle().await;
    assert_eq!((first.jobs().len(), second.jobs().len()), (1, 0));
}

#[test]
fn start_workers_outside_a_runtime_is_an_error_and_works_within_one_later() {
    let (inbox, script) =
        (inbox_with(memory(), Workers::new(1)), Script::new(|_| Reply::Status(200)));
    assert_eq!(inbox.start_workers(script.service()), Err(WorkersError::NoRuntime));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        inbox.start_workers(script.service()).unwrap();
        script::post(&inbox, &script, "1").await;
        inbox.wait_idle().await;
    });
    assert_eq!(script.jobs(), ["1"]);
}
