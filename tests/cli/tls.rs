//! Commands that post to an `https://` URL, with certificates that the tests make.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rcgen::{CertificateParams, DnType, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, Inbox, MemoryArchive, Secret, archive::Query, layer::InboxBody, provider::mindee,
};

use super::{
    errors,
    listen::{Listen, response},
    send::{SECRET, fixture},
};

/// The second secret that the server accepts.
const SECOND_SECRET: &str = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI=";

/// An inbox for Mindee behind TLS, whose certificate is its own root.
struct Server {
    url: String,
    archive: MemoryArchive,
    directory: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let secrets = [Secret::new(SECRET), Secret::new(SECOND_SECRET).named("second")];
        let model = mindee::extraction::<mindee::Fields>().signed_with(secrets);
        let archive = MemoryArchive::new();
        let inbox = Inbox::builder(archive.clone()).model("/mindee", model.body_limit(2 << 20));
        let directory = tempfile::tempdir().unwrap();
        let acceptor = certificate("the receiver", &directory.path().join("root.pem"));
        certificate("another server", &directory.path().join("other.pem"));
        // Such as a root certificate that was renewed with another key.
        certificate("the receiver", &directory.path().join("old.pem"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/mindee", listener.local_addr().unwrap().port());
        tokio::spawn(serve(listener, acceptor, inbox.build().unwrap()));
        Self { url, archive, directory }
    }

    /// A file with a root certificate: that of the server, or another one.
    fn root(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `inbox` with the root certificates in this file.
    async fn run(&self, root: &str, arguments: &[&str]) -> Output {
        let mut command = trusting(&self.root(root));
        command.args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn archived(&self) -> usize {
        let (mut found, mut number) = (self.archive.scan(Query::all()), 0);
        while let Some(archived) = found.next().await {
            archived.unwrap();
            number += 1;
        }
        number
    }
}

/// Makes a certificate for `localhost` with this subject, and writes it to this file.
fn certificate(subject: &str, file: &Path) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let mut certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    certificate.distinguished_name.push(DnType::CommonName, subject);
    let certificate = certificate.self_signed(&key).unwrap();
    fs::write(file, certificate.pem()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, inbox: Inbox) {
    let service = TowerToHyperService::new(inbox.layer().layer(service_fn(answer)));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            // Fails if the client does not trust the certificate.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    request: Request<InboxBody<Incoming>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let status = if request.uri().path() == "/mindee" { 202 } else { 404 };
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}

/// The command `inbox` with the root certificates in this file, and the secret of the server.
fn trusting(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.env("SSL_CERT_FILE", root).env_remove("SSL_CERT_DIR").env("INBOX_SECRET", SECRET);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_over_tls_verifies_the_certificate() {
    let server = Server::start().await;
    let file = fixture("mindee/invoice.json");
    for (root, code) in [("root.pem", 0), ("other.pem", 2), ("missing.pem", 2)] {
        let output = server.run(root, &["send", &server.url, &file, "--as", "mindee"]).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    assert_eq!(server.archived().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gauntlet_passes_an_inbox_over_tls() {
    let server = Server::start().await;
    let arguments = ["gauntlet", &server.url, "--as", "mindee", "--second-secret", SECOND_SECRET];
    let more = ["--restart", "true", "--oversized", "3000000", "--json"];
    let output = server.run("root.pem", &[&arguments[..], &more].concat()).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{printed}{}", errors(&output));
    let verdicts = super::objects(&printed);
    let of = |result: &str| -> BTreeSet<_> {
        let found = verdicts.iter().filter(|verdict| verdict["result"] == result);
        found.map(|verdict| verdict["scenario"].as_str().unwrap()).collect()
    };
    assert!(of("fail").is_empty(), "{printed}");
    assert_eq!(of("not-applicable"), BTreeSet::from(["signature-list", "stale-signature"]));
    assert_eq!(of("pass").len(), verdicts.len() - 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_senders_post_over_tls_and_name_an_unknown_certificate() {
    let server = Server::start().await;
    let to = ["--to", &server.url];
    let output = server.run("root.pem", &[&["simulate", "mindee"], &to[..]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(server.archived().await, 1);
    // The inbox accepts Mindee only.
    for provider in ["standard", "foxyai"] {
        let arguments = ["simulate", provider, "--count", "1"];
        let output = server.run("root.pem", &[&arguments[..], &to].concat()).await;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains("401 Unauthorized"), "{provider}: {output:?}");
    }

    for (root, reason) in [("other.pem", "UnknownIssuer"), ("old.pem", "BadSignature")] {
        let output = server.run(root, &[&["simulate", "mindee"], &to[..]].concat()).await;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let wanted =
            format!("not connected: invalid peer certificate: {reason}; set SSL_CERT_FILE");
        assert!(printed.contains(&wanted), "{printed}");
    }
    let output = server.run("missing.pem", &[&["simulate", "mindee"], &to[..]].concat()).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(server.archived().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listen_forwards_over_tls() {
    let (server, directory) = (Server::start().await, tempfile::tempdir().unwrap());
    let command = trusting(&server.root("root.pem"));
    let listen = Listen::start_command(command, directory.path(), &server.url, &[]).await;
    let received = response(listen.post("/from/tunnel", b"{}").await).await;
    // The request has no signature, which the inbox rejects.
    assert!(received.starts_with("HTTP/1.1 401 "), "{received}");
}
