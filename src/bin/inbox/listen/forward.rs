//! The app that requests are forwarded to.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use tower_inbox::Delivery;

use crate::{
    client::{self, PostError, Poster},
    console,
    replay::{at_server, end_to_end, mark},
};

/// A request, with the target and the headers to forward.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) delivery: Delivery,
    /// Of the request itself. The delivery has redacted ones.
    uri: Uri,
    headers: HeaderMap,
}

impl Received {
    /// A request that was just received.
    pub(super) fn new(delivery: Delivery, uri: Uri, headers: HeaderMap) -> Self {
        Self { delivery, uri, headers: end_to_end(headers) }
    }

    /// A request of an earlier run. Its secret headers are redacted.
    pub(super) fn archived(delivery: Delivery) -> Self {
        let (uri, headers) = (delivery.head().uri().clone(), delivery.head().headers().clone());
        Self::new(delivery, uri, headers)
    }

    /// Marks the request as a replay.
    pub(super) fn replayed(mut self) -> Result<Self, PostError> {
        mark(&mut self.headers, &self.delivery)?;
        Ok(self)
    }

    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }
}

/// What the app responded, or why it did not.
pub(super) type Answer = Result<AppResponse, String>;

/// The parts of a response that the sender gets.
#[derive(Debug)]
pub(super) struct AppResponse {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<HeaderValue>,
}

/// The app that requests are forwarded to.
pub(super) struct App {
    url: Uri,
    poster: Poster,
}

impl App {
    /// Parses the URL of an app, which has no query: that is the one of each request.
    pub(super) fn parse(text: &str) -> Result<Uri, String> {
        let url = client::url(text)?;
        if url.query().is_some() {
            return Err("the URL has a query; leave it out, because requests keep their own".into());
        }
        Ok(url)
    }

    pub(super) fn new(url: Uri) -> Result<Self, PostError> {
        Ok(Self { poster: Poster::new(&url)?, url })
    }

    /// Posts a request to the app.
    pub(super) async fn post(&self, received: &Received) -> Answer {
        let response = self.exchange(received).await;
        response.map_err(|error| console::with_sources(&*error))
    }

    async fn exchange(&self, received: &Received) -> Result<AppResponse, PostError> {
        let body = Full::<Bytes>::new(received.delivery.body().clone());
        let mut request = Request::post(target(&self.url, &received.uri)?).body(body)?;
        *request.headers_mut() = received.headers.clone();
        let response = self.poster.post(request).await?;
        let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
        Ok(AppResponse { status: response.status(), retry_after })
    }
}

/// The URL of the app with the query of the request; also with its path, if that URL has none.
fn target(app: &Uri, received: &Uri) -> Result<Uri, PostError> {
    let path = if app.path() == "/" { received.path() } else { app.path() };
    match received.query() {
        Some(query) => at_server(app, &format!("{path}?{query}")),
        None => at_server(app, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_the_forward_url_replaces_that_of_the_request() {
        let target = |app: &str, received: &str| {
            target(&app.parse().unwrap(), &received.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(target("http://a:1/hooks/p", "/x/y?t=%2F+1"), "http://a:1/hooks/p?t=%2F+1");
        assert_eq!(target("http://a:1", "/x/y?t=1"), "http://a:1/x/y?t=1");
        assert_eq!(target("http://a:1/", "/x/"), "http://a:1/x/");
        assert_eq!(target("http://a/p/", "http://b.example/x"), "http://a/p/");
    }

    #[test]
    fn forward_url_with_a_query_is_rejected_without_showing_it() {
        let error = App::parse("http://a/?token=hunter2").unwrap_err();
        assert!(error.contains("query") && !error.contains("hunter2"), "{error}");
        assert!(App::parse("http://a/hooks").is_ok());
    }
}
