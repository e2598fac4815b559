use std::{fmt, io, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{
    Request, Response, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncWrite, duplex},
    net::TcpStream,
};
use tower_service::Service;

use crate::layer::BoxError;

/// The buffer of a connection in process, in bytes.
const BUFFER: usize = 64 << 10;

/// The receiver of posts: a URL, or a tower service in process.
///
/// Each post uses a connection of its own. A connection in process is a byte stream to hyper's HTTP/1 server, so that a
/// service meets the same faults as behind a socket.
#[derive(Clone)]
pub struct Target {
    connect: Connector,
    scheme: Scheme,
    host: Authority,
    path: PathAndQuery,
}

/// Makes a connection for each post.
type Connector = Arc<dyn Fn() -> Connecting + Send + Sync>;

type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

impl Target {
    /// The receiver with this `http://` URL. Its name is resolved for each connection. For `https://`, see
    /// [`with_connector`](Self::with_connector).
    ///
    /// # Errors
    ///
    /// If the URL is invalid, or not `http://`.
    ///
    /// ```
    /// use tower_inbox::simulate::Target;
    ///
    /// assert!(Target::url("http://127.0.0.1:3000/hooks/invoices").is_ok());
    /// assert!(Target::url("https://example.com/hooks/invoices").is_err());
    /// ```
    pub fn url(url: &str) -> Result<Self, TargetError> {
        let (scheme, host, path) = parse(url)?;
        if scheme != Scheme::HTTP {
            return Err(TargetError::NotHttp);
        }
        let (name, port) = (bare_host(&host).to_owned(), host.port_u16().unwrap_or(80));
        let connect = move || connect_tcp(name.clone(), port);
        Ok(Self { connect: connector(connect), scheme, host, path })
    }

    /// The receiver with this `http://` or `https://` URL, through the byte streams that `connect` makes, one for each
    /// post: TLS, a Unix domain socket, a proxy. Of the URL, only the `Host` and the path are used.
    ///
    /// A response is not read after [`Fault::CutBody`](super::Fault::CutBody) and
    /// [`Fault::HangUp`](super::Fault::HangUp): the stream is shut down and dropped.
    ///
    /// # Errors
    ///
    /// If the URL is invalid, or neither `http://` nor `https://`.
    ///
    /// With TLS, by tokio-rustls or another implementation:
    ///
    /// ```
    /// use std::{future::Future, io};
    /// use tokio::{io::{AsyncRead, AsyncWrite}, net::TcpStream};
    /// use tower_inbox::simulate::{Target, TargetError};
    ///
    /// # trait Tls: Clone + Send + Sync + 'static {
    /// #     type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// #     fn connect(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// # }
    /// fn receiver(tls: impl Tls) -> Result<Target, TargetError> {
    ///     Target::with_connector("https://example.com/hooks/invoices", move || {
    ///         let tls = tls.clone();
    ///         async move { tls.connect(TcpStream::connect(("example.com", 443)).await?).await }
    ///     })
    /// }
    /// ```
    pub fn with_connector<C, F, S>(url: &str, connect: C) -> Result<Self, TargetError>
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (scheme, host, path) = parse(url)?;
        Ok(Self { connect: connector(connect), scheme, host, path })
    }

    /// The receiver that is this service, at this path. The `Host` is `localhost`. Requires a tokio runtime for each
    /// post.
    ///
    /// # Errors
    ///
    /// If the path is not the path and query of a URL.
    pub fn service<S, B>(service: S, path: &str) -> Result<Self, TargetError>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let path = path.parse::<PathAndQuery>().map_err(TargetError::InvalidPath)?;
        let connect = move || {
            let (client, server) = duplex(BUFFER);
            let service = TowerToHyperService::new(service.clone());
            let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service);
            // An error of the connection reaches the sender as a closed connection.
            tokio::spawn(async move { drop(serving.await) });
            std::future::ready(Ok(client))
        };
        let host = Authority::from_static("localhost");
        Ok(Self { connect: connector(connect), scheme: Scheme::HTTP, host, path })
    }

    /// Returns the host, with the port of the URL if it has one.
    pub(super) fn host(&self) -> &Authority {
        &self.host
    }

    /// Returns the URL, with a token that its query has.
    pub(super) fn full_url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }

    /// Connects to the receiver.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        (self.connect)().await
    }

    /// Starts a request to the receiver, with the path as its URI.
    pub(super) fn request(&self, body: Bytes) -> http::Result<Request<Bytes>> {
        Request::post(Uri::from(self.path.clone()))
            .header(http::header::HOST, self.host.as_str())
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(
                http::header::USER_AGENT,
                concat!("tower-inbox-simulate/", env!("CARGO_PKG_VERSION")),
            )
            .body(body)
    }
}

