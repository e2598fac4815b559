//! Layers of tower-http around the inbox, and between its layers, in one `ServiceBuilder`.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceBuilder, layer::util::Identity, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer,
    limit::RequestBodyLimitLayer,
    map_response_body::MapResponseBodyLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tower_inbox::{Secret, Workers, delivery::State, layer::*, provider::ModelBuilder};

use crate::support::{
    script::{Reply, Script},
    *,
};

const MARK: HeaderName = HeaderName::from_static("x-mark");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn models() -> Models {
    let models = Models::new();
    models.add(CAPTIONS, captions()).unwrap();
    models
}

/// Asserts that a delivery is processed and that another request passes through.
async fn assert_serves<S, R>(service: S) -> Answer
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible> + Clone,
    R: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>>,
{
    let delivered = send(service.clone(), signed(caption("1"))).await;
    assert_eq!((delivered.status.as_u16(), delivered.body.as_str()), (200, "a cat"));
    assert!(delivered.headers.contains_key("inbox-delivery-id"));
    let other = Request::get("/other").body(Full::default()).unwrap();
    assert_eq!(send(service, other).await.status, 299);
    delivered
}

/// Puts the layer around all six layers of the inbox, and between each two of them.
macro_rules! assert_composes {
    ($layer:expr) => {{
        let processor = Processor::new(memory());
        let seen = Seen::default();
        let service = ServiceBuilder::new()
            .layer($layer)
            .layer(RouteLayer::new(models()))
            .layer($layer)
            .layer(BufferLayer::new(Budget::default()))
            .layer($layer)
            .layer(VerifyLayer::new())
            .layer($layer)
            .layer(ArchiveLayer::inline(&processor))
            .layer($layer)
            .layer(DispatchLayer::new())
            .layer($layer)
            .layer(ProcessLayer::new())
            .service(handler::<Full<Bytes>>(&seen));
        let delivered = assert_serves(service).await;
        assert_eq!(seen.all(), ["1", "through"]);
        delivered
    }};
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(30))
}

#[tokio::test]
async fn timeout_layer_composes_around_and_between_the_layers() {
    assert_composes!(timeout());
}

#[tokio::test]
async fn trace_layer_composes_around_and_between_the_layers() {
    assert_composes!(TraceLayer::new_for_http());
}

#[tokio::test]
async fn catch_panic_layer_composes_around_and_between_the_layers() {
    assert_composes!(CatchPanicLayer::new());
}

#[tokio::test]
async fn request_id_layers_compose_around_and_between_the_layers() {
    assert_composes!(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid));
    assert_composes!(PropagateRequestIdLayer::new(REQUEST_ID));
    let inbox = inbox(memory());
    let service = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(inbox.layer())
        .service(handler::<Full<Bytes>>(&Seen::default()));
    assert!(assert_serves(service).await.headers.contains_key(REQUEST_ID));
}

#[tokio::test]
async fn header_layers_compose_around_and_between_the_layers() {
    assert_composes!(SetSensitiveRequestHeadersLayer::new([SIGNATURE]));
    let mark = HeaderValue::from_static("x");
    let marked = assert_composes!(SetResponseHeaderLayer::overriding(MARK, mark.clone()));
    assert_eq!(marked.headers[MARK], mark);
}

#[tokio::test]
async fn body_changing_layer_composes_around_and_between_the_layers() {
    assert_composes!(MapResponseBodyLayer::new(http_body_util::combinators::UnsyncBoxBody::new));
}

