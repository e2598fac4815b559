//! TLS of clients: certificates of servers are verified against those of the system.

use std::{error::Error, io, sync::Arc};

use http::Uri;
use hyper_rustls::ConfigBuilderExt;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, CertificateError, ClientConfig, pki_types::ServerName},
};
use tower_inbox::simulate::Target;

/// The settings of connections. The environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the root
/// certificates of the system.
///
/// # Errors
///
/// If there are no root certificates.
pub(crate) fn config() -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls_graviola::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(builder.with_native_roots()?.with_no_client_auth())
}

/// The receiver with this `https://` URL, for simulated senders.
pub(crate) fn target(url: &Uri) -> Result<Target, Box<dyn Error>> {
    let host = url.host().unwrap_or_default();
    // An IPv6 address is in brackets, which are not part of it.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let (name, port) = (ServerName::try_from(host.clone())?, url.port_u16().unwrap_or(443));
    let connector = TlsConnector::from(Arc::new(config()?));
    let connect = move || {
        let (connector, name, host) = (connector.clone(), name.clone(), host.clone());
        async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            // Parts of a body are to arrive when they are sent.
            stream.set_nodelay(true)?;
            let connected: io::Result<TlsStream<_>> = connector.connect(name, stream).await;
            connected.map_err(explain)
        }
    };
    Ok(Target::with_connector(&url.to_string(), connect)?)
}

/// Adds the remedy to the error of a certificate whose issuer is not trusted. The signature is wrong if a trusted root
/// certificate has the name of the issuer and another key.
fn explain(error: io::Error) -> io::Error {
    use CertificateError::{BadSignature, UnknownIssuer};
    let cause = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature)) => {
            let remedy =
                "set SSL_CERT_FILE to a PEM file with the root certificate of the receiver";
            io::Error::new(error.kind(), format!("{error}; {remedy}"))
        }
        _ => error,
    }
}
