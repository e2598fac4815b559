use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

/// For how long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of an answer is read.
const ANSWER_LIMIT: usize = 16 << 20;

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Posts, and reads the answers.
pub(crate) struct Poster(Client<HttpConnector, Full<Bytes>>);

impl Poster {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn post(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Failed> {
        let answer = timeout(PATIENCE, self.exchange(request)).await;
        answer.map_err(|_| format!("there was no answer within {} seconds", PATIENCE.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failed> {
        let (head, body) = self.0.request(request).await?.into_parts();
        Ok((head.status, Limited::new(body, ANSWER_LIMIT).collect().await?.to_bytes()))
    }
}

/// A URL that can be posted to.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("this is no URL: {error}"))?;
    match url.scheme() {
        Some(scheme) if *scheme == uri::Scheme::HTTP => Ok(url),
        Some(scheme) if *scheme == uri::Scheme::HTTPS => {
            Err("https is not spoken here: post to the server behind it by http://, or through a \
                 proxy of your own that adds TLS"
                .to_owned())
        }
        _ => Err("the URL must begin with http://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_spoken() {
        assert!(url("http://127.0.0.1:3000/hooks?a=b").is_ok());
        assert!(url("https://example.com/").unwrap_err().contains("proxy"));
        for text in ["", "/hooks", "localhost:3000", "ftp://localhost/", "http://"] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
