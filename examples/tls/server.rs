//! The HTTPS server, and its certificate, which is reloaded when its files change.

use std::{
    error::Error,
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

/// The timeout of a handshake. Without it, clients that send nothing keep their connections.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of a request head and of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The delay after a connection could not be accepted.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// The certificate of a server, from two PEM files.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Loaded>,
}

/// The contents of the files, and what they contain.
#[derive(Debug)]
struct Loaded {
    digest: tower_inbox::Digest,
    certified: Arc<CertifiedKey>,
}

impl Certificate {
    /// Loads the certificate.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or parsed, or if the key is not that of the certificate.
    pub(crate) fn load(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Arc<Self>, Box<dyn Error>> {
        let (chain, key) = (chain.into(), key.into());
        let provider = Arc::new(ring::default_provider());
        let current = RwLock::new(Loaded::parse(&read(&chain)?, &read(&key)?, &provider)?);
        Ok(Arc::new(Self { chain, key, provider, current }))
    }

    /// Reads the files again. Returns whether they changed. After an error, the server keeps the certificate that it has:
    /// the two files may be replaced one after the other.
    ///
    /// # Errors
    ///
    /// The same as [`load`](Self::load).
    pub(crate) fn reload(&self) -> Result<bool, Box<dyn Error>> {
        let (chain, key) = (read(&self.chain)?, read(&self.key)?);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).digest
            == digest(&chain, &key)
        {
            return Ok(false);
        }
        let loaded = Loaded::parse(&chain, &key, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    /// Reloads the certificate at this interval, and never returns. Polling works however the files are replaced: by a
    /// rename, or by a symbolic link as in Kubernetes.
    pub(crate) async fn keep_current(self: Arc<Self>, interval: Duration) {
        loop {
            sleep(interval).await;
            match self.reload() {
                Ok(true) => println!("the certificate was replaced"),
                Ok(false) => {}
                Err(error) => eprintln!("the certificate is not replaced: {error}"),
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.certified))
    }
}

impl Loaded {
    fn parse(chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Self, Box<dyn Error>> {
        let certificates = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        let private_key = PrivateKeyDer::from_pem_slice(key)?;
        // Fails if the key is not that of the certificate.
        let certified = CertifiedKey::from_der(certificates, private_key, provider)?;
        Ok(Self { digest: digest(chain, key), certified: Arc::new(certified) })
    }
}

/// A digest of both files, so that the key is not in memory twice.
fn digest(chain: &[u8], key: &[u8]) -> tower_inbox::Digest {
    tower_inbox::Digest::of(&[chain, key].concat())
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error: io::Error| format!("cannot read {}: {error}", path.display()))
}

/// Serves HTTP/1 over TLS. Never returns unless the configuration is invalid.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    certificate: Arc<Certificate>,
) -> Result<(), Box<dyn Error>> {
    let config = ServerConfig::builder_with_provider(Arc::clone(&certificate.provider));
    let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = config.with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve_one(stream, acceptor.clone(), app.clone()))),
            Err(_) => sleep(ACCEPT_DELAY).await,
        }
    }
}

/// Serves one connection in a task of its own: a slow handshake delays no other connection.
async fn serve_one(stream: TcpStream, acceptor: TlsAcceptor, app: Router) {
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else { return };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    // The error of one connection concerns its client only.
    drop(connection.await);
}
