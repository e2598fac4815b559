use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header, uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client as Connections, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;
use tower_inbox::signature::Scheme;
use uuid::Uuid;

/// For how long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of an answer is read.
const ANSWER_LIMIT: usize = 16 << 20;

type Failed = Box<dyn Error + Send + Sync>;

/// One who posts the same bytes to the same URL, signed anew each time.
pub(super) struct Client {
    pub(super) url: Uri,
    pub(super) scheme: Box<dyn Scheme>,
    pub(super) body: Bytes,
    connections: Connections<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(super) fn new(url: Uri, scheme: Box<dyn Scheme>, body: Bytes) -> Self {
        let connections = Connections::builder(TokioExecutor::new()).build_http();
        Self { url, scheme, body, connections }
    }

    /// Posts once, and reads the answer.
    pub(super) async fn post(&self) -> Result<(StatusCode, Bytes), Failed> {
        let answer = timeout(PATIENCE, self.exchange(self.request()?)).await;
        answer.map_err(|_| format!("there was no answer within {} seconds", PATIENCE.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failed> {
        let (head, body) = self.connections.request(request).await?.into_parts();
        Ok((head.status, Limited::new(body, ANSWER_LIMIT).collect().await?.to_bytes()))
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failed> {
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("inbox/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(self.body.clone()))?;
        let (mut head, body) = request.into_parts();
        let id = format!("msg_{}", Uuid::now_v7().simple());
        self.scheme.signature(&id, &self.body, SystemTime::now())?.add_to(&mut head)?;
        Ok(Request::from_parts(head, body))
    }
}

/// A URL that can be posted to.
pub(super) fn url(text: &str) -> Result<Uri, String> {
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
