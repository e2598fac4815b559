//! `inbox send` to an `https://` URL.

use std::{process::Command, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::send::{SECRET, fixture};

/// A self-signed certificate for `localhost`, with its key. Used by this test only.
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/tls/cert.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/tls/key.pem");

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

/// Responds 202 to each request, over TLS.
async fn serve(listener: TcpListener) {
    let acceptor = acceptor();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // Fails if the client does not trust the certificate.
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let response = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(response).await.unwrap();
        let _ = stream.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_over_tls_verifies_the_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/hooks", listener.local_addr().unwrap().port());
    tokio::spawn(serve(listener));
    for (roots, code) in [(CERTIFICATE, 0), ("/nowhere", 2)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
        command.args(["send", &url, &fixture("mindee/invoice.json"), "--as", "mindee"]);
        command.args(["--secret", SECRET]).env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}
