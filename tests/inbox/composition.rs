//! The layers in other stacks: readiness, axum, hyper, tower and tower-http.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, util::BoxCloneService,
};
use tower_inbox::{Captures, Delivery, Inbox, Inference, layer::*};

use crate::support::*;

/// Panics unless `call` runs on the same instance as `poll_ready`, once for each readiness.
#[derive(Default)]
struct Picky {
    ready: bool,
}

impl Clone for Picky {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<InboxBody<Full<Bytes>>>> for Picky {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<InboxBody<Full<Bytes>>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been polled ready");
        std::future::ready(Ok(Response::new(Full::default())))
    }
}

#[tokio::test]
async fn service_polled_ready_is_the_one_that_is_called() {
    let inbox = inbox(memory());
    let mut service = inbox.layer().layer(Picky::default());
    for job in ["1", "2", "3"] {
        let response = service.ready().await.unwrap().call(signed(caption(job))).await.unwrap();
        assert_eq!(response.status(), 200, "{job}");
    }
    // Long bodies are verified on another thread.
    let long = format!("{}{}", caption("4"), " ".repeat(1 << 20));
    let response = service.ready().await.unwrap().call(signed(long)).await.unwrap();
    assert_eq!(response.status(), 200);
    let through = Request::get("/other").body(Full::default()).unwrap();
    assert_eq!(service.ready().await.unwrap().call(through).await.unwrap().status(), 200);
}

/// Each layer wraps a concurrency limit of 1: a permit that is taken twice or not returned would block the next
/// request.
#[tokio::test]
async fn each_layer_works_over_a_concurrency_limit() {
    let models = Models::new();
    models.add(CAPTIONS, captions()).unwrap();
    let one = || ConcurrencyLimitLayer::new(1);
    let seen = Seen::default();
    let mut service = ServiceBuilder::new()
        .layer(one())
        .layer(RouteLayer::new(models))
        .layer(one())
        .layer(BufferLayer::new(Budget::default()))
        .layer(one())
        .layer(VerifyLayer::new())
        .layer(one())
        .layer(ArchiveLayer::inline(&Processor::new(memory())))
        .layer(one())
        .layer(DispatchLayer::new())
        .layer(one())
        .layer(ProcessLayer::new())
        .layer(one())
        .service(handler::<Full<Bytes>>(&seen));
    let jobs = async {
        for job in ["1", "2", "3"] {
            let response = service.ready().await.unwrap().call(signed(caption(job))).await.unwrap();
            assert_eq!(answer(response).await.body, "a cat");
            let through = Request::get("/other").body(Full::default()).unwrap();
            let response = service.ready().await.unwrap().call(through).await.unwrap();
            assert_eq!(response.status(), 299);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), jobs).await.unwrap();
    assert_eq!(seen.all(), ["1", "through", "2", "through", "3", "through"]);
}

#[tokio::test]
async fn concurrency_limit_below_the_inbox_is_shared_by_many_requests() {
    let inbox = inbox(memory());
    let seen = Seen::default();
    let service = ServiceBuilder::new()
        .layer(inbox.layer())
        .layer(ConcurrencyLimitLayer::new(2))
        .service(handler::<Full<Bytes>>(&seen));
    let requests = (0..50).map(|job| {
        let service = service.clone();
        tokio::spawn(async move { send(service, signed(caption(&job.to_string()))).await.status })
    });
    for answer in requests.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(seen.all().len(), 50);
}

#[tokio::test]
async fn requests_for_other_paths_pass_through_unbuffered() {
    /// A body that must not be polled.
    struct Untouchable;

    impl http_body::Body for Untouchable {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            panic!("somebody reads the body")
        }
    }

    let seen = Seen::default();
    let service = inbox(memory()).layer().layer(handler::<Untouchable>(&seen));
    let request = Request::post("/other").body(Untouchable).unwrap();
    assert_eq!(send(service, request).await.status, 299);
}

async fn on_caption(
    caption: Inference<Caption>,
    delivery: Delivery,
    captures: Captures,
    body: Bytes,
) -> String {
    assert_eq!(&body, caption.raw());
    assert_eq!(caption.delivery(), &delivery);
    format!("{} {}", caption.job, captures.get("reference").unwrap_or("-"))
}

fn with_captures() -> Inbox {
    Inbox::builder(memory())
        .model(CAPTIONS, captions())
        .model("/hooks/captions/{reference}", captions())
        .build()
        .unwrap()
}

