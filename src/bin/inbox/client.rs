//! The HTTP client: posts requests, and counts the responses by status. The receivers of simulated senders.

use std::{collections::BTreeMap, error::Error, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
#[cfg(feature = "cli-tls")]
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;
use tower_inbox::simulate::Target;

#[cfg(feature = "cli-tls")]
use crate::tls;

/// The timeout of a response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of a response body, in bytes.
const RESPONSE_LIMIT: usize = 16 << 20;

pub(crate) type PostError = Box<dyn Error + Send + Sync>;

/// Posts requests to one server, and reads the responses.
pub(crate) enum Poster {
    Plain(Client<HttpConnector, Full<Bytes>>),
    /// Verifies the certificate of the server against the certificates of the system.
    #[cfg(feature = "cli-tls")]
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Poster {
    /// A client for the server with this URL.
    ///
    /// # Errors
    ///
    /// If the URL is `https://`, and the system has no root certificates.
    #[cfg(feature = "cli-tls")]
    pub(crate) fn new(url: &Uri) -> Result<Self, PostError> {
        if url.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Self::Plain(Client::builder(TokioExecutor::new()).build_http()));
        }
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls::config()?);
        let connector = builder.https_only().enable_http1().build();
        Ok(Self::Tls(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// A client for the server with this URL.
    #[cfg(not(feature = "cli-tls"))]
    #[expect(clippy::unnecessary_wraps, reason = "it can fail with the feature cli-tls")]
    pub(crate) fn new(_: &Uri) -> Result<Self, PostError> {
        Ok(Self::Plain(Client::builder(TokioExecutor::new()).build_http()))
    }

    /// Posts one request, and reads the response. Redirects are not followed.
    pub(crate) async fn post(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, PostError> {
        let response = timeout(TIMEOUT, self.exchange(request)).await;
        response.map_err(|_| format!("no response within {} s", TIMEOUT.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, PostError> {
        let response = match self {
            Self::Plain(client) => client.request(request).await?,
            #[cfg(feature = "cli-tls")]
            Self::Tls(client) => client.request(request).await?,
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, RESPONSE_LIMIT).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

/// Parses a URL that can be posted to. Errors do not contain the query, which may hold a token.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let invalid = "invalid URL; it must begin with http:// or https://";
    let url: Uri = text.parse().map_err(|error| format!("{invalid}: {error}"))?;
    match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Ok(url),
        Some(scheme) if *scheme == Scheme::HTTPS && cfg!(feature = "cli-tls") => Ok(url),
        Some(scheme) if *scheme == Scheme::HTTPS => {
            Err("this build does not support https://; install it with --features cli-tls, or use the http:// URL of \
                 the server behind the proxy"
                .to_owned())
        }
        _ => Err(invalid.to_owned()),
    }
}

/// The receiver with this URL, for simulated senders.
///
/// # Errors
///
/// If the URL cannot be posted to, or if it is `https://`, and the system has no root certificates.
pub(crate) fn target(text: &str) -> Result<Target, Box<dyn Error>> {
    let url = url(text)?;
    #[cfg(feature = "cli-tls")]
    if url.scheme() == Some(&Scheme::HTTPS) {
        return tls::target(&url);
    }
    Ok(Target::url(&url.to_string())?)
}

/// The number of responses by status, and of requests that failed by reason.
#[derive(Debug, Default)]
pub(crate) struct ResponseCounts(BTreeMap<Result<StatusCode, String>, u64>);

impl ResponseCounts {
    pub(crate) fn count(&mut self, response: Result<StatusCode, String>) {
        *self.0.entry(response).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (response, count) in other.0 {
            *self.0.entry(response).or_default() += count;
        }
    }

    /// Returns true if every response was 2xx.
    pub(crate) fn all_succeeded(&self) -> bool {
        self.0.keys().all(|response| response.as_ref().is_ok_and(StatusCode::is_success))
    }

    /// The lines to print, with the duration of all requests.
    pub(crate) fn page(&self, took: Duration) -> String {
        let line = |(response, count): (&Result<StatusCode, String>, &u64)| match response {
            Ok(status) => format!("{count:>12}  {status}\n"),
            Err(reason) => format!("{count:>12}  no response: {reason}\n"),
        };
        let lines: String = self.0.iter().map(line).collect();
        format!("{lines}{:>12.3}  seconds\n", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_are_accepted() {
        assert!(url("http://127.0.0.1:3000/hooks?a=b").is_ok());
        assert_eq!(url("https://example.com/").is_ok(), cfg!(feature = "cli-tls"));
        for text in ["", "/hooks", "localhost:3000", "ftp://localhost/", "http://"] {
            assert!(url(text).is_err(), "{text}");
        }
        assert!(!url("ftp://a/?token=hunter2").unwrap_err().contains("hunter2"));
    }

    #[test]
    fn responses_are_counted_by_status_and_reason() {
        let (mut counts, mut other) = (ResponseCounts::default(), ResponseCounts::default());
        counts.count(Ok(StatusCode::OK));
        assert!(counts.all_succeeded());
        other.count(Ok(StatusCode::OK));
        other.count(Err("refused".to_owned()));
        counts.add(other);
        assert!(!counts.all_succeeded());
        let page =
            "           2  200 OK\n           1  no response: refused\n       1.500  seconds\n";
        assert_eq!(counts.page(Duration::from_millis(1500)), page);
    }
}
