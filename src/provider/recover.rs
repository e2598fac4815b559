//! Fetching a result whose webhook did not arrive.

use std::{error::Error, future::poll_fn, pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;
use tower_service::Service;

use crate::signature::Secret;

type BoxError = Box<dyn Error + Send + Sync>;

/// The future returned by [`Recover::recover`].
pub type Recovering<'r> =
    Pin<Box<dyn Future<Output = Result<Recovered, RecoverError>> + Send + 'r>>;

/// Fetches results from the API of a provider, by the id that the API returned when the result was requested.
///
/// Implemented by [`mindee::Recovery`](super::mindee::Recovery) and [`replicate::Recovery`](super::replicate::Recovery);
/// implement it for other providers. For `Expectations::recover`.
///
/// ```
/// use bytes::Bytes;
/// use tower_inbox::provider::{Recover, Recovered, Recovering};
///
/// /// Results in a directory, each in a file with the id as its name.
/// struct Directory(std::path::PathBuf);
///
/// impl Recover for Directory {
///     fn recover<'r>(&'r self, id: &'r str) -> Recovering<'r> {
///         Box::pin(async move {
///             match tokio::fs::read(self.0.join(id)).await {
///                 Ok(body) => Ok(Recovered::Result(body.into())),
///                 Err(_) => Ok(Recovered::NotReady),
///             }
///         })
///     }
/// }
/// ```
pub trait Recover: Send + Sync + 'static {
    /// Fetches the result of the request with this id. Called again, with backoff, after [`Recovered::NotReady`] and
    /// after an error.
    ///
    /// # Errors
    ///
    /// If the API cannot be reached, or refuses the request.
    fn recover<'r>(&'r self, id: &'r str) -> Recovering<'r>;
}

/// What the API of a provider has for an id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovered {
    /// The result: the body that the webhook would have had.
    Result(Bytes),
    /// The result is not available yet.
    NotReady,
    /// There will be no result, for this reason: the request failed, or the provider deleted the result.
    Gone(String),
}

/// Why a result could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RecoverError {
    message: String,
    source: Option<BoxError>,
}

impl RecoverError {
    /// Creates an error with this message, which is logged and stored. It must not contain secrets.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// Sets the cause.
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// The longest response of an API, in bytes.
const RESPONSE_LIMIT: usize = super::DEFAULT_BODY_LIMIT;

/// The time that an API has for a response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A tower service that sends HTTP requests, such as the client of `hyper-util` with TLS.
///
/// Every cloneable `Service<Request<Full<Bytes>>>` with a response of type `Response<B>` implements it; it cannot be
/// implemented otherwise.
pub trait HttpClient: Clone + Send + Sync + 'static {
    /// Sends a request, and reads the response: at most 32 MiB, within 30 s.
    ///
    /// # Errors
    ///
    /// If the service fails, or the response is cut off or too long.
    fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Bytes>, RecoverError>> + Send;
}

impl<S, B> HttpClient for S
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, RecoverError> {
        let mut service = self.clone();
        let exchange = async move {
            let failed =
                |error: S::Error| RecoverError::new("the API cannot be reached").because(error);
            poll_fn(|context| service.poll_ready(context)).await.map_err(failed)?;
            let (head, body) = service.call(request).await.map_err(failed)?.into_parts();
            let body = Limited::new(body, RESPONSE_LIMIT).collect().await.map_err(|error| {
                RecoverError::new("the response of the API ended early, or is too long")
                    .because(error)
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let late = |_| RecoverError::new(format!("no response within {} s", TIMEOUT.as_secs()));
        timeout(TIMEOUT, exchange).await.map_err(late)?
    }
}

/// Sends GET requests to the API of a provider, with a key.
#[derive(Clone, Debug)]
pub(super) struct ApiClient<C> {
    client: C,
    base: String,
    scheme: &'static str,
    key: Secret,
}

impl<C: HttpClient> ApiClient<C> {
    /// `scheme` precedes the key in the header `Authorization`.
    pub(super) fn new(client: C, base: &str, scheme: &'static str, key: Secret) -> Self {
        Self { client, base: base.into(), scheme, key }
    }

    pub(super) fn set_base(&mut self, base: String) {
        self.base = base;
    }

    pub(super) fn base(&self) -> &str {
        self.base.trim_end_matches('/')
    }

    /// Requests a path below the base URL.
    pub(super) async fn get(&self, path: &str) -> Result<Response<Bytes>, RecoverError> {
        let uri: Uri = format!("{}{path}", self.base()).parse().map_err(|error| {
            RecoverError::new("the URL of the API is invalid").because(BoxError::from(error))
        })?;
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers()?;
        self.client.exchange(request).await
    }

    fn headers(&self) -> Result<HeaderMap, RecoverError> {
        let mut value = BytesMut::from(self.scheme.as_bytes());
        value.extend_from_slice(self.key.value());
        let invalid = |_| RecoverError::new("the API key has characters that a header cannot have");
        let mut value = HeaderValue::from_maybe_shared(value.freeze()).map_err(invalid)?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }
}

/// The error for a status that says nothing about the result.
pub(super) fn unexpected(status: StatusCode) -> RecoverError {
    let advice = match status.as_u16() {
        401 | 403 => "; check the API key",
        _ => "",
    };
    RecoverError::new(format!("the API responded {status}{advice}"))
}

/// Not the dot: `..` is another path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// An id as a segment of a path.
pub(super) fn segment(id: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(id, SEGMENT)
}
