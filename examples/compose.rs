//! Single layers of the inbox, with layers of tower-http around and between them. It sends itself a delivery and ends.
//! Run it with `cargo run --example compose`.

use std::{
    convert::Infallible,
    error::Error,
    io::{IsTerminal, stdout},
    iter::once,
};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    ServiceBuilderExt, catch_panic::CatchPanicLayer, request_id::MakeRequestUuid, trace::TraceLayer,
};
use tower_inbox::{
    DiskArchive, Inference, Secret,
    layer::{
        ArchiveLayer, Budget, BufferLayer, DispatchLayer, InboxBody, Models, ProcessLayer,
        Processor, RouteLayer, VerifyLayer,
    },
    provider::mindee::{self, Extraction},
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

async fn on_request(
    request: Request<InboxBody<Full<Bytes>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = match request.extensions().get::<Inference<Extraction>>() {
        Some(extraction) => format!("extraction {}", extraction.id()),
        None => "not a delivery".to_owned(),
    };
    Ok(Response::new(answer.into()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    // On a terminal, the default obeys NO_COLOR.
    if stdout().is_terminal() {
        log.init();
    } else {
        log.with_ansi(false).init();
    }
    let directory = tempfile::tempdir()?;
    let secret = Secret::new("the signing secret of the endpoint");
    let models = Models::new();
    let model = mindee::extraction::<mindee::Fields>().signed_with(secret.clone());
    models.add("/hooks/extraction", model)?;
    let processor = Processor::new(DiskArchive::open(directory.path()).await?);

    let service = ServiceBuilder::new()
        .set_x_request_id(MakeRequestUuid)
        .sensitive_request_headers(once(SIGNATURE).collect())
        .layer(CatchPanicLayer::new())
        .layer(RouteLayer::new(models))
        .layer(BufferLayer::new(Budget::new(64 << 20)))
        .layer(VerifyLayer::new())
        // Traces verified deliveries only. The default span shows the URI, which may contain a token.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|_: &Request<_>| tracing::info_span!("verified")),
        )
        .layer(ArchiveLayer::inline(&processor))
        .layer(DispatchLayer::new())
        .layer(ProcessLayer::new())
        .service(service_fn(on_request));

    let body = r#"{"inference": {"id": "0b1e", "model": {"id": "m"}, "result": {"fields": {}},
        "file": {"name": "a.pdf", "page_count": 1, "mime_type": "application/pdf"}}}"#;
    let signature = mindee::signature(secret).sign(body.as_bytes()).unwrap_or_default();
    let request =
        Request::post("/hooks/extraction")
            .header(SIGNATURE, signature)
            .body(Full::<Bytes>::from(body))?;
    let answer = service.oneshot(request).await?;
    println!("answer {}, archived as {:?}", answer.status(), answer.headers()["inbox-delivery-id"]);
    processor.wait_idle().await;
    Ok(())
}
