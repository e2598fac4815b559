//! A receiver that terminates TLS, and takes a renewed certificate without a restart.
//!
//! ```text
//! cargo run --example tls --features axum -- fullchain.pem privkey.pem
//! ```
//!
//! It reads the secret of Mindee from `INBOX_SECRET`, and listens on port 8443.

mod server;

use std::{env, error::Error, net::Ipv4Addr, time::Duration};

use axum::{Router, http::StatusCode, routing::post};
use tokio::net::TcpListener;
use tower_inbox::{
    DiskArchive, Inbox, Inference, Secret,
    provider::mindee::{self, Extraction, Fields},
};

use server::Certificate;

/// How often the files are compared with the certificate in use.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

async fn on_invoice(invoice: Inference<Extraction<Fields>>) -> StatusCode {
    println!("{}", invoice.key());
    StatusCode::OK
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(chain), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tls CERTIFICATE-CHAIN.pem KEY.pem".into());
    };
    let secret = Secret::new(env::var("INBOX_SECRET")?);
    let inbox = Inbox::builder(DiskArchive::open("inbox").await?)
        .model("/hooks/invoices", mindee::extraction::<Fields>().signed_with(secret))
        .build()?;
    let app = Router::new().route("/hooks/invoices", post(on_invoice)).layer(inbox.layer());

    let certificate = Certificate::load(chain, key)?;
    tokio::spawn(certificate.clone().keep_current(RELOAD_INTERVAL));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8443)).await?;
    println!("listening on https://{}", listener.local_addr()?);
    server::serve(listener, app, certificate).await
}
