//! The inbox around a plain hyper service, without axum. It sends itself one delivery and ends.
//! Run it with `cargo run --example hyper`.

use std::{convert::Infallible, error::Error, net::Ipv4Addr, pin::pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, time::timeout};
use tower::{ServiceBuilder, service_fn};
use tower_inbox::{
    DiskArchive, Inbox, Inference, Secret,
    layer::InboxBody,
    provider::mindee::{self, Extraction},
};

/// Handles every request: deliveries with their inference, other requests unchanged.
async fn on_request(
    request: Request<InboxBody<Incoming>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match request.extensions().get::<Inference<Extraction>>() {
        Some(extraction) => println!("extraction {}", extraction.id()),
        None => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let secret = Secret::new("the signing secret of the endpoint");
    let model = mindee::extraction::<mindee::Fields>().signed_with(secret.clone());
    let inbox = Inbox::builder(DiskArchive::open(directory.path()).await?)
        .model("/hooks/extraction", model)
        .build()?;
    let service = ServiceBuilder::new().layer(inbox.layer()).service(service_fn(on_request));

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let shutdown = inbox.shutdown_started();
    let server = tokio::spawn(async move {
        let (connections, mut shutdown) = (GracefulShutdown::new(), pin!(shutdown));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            let Ok((socket, _)) = accepted else { break };
            let service = TowerToHyperService::new(service.clone());
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                // Limits the time for a request head, and for idle connections.
                .header_read_timeout(Duration::from_secs(30))
                // Senders may close their side before the response.
                .half_close(true)
                .serve_connection(TokioIo::new(socket), service);
            let serving = connections.watch(serving);
            tokio::spawn(async move {
                if let Err(error) = serving.await {
                    eprintln!("a connection broke: {error}");
                }
            });
        }
        drop(listener);
        connections.shutdown().await;
    });

    let body = r#"{"inference": {"id": "0b1e", "model": {"id": "m"}, "result": {"fields": {}},
        "file": {"name": "a.pdf", "page_count": 1, "mime_type": "application/pdf"}}}"#;
    let signature = mindee::signature(secret).sign(body.as_bytes()).unwrap_or_default();
    let request = Request::post(format!("http://{address}/hooks/extraction"))
        .header("x-signature", signature)
        .body(Full::<Bytes>::from(body))?;
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    println!("answer {}", answer.status());
    // A server would wait for SIGTERM here.
    inbox.shutdown(Duration::from_secs(20)).await;
    // Connections that have sent half of a request head are not waited for.
    drop(timeout(Duration::from_secs(2), server).await);
    Ok(())
}
