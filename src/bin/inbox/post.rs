//! Posts requests over HTTP, and counts the responses.

use std::{collections::BTreeMap, error::Error, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

/// The timeout of a response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest response body, in bytes.
const RESPONSE_LIMIT: usize = 16 << 20;

pub(crate) type PostError = Box<dyn Error + Send + Sync>;

/// Posts requests and reads the responses.
pub(crate) struct Poster(Client<HttpConnector, Full<Bytes>>);

impl Poster {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn post(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), PostError> {
        let response = timeout(TIMEOUT, self.exchange(request)).await;
        response.map_err(|_| format!("no response within {} s", TIMEOUT.as_secs()))?
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), PostError> {
        let (head, body) = self.0.request(request).await?.into_parts();
        Ok((head.status, Limited::new(body, RESPONSE_LIMIT).collect().await?.to_bytes()))
    }
}

/// Parses a URL that can be posted to.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("invalid URL '{text}': {error}"))?;
    match url.scheme() {
        Some(scheme) if *scheme == uri::Scheme::HTTP => Ok(url),
        Some(scheme) if *scheme == uri::Scheme::HTTPS => {
            Err("https is not supported; post to the server behind it with http://, or through a \
                 proxy that adds TLS"
                .to_owned())
        }
        _ => Err("invalid URL; it must begin with http://".to_owned()),
    }
}

/// How many responses had each status, and how many requests failed for each reason.
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

    /// The table to print.
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
        assert!(url("https://example.com/").unwrap_err().contains("proxy"));
        for text in ["", "/hooks", "localhost:3000", "ftp://localhost/", "http://"] {
            assert!(url(text).is_err(), "{text}");
        }
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
