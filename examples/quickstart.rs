//! A receiver that sends itself deliveries over HTTP, prints the input of its handlers and the archived deliveries, and
//! exits. Run it with `cargo run --example quickstart --features axum`.

use std::{error::Error, net::Ipv4Addr, time::Duration};

use axum::{Router, http::StatusCode, routing::post};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_inbox::{
    Captures, DiskArchive, Inbox, Inference, Secret,
    archive::Query,
    provider::{
        foxyai,
        mindee::{self, Extraction, Field},
    },
};

/// The fields of the invoice model, as configured at Mindee.
#[derive(Deserialize)]
struct Invoice {
    supplier_name: Field<String>,
    total_amount: Field<f64>,
}

async fn on_invoice(invoice: Inference<Extraction<Invoice>>) -> StatusCode {
    match invoice.fields() {
        Ok(fields) => {
            let supplier = fields.supplier_name.value.as_deref().unwrap_or("somebody");
            let total = fields.total_amount.value.unwrap_or_default();
            println!("  handler: {supplier} wants {total}");
        }
        Err(failed) => println!("  handler: {failed}"),
    }
    StatusCode::OK
}

async fn on_property(group: Inference<foxyai::ImageGroup>, captures: Captures) -> StatusCode {
    let reference = captures.get("reference").unwrap_or_default();
    println!("  handler: property {reference} has {} images", group.images.len());
    StatusCode::NO_CONTENT
}

const INVOICE: &str = r#"{"inference": {
    "id": "0b1e", "job": {"id": "77aa"}, "model": {"id": "invoices"},
    "file": {"name": "tea.pdf", "alias": null, "page_count": 1, "mime_type": "application/pdf"},
    "result": {"fields": {
        "supplier_name": {"value": "The Tea House", "confidence": "Certain"},
        "total_amount": {"value": 12.5, "confidence": "High"}
    }}
}}"#;

const GROUP: &str = r#"{"_id": "3f6c", "name": "12 Elm Street", "status": "completed",
    "createdAt": "2026-11-01T10:00:00.000Z", "updatedAt": "2026-11-01T10:00:09.000Z",
    "images": [], "metaData": {"agent": "Ada"}, "computedMetrics": {}}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let secret = Secret::new("the signing secret of the endpoint");
    let token = Secret::new("a-long-random-token");

    let inbox = Inbox::builder(DiskArchive::open(directory.path()).await?)
        .model("/hooks/invoices", mindee::extraction::<Invoice>().signed_with(secret.clone()))
        .model("/hooks/property/{reference}", foxyai::image_group().token_in_query("token", token))
        .build()?;
    let app = Router::new()
        .route("/hooks/invoices", post(on_invoice))
        .route("/hooks/property/{reference}", post(on_property))
        .layer(inbox.layer());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let sender = Sender { to: format!("http://{}", listener.local_addr()?), client: client() };
    let server = axum::serve(listener, app).with_graceful_shutdown(inbox.shutdown_started());
    tokio::spawn(server.into_future());

    let signature = mindee::signature(secret).sign(INVOICE.as_bytes());
    println!("a signed extraction");
    sender.post("/hooks/invoices", signature.as_deref(), INVOICE).await?;
    println!("an unsigned one");
    sender.post("/hooks/invoices", None, INVOICE).await?;
    println!("the signed one again");
    sender.post("/hooks/invoices", signature.as_deref(), INVOICE).await?;
    println!("a group of images");
    sender.post("/hooks/property/elm-12?token=a-long-random-token", None, GROUP).await?;

    inbox.shutdown(Duration::from_secs(20)).await;
    println!("in the archive");
    let mut entries = inbox.archive().scan(Query::all());
    while let Some(archived) = entries.next().await.transpose()? {
        let delivery = &archived.delivery;
        println!(
            "  {} {} {} bytes, {}",
            delivery.id(),
            delivery.head().uri(),
            delivery.body().len(),
            archived.state
        );
    }
    Ok(())
}

/// Posts like a provider.
struct Sender {
    to: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

impl Sender {
    async fn post(
        &self,
        path: &str,
        signature: Option<&str>,
        body: &'static str,
    ) -> Result<(), Box<dyn Error>> {
        let mut request = http::Request::post(format!("{}{path}", self.to));
        if let Some(signature) = signature {
            request = request.header("x-signature", signature);
        }
        let answer = self.client.request(request.body(Full::from(body))?).await?;
        println!("  answer: {}", answer.status());
        Ok(())
    }
}
