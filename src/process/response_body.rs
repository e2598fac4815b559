use std::{
    any::Any,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::logs_details;
use crate::delivery::DeliveryId;

/// The response header with the id under which a delivery is archived.
pub const DELIVERY_ID: HeaderName = HeaderName::from_static("inbox-delivery-id");

/// The response header that marks a repeat: `true` if the delivery was received or processed before.
pub const REPEAT: HeaderName = HeaderName::from_static("inbox-repeat");

/// The error of a response body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// In the response extensions if the delivery repeats one that was received or processed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repeat {
    /// The delivery that it repeats.
    pub of: DeliveryId,
}

/// The response body of every layer: the body of the inner service, or a short text of the inbox.
///
/// All layers have the same type, so that other middleware fits around and between them, and a body that passes several
/// layers is wrapped once.
#[derive(Default)]
pub struct ResponseBody(Kind);

enum Kind {
    Own(Bytes),
    Inner(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Own(Bytes::new())
    }
}

impl ResponseBody {
    /// Wraps a body, unless it is a [`ResponseBody`] already.
    pub fn new<R>(body: R) -> Self
    where
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(same) = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return same.take().unwrap_or_default();
        }
        match body {
            Some(body) => Self(Kind::Inner(Box::pin(Boxed { body }))),
            None => Self::default(),
        }
    }

    /// The body if it is a text of the inbox, or was read whole.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Own(bytes.into()))
    }
}

pin_project_lite::pin_project! {
    struct Boxed<R> {
        #[pin]
        body: R,
    }
}

impl<R: Body<Data = Bytes, Error: Into<BoxError>>> Body for Boxed<R> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.project().body.poll_frame(context);
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Inner(body) => body.as_mut().poll_frame(context),
            Kind::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Inner(body) => body.is_end_stream(),
            Kind::Own(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Inner(body) => body.size_hint(),
            Kind::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("size", &self.size_hint()).finish()
    }
}

/// The response to a repeat. Only the status of the first response is stored; it is what senders act on.
pub(crate) fn as_the_first(of: DeliveryId, status: u16) -> Response<ResponseBody> {
    if logs_details() {
        tracing::Span::current().record("outcome", "repeat");
    }
    tracing::info!(status, %of, "repeat; returned the status of the first delivery without running the handler");
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    mark_repeat(&mut response, of);
    response
}

pub(crate) fn mark_repeat<R>(response: &mut Response<R>, of: DeliveryId) {
    response.headers_mut().insert(REPEAT, HeaderValue::from_static("true"));
    response.extensions_mut().insert(Repeat { of });
}

/// The response to a delivery that is archived and will be processed later.
pub(crate) fn accepted(status: StatusCode) -> Response<ResponseBody> {
    tracing::debug!(status = status.as_u16(), "accepted for processing in the background");
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn body_is_wrapped_once_and_keeps_its_size() {
        let body = ResponseBody::new(Full::new(Bytes::from_static(b"text")));
        let Kind::Inner(inner) = &body.0 else { panic!("not wrapped") };
        let address: *const () = std::ptr::from_ref(&**inner).cast();
        let again = ResponseBody::new(body);
        let Kind::Inner(inner) = &again.0 else { panic!("not wrapped") };
        assert_eq!(std::ptr::from_ref(&**inner).cast::<()>(), address, "wrapped twice");
        assert_eq!(again.size_hint().exact(), Some(4));
        assert_eq!(again.collect().await.unwrap().to_bytes(), "text");
        assert!(ResponseBody::default().is_end_stream());
    }
}