#[tokio::test]
async fn request_body_limit_composes_around_the_inbox() {
    let inbox = inbox(memory());
    let seen = Seen::default();
    let service = ServiceBuilder::new()
        .layer(RequestBodyLimitLayer::new(1000))
        .layer(inbox.layer())
        .service(handler(&seen));
    assert_serves(service.clone()).await;
    let long = format!(r#"{{"job": "2", "text": "{}"}}"#, "x".repeat(2000));
    // Without `Content-Length`, the limit applies while the body is read, and acts like a truncated body.
    assert_eq!(send(service, signed(long)).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn timeout_between_the_layers_releases_the_lease_and_a_worker_processes_the_delivery() {
    let script =
        Script::new(|run| if run.in_background { Reply::Status(200) } else { Reply::Never });
    let (archive, models) = (memory(), models());
    let workers = Workers::new(1);
    let processor = workers.processor(archive.clone());
    let running = workers.start(&processor, &models, script.service()).unwrap();
    let impatient =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(2));
    let service = ServiceBuilder::new()
        .layer(RouteLayer::new(models))
        .layer(BufferLayer::new(Budget::default()))
        .layer(VerifyLayer::new())
        .layer(ArchiveLayer::inline(&processor))
        .layer(impatient)
        .layer(DispatchLayer::new())
        .layer(ProcessLayer::new())
        .service(script.service());
    let timed_out = send(service, signed(caption("1"))).await;
    assert_eq!(timed_out.status, 504);
    assert!(timed_out.headers.contains_key("inbox-delivery-id"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
    let runs = script.runs();
    assert_eq!(runs.iter().map(|run| run.attempt).collect::<Vec<_>>(), [1, 1], "not counted");
    running.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn layers_stacked_by_hand_process_in_the_background_of_running_workers() {
    let script = Script::new(|_| Reply::Status(200));
    let (archive, models) = (memory(), models());
    let workers = Workers::new(1);
    let processor = workers.processor(archive.clone());
    let running = workers.start(&processor, &models, script.service()).unwrap();
    let service = ServiceBuilder::new()
        .layer(Identity::new())
        .layer(RouteLayer::new(models))
        .layer(BufferLayer::new(Budget::default()))
        .layer(VerifyLayer::new())
        .layer(ArchiveLayer::background(&running))
        .layer(DispatchLayer::new())
        .layer(ProcessLayer::new())
        .service(script.service());
    assert_eq!(send(service, signed(caption("1"))).await.status, 202);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
    assert!(script.runs()[0].in_background);
    running.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn deliveries_before_start_workers_are_accepted_and_processed_later() {
    let script = Script::new(|_| Reply::Status(200));
    let archive = memory();
    let inbox = tower_inbox::Inbox::builder(archive.clone())
        .model(CAPTIONS, captions())
        .background(Workers::new(1))
        .build()
        .unwrap();
    let service = inbox.layer().layer(script.service());
    assert_eq!(send(service, signed(caption("1"))).await.status, 202);
    assert_eq!(only_state(&archive).await, State::NEW);
    inbox.start_workers(script.service()).unwrap();
    inbox.wait_idle().await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

#[tokio::test]
async fn repeats_are_marked_by_header_and_extension() {
    let inbox = inbox(memory());
    let seen = Seen::default();
    let service = inbox.layer().layer(handler::<Full<Bytes>>(&seen));
    let post = async |path: &str| {
        let request = signed_to(path, caption("1"));
        let response = tower::ServiceExt::oneshot(service.clone(), request).await.unwrap();
        let repeat = response.extensions().get::<Repeat>().map(|repeat| repeat.of);
        let id = response.headers()[DELIVERY_ID].to_str().unwrap().to_owned();
        (id, response.headers().get(REPEAT).is_some(), repeat.map(|id| id.to_string()))
    };
    let (first, marked, of) = post(CAPTIONS).await;
    assert_eq!((marked, of), (false, None));
    inbox.settled().await;
    assert_eq!(post(CAPTIONS).await, (first.clone(), true, Some(first.clone())));
    // Another delivery that contains the same inference in the same bytes.
    let (second, marked, of) = post(&format!("{CAPTIONS}?again")).await;
    assert_ne!(second, first);
    assert_eq!((marked, of), (true, Some(first.clone())));
    inbox.settled().await;
    assert_eq!(post(&format!("{CAPTIONS}?again")).await, (second, true, Some(first)));
    assert_eq!(seen.all(), ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_model_is_never_missing() {
    let inbox = inbox(memory());
    let seen = Seen::default();
    let service = inbox.layer().layer(handler::<Full<Bytes>>(&seen));
    let models = inbox.models().clone();
    let replacing = tokio::spawn(async move {
        for round in 0..2000 {
            let added = Secret::new(format!("secret {round}")).named("added");
            let secrets = [Secret::new(SECRET).named("kept"), added];
            models.replace(CAPTIONS, ModelBuilder::<Caption>::new().signed_with(secrets)).unwrap();
            tokio::task::yield_now().await;
        }
    });
    let mut posts = 0;
    while !replacing.is_finished() || posts < 50 {
        posts += 1;
        let answer = send(service.clone(), signed(caption(&posts.to_string()))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    replacing.await.unwrap();
    assert_eq!(seen.all().len(), posts);
}

#[tokio::test]
async fn layers_pass_the_error_of_the_inner_service_on() {
    #[derive(Debug, PartialEq)]
    struct Down;
    let failing = service_fn(async |_: Request<InboxBody<Full<Bytes>>>| {
        Err::<Response<Full<Bytes>>, _>(Down)
    });
    let archive = memory();
    let service = inbox(archive.clone()).layer().layer(failing);
    let result = tower::ServiceExt::oneshot(service, signed(caption("1"))).await;
    assert_eq!(result.map(drop), Err(Down));
    tokio::task::yield_now().await;
    let state = only_state(&archive).await;
    assert_eq!(
        state.outcome().and_then(tower_inbox::Outcome::reason),
        Some("the service of the handler failed")
    );
}