/// Without the query, which can have a token.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.host.host())
            .field("path", &self.path.path())
            .finish_non_exhaustive()
    }
}

/// Hides the types of a connector's futures and streams.
fn connector<C, F, S>(connect: C) -> Connector
where
    C: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
    S: Connection + 'static,
{
    Arc::new(move || {
        let connecting = connect();
        Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn Connection>) })
    })
}

async fn connect_tcp(host: String, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    // Parts of a body are to arrive when they are sent.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Parses an `http://` or `https://` URL.
fn parse(url: &str) -> Result<(Scheme, Authority, PathAndQuery), TargetError> {
    let parts = url.parse::<Uri>().map_err(TargetError::Invalid)?.into_parts();
    match (parts.scheme, parts.authority) {
        (Some(scheme), Some(host)) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => {
            let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
            Ok((scheme, host, path))
        }
        _ => Err(TargetError::UnknownScheme),
    }
}

/// Returns the host without the brackets of an IPv6 address, which are not part of it.
fn bare_host(authority: &Authority) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
}

/// A byte stream to a receiver.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// The receiver cannot be posted to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The URL is invalid.
    #[error("invalid URL of the receiver; it must begin with http:// or https://")]
    Invalid(#[source] http::uri::InvalidUri),
    /// The path is invalid.
    #[error("invalid path of the receiver; it must begin with /")]
    InvalidPath(#[source] http::uri::InvalidUri),
    /// The URL is that of no web server.
    #[error("the URL of the receiver does not begin with http:// or https://")]
    UnknownScheme,
    /// The URL is `https://`, and there is no connector.
    #[error(
        "the URL of the receiver does not begin with http://; use Target::with_connector for TLS"
    )]
    NotHttp,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_http_urls_are_targets() {
        for url in ["", "/hooks", "localhost:3000", "https://localhost/", "http://"] {
            assert!(Target::url(url).is_err(), "{url}");
        }
        let target = Target::url("http://[::1]:8080/a?token=hunter2").unwrap();
        assert_eq!(bare_host(target.host()), "::1");
        let request = target.request(Bytes::new()).unwrap();
        assert_eq!(
            (request.uri().to_string(), &request.headers()["host"]),
            ("/a?token=hunter2".into(), &"[::1]:8080".parse().unwrap())
        );
        assert!(!format!("{target:?}").contains("hunter"));
    }
    #[tokio::test]
    async fn connector_is_called_for_each_connection_and_its_error_is_returned() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let connect = move || {
            let call = counted.fetch_add(1, Ordering::Relaxed);
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            std::future::ready(if call == 0 { Ok(duplex(1).0) } else { Err(refused()) })
        };
        let target = Target::with_connector("https://a.example/hooks?b=c", connect).unwrap();
        assert!(target.connect().await.is_ok());
        let refused = target.connect().await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        let request = target.request(Bytes::new()).unwrap();
        assert_eq!(request.uri(), "/hooks?b=c");
        assert_eq!(request.headers()["host"], "a.example");
        assert_eq!(target.full_url(), "https://a.example/hooks?b=c");
        let connect = || std::future::ready(Ok(duplex(1).0));
        let ftp = Target::with_connector("ftp://a.example/", connect).unwrap_err();
        assert!(matches!(ftp, TargetError::UnknownScheme), "{ftp}");
    }
}
