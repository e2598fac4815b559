use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use http::{
    Request, Response, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
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
    transport: Transport,
    host: Authority,
    path: PathAndQuery,
}

#[derive(Clone)]
enum Transport {
    Tcp { host: String, port: u16 },
    Service(Arc<dyn Fn(DuplexStream) + Send + Sync>),
}

impl Target {
    /// The receiver with this `http://` URL. Its name is resolved for each connection.
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
        let parts = url.parse::<Uri>().map_err(TargetError::Invalid)?.into_parts();
        let host = match (parts.scheme, parts.authority) {
            (Some(scheme), Some(host)) if scheme == Scheme::HTTP => host,
            _ => return Err(TargetError::NotHttp),
        };
        // An IPv6 address is in brackets, which are not part of it.
        let name = host.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = host.port_u16().unwrap_or(80);
        let transport = Transport::Tcp { host: name, port };
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { transport, host, path })
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
        let serve = move |stream| {
            let service = TowerToHyperService::new(service.clone());
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error of the connection reaches the sender as a closed connection.
            tokio::spawn(async move { drop(serving.await) });
        };
        let transport = Transport::Service(Arc::new(serve));
        Ok(Self { transport, host: Authority::from_static("localhost"), path })
    }

    /// Returns the host, with the port of the URL if it has one.
    pub(super) fn host(&self) -> &Authority {
        &self.host
    }

    /// Connects to the receiver.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        Ok(match &self.transport {
            Transport::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // Parts of a body are to arrive when they are sent.
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Transport::Service(serve) => {
                let (client, server) = duplex(BUFFER);
                serve(server);
                Box::new(client)
            }
        })
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

/// A byte stream to a receiver.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// The receiver cannot be posted to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The URL is invalid.
    #[error("invalid URL of the receiver; it must begin with http://")]
    Invalid(#[source] http::uri::InvalidUri),
    /// The path is invalid.
    #[error("invalid path of the receiver; it must begin with /")]
    InvalidPath(#[source] http::uri::InvalidUri),
    /// The URL has another scheme than `http`.
    #[error(
        "the URL of the receiver does not begin with http://; use the URL of the server behind the proxy"
    )]
    NotHttp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_are_targets() {
        for url in ["", "/hooks", "localhost:3000", "https://localhost/", "http://"] {
            assert!(Target::url(url).is_err(), "{url}");
        }
        let target = Target::url("http://[::1]:8080/a?token=hunter2").unwrap();
        assert!(matches!(&target.transport, Transport::Tcp { host, port: 8080 } if host == "::1"));
        let request = target.request(Bytes::new()).unwrap();
        assert_eq!(
            (request.uri().to_string(), &request.headers()["host"]),
            ("/a?token=hunter2".into(), &"[::1]:8080".parse().unwrap())
        );
        assert!(!format!("{target:?}").contains("hunter"));
    }
}