#[tokio::test]
async fn layer_goes_around_axum_routers_and_single_routes() {
    use axum::{Router, routing::post};

    let inbox = with_captures();
    let routes = || {
        Router::new()
            .route(CAPTIONS, post(on_caption))
            .route("/hooks/captions/{reference}", post(on_caption))
    };
    let on_the_router = routes().layer(inbox.layer());
    let around_each_route = Router::new()
        .route(CAPTIONS, post(on_caption).layer(inbox.layer()))
        .route("/hooks/captions/{reference}", post(on_caption).layer(inbox.layer()));
    for (number, app) in [on_the_router, around_each_route].into_iter().enumerate() {
        let job = format!("job{number}");
        let plain = app.clone().oneshot(signed(caption(&job)).map(axum::body::Body::new)).await;
        assert_eq!(answer(plain.unwrap()).await.body, format!("{job} -"));
        let path = "/hooks/captions/elm%20street";
        let captured = signed_to(path, caption(&job)).map(axum::body::Body::new);
        let answer = answer(app.oneshot(captured).await.unwrap()).await;
        assert_eq!(answer.body, format!("{job} elm street"));
    }
}

#[tokio::test]
async fn inbox_nested_in_an_inbox_does_nothing() {
    use axum::{Router, routing::post};

    let inbox = inbox(memory());
    let app = Router::new()
        .route(CAPTIONS, post(async |caption: Inference<Caption>| caption.job.clone()))
        .route_layer(inbox.layer())
        .layer(inbox.layer());
    let posted = app.oneshot(signed(caption("1")).map(axum::body::Body::new));
    let response = tokio::time::timeout(Duration::from_secs(10), posted).await.unwrap();
    assert_eq!(answer(response.unwrap()).await.body, "1");
}

/// Matches the documentation of `nest` in the module `axum`.
#[tokio::test]
async fn in_an_axum_nest_the_model_path_is_the_rest_of_the_path() {
    use axum::{Router, body::Body, routing::post};

    let inbox = Inbox::builder(memory()).model("/captions", captions()).build().unwrap();
    let hooks = Router::new()
        .route("/captions", post(async |caption: Inference<Caption>| caption.job.clone()))
        .layer(inbox.layer());
    let app = Router::new().nest("/api", hooks);
    let request = signed_to("/api/captions", caption("1")).map(Body::new);
    assert_eq!(answer(app.oneshot(request).await.unwrap()).await.body, "1");
}

#[tokio::test]
async fn extractor_without_the_layer_or_of_another_type_is_500() {
    use axum::{Router, body::Body, routing::post};

    #[derive(serde::Deserialize)]
    struct Other {}
    impl tower_inbox::provider::Payload for Other {
        type Provider = Acme;
        fn decode(body: &Bytes) -> Result<Self, tower_inbox::provider::DecodeError> {
            tower_inbox::provider::decode_json(body)
        }
        fn key(&self) -> tower_inbox::provider::InferenceKey {
            tower_inbox::provider::InferenceKey::new("")
        }
    }

    let bare: Router = Router::new().route(CAPTIONS, post(async |_: Inference<Caption>| "x"));
    let (status, log) = logged(bare.oneshot(signed(caption("1")).map(Body::new))).await;
    assert_eq!(status, 500);
    assert!(log.contains("Inference<") && log.contains("ProcessLayer"), "{log}");

    let inbox = inbox(memory());
    let wrong =
        Router::new().route(CAPTIONS, post(async |_: Inference<Other>| "x")).layer(inbox.layer());
    let (status, log) = logged(wrong.oneshot(signed(caption("1")).map(Body::new))).await;
    assert_eq!(status, 500);
    assert!(log.contains("Inference<inbox::composition::") && log.contains("Other>"), "{log}");
    assert!(log.contains("but the model decodes to inbox::support::acme::Caption"), "{log}");
}

async fn logged(
    call: impl Future<Output = Result<axum::response::Response, Infallible>>,
) -> (u16, String) {
    let log = Log::default();
    let _logging = log.here();
    let status = call.await.unwrap().status().as_u16();
    (status, log.text())
}

#[tokio::test]
async fn service_runs_on_plain_hyper() {
    use hyper::{body::Incoming, server::conn::http1};
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};

    let seen = Seen::default();
    let service = inbox(memory()).layer().layer(handler::<Incoming>(&seen));
    let (client, server) = tokio::io::duplex(64 << 10);
    tokio::spawn(
        http1::Builder::new()
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(service)),
    );
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    let answer = answer(sender.send_request(signed(caption("1"))).await.unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "a cat"));
    assert_eq!(seen.all(), ["1"]);
}

#[tokio::test]
async fn service_can_be_boxed_and_cloned() {
    let seen = Seen::default();
    let service = inbox(memory()).layer().layer(handler::<Full<Bytes>>(&seen));
    let boxed = BoxCloneService::new(service);
    assert_eq!(boxed.clone().oneshot(signed(caption("1"))).await.unwrap().status(), 200);
}
