use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use tower_inbox::signature::Scheme;
use uuid::Uuid;

use crate::poster::{Failed, Poster};

/// One who posts the same bytes to the same URL, signed anew each time.
pub(super) struct Client {
    pub(super) url: Uri,
    pub(super) scheme: Box<dyn Scheme>,
    pub(super) body: Bytes,
    poster: Poster,
}

impl Client {
    pub(super) fn new(url: Uri, scheme: Box<dyn Scheme>, body: Bytes) -> Self {
        Self { url, scheme, body, poster: Poster::new() }
    }

    /// Posts once, and reads the answer.
    pub(super) async fn post(&self) -> Result<(StatusCode, Bytes), Failed> {
        self.poster.post(self.request()?).await
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
