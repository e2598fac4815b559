//! The server of the example `tls`, with certificates that the tests make.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/tls/server.rs"]
mod server;

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::post};
use rcgen::{CertificateParams, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    },
};
use tower_inbox::{
    Inbox, Inference, MemoryArchive, Secret,
    provider::mindee::{self, Extraction, Fields},
};

use server::Certificate;

const SECRET: &str = "the secret of the endpoint";
const BODY: &str = r#"{"inference": {"id": "i1", "model": {"id": "m"}, "result": {"fields": {}},
    "file": {"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}"#;

/// A certificate for `localhost` that is its own root.
struct Made {
    der: CertificateDer<'static>,
    chain: String,
    key: String,
}

fn made() -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = certificate.der().clone();
    Made { der, chain: certificate.pem(), key: key.serialize_pem() }
}

impl Made {
    fn write(&self, dir: &Path) {
        fs::write(dir.join("chain.pem"), &self.chain).unwrap();
        fs::write(dir.join("key.pem"), &self.key).unwrap();
    }

    /// Posts over TLS, and returns the response. Fails if the server has another certificate.
    async fn post(&self, to: SocketAddr, signature: &str) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let (name, stream) =
            (ServerName::try_from("localhost").unwrap(), TcpStream::connect(to).await?);
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let length = BODY.len();
        let request = format!(
            "POST /hooks/invoices HTTP/1.1\r\nhost: localhost\r\nx-signature: {signature}\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{BODY}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        Ok(response)
    }
}

async fn on_invoice(_: Inference<Extraction<Fields>>) -> StatusCode {
    StatusCode::OK
}

/// Starts the server with the certificate in this directory.
async fn start(certificate: Arc<Certificate>) -> SocketAddr {
    let model = mindee::extraction::<Fields>().signed_with(Secret::new(SECRET));
    let inbox =
        Inbox::builder(MemoryArchive::new()).model("/hooks/invoices", model).build().unwrap();
    let app = Router::new().route("/hooks/invoices", post(on_invoice)).layer(inbox.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server::serve(listener, app, certificate).await.unwrap() });
    address
}

fn load(dir: &Path) -> Arc<Certificate> {
    Certificate::load(dir.join("chain.pem"), dir.join("key.pem")).unwrap()
}

fn signature() -> String {
    mindee::signature(Secret::new(SECRET)).sign(BODY.as_bytes()).unwrap()
}

#[tokio::test]
async fn delivery_over_tls_is_verified_and_a_replaced_certificate_is_used() {
    let (dir, old, new) = (tempfile::tempdir().unwrap(), made(), made());
    old.write(dir.path());
    let certificate = load(dir.path());
    let address = start(Arc::clone(&certificate)).await;
    let response = old.post(address, &signature()).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(old.post(address, "00").await.unwrap().starts_with("HTTP/1.1 401 "));
    assert!(new.post(address, &signature()).await.is_err());

    tokio::spawn(certificate.keep_current(Duration::from_millis(10)));
    new.write(dir.path());
    let replaced = async {
        loop {
            if let Ok(response) = new.post(address, &signature()).await {
                break response;
            }
        }
    };
    let response = timeout(Duration::from_secs(20), replaced).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(old.post(address, &signature()).await.is_err());
}

#[tokio::test]
async fn invalid_files_do_not_replace_the_certificate() {
    let (dir, old, new) = (tempfile::tempdir().unwrap(), made(), made());
    old.write(dir.path());
    let certificate = load(dir.path());
    let address = start(Arc::clone(&certificate)).await;
    assert!(!certificate.reload().unwrap());
    // The key is replaced later.
    fs::write(dir.path().join("chain.pem"), &new.chain).unwrap();
    certificate.reload().unwrap_err();
    fs::write(dir.path().join("chain.pem"), "half of a file").unwrap();
    certificate.reload().unwrap_err();
    fs::remove_file(dir.path().join("key.pem")).unwrap();
    let error = certificate.reload().unwrap_err().to_string();
    assert!(error.contains("key.pem"), "{error}");
    assert!(old.post(address, &signature()).await.is_ok());
    new.write(dir.path());
    assert!(certificate.reload().unwrap());
    assert!(new.post(address, &signature()).await.is_ok());
}
