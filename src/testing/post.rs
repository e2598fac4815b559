//! Posts payloads in process, signed as their providers sign them.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower_service::Service;

use crate::{
    delivery::DeliveryId,
    layer::BoxError,
    signature::{Scheme, sign_request},
};

/// Signs `body` as a provider does, posts it to `service` in process, and returns the response with its whole body.
///
/// `scheme` is the scheme of the provider, such as `mindee::signature(secret)`, `HmacBody`, or a `QueryToken`. Each
/// call signs a new message id. The request has `Content-Type: application/json`.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{Layer, service_fn};
/// use tower_inbox::{
///     Inbox, Inference, MemoryArchive, Secret, layer::InboxBody, provider::foxyai, signature::QueryToken,
///     testing::post_signed,
/// };
///
/// type Body = Full<bytes::Bytes>;
///
/// async fn handler(request: Request<InboxBody<Body>>) -> Result<Response<String>, std::convert::Infallible> {
///     let group = request.extensions().get::<Inference<foxyai::ImageGroup>>();
///     Ok(Response::new(group.map_or(0, |group| group.images.len()).to_string()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let secret = Secret::new("correct horse");
/// let inbox = Inbox::builder(MemoryArchive::new())
///     .model("/hooks/group", foxyai::image_group().token_in_query("ticket", secret.clone()))
///     .build()?;
/// let app = inbox.layer().layer(service_fn(handler));
///
/// let group = r#"{"_id": "3f6c", "name": "12 Elm Street", "status": "completed",
///     "createdAt": "2026-11-01T10:00:00.000Z", "updatedAt": "2026-11-01T10:00:09.000Z",
///     "images": [], "metaData": {}, "computedMetrics": {}}"#;
/// let scheme = QueryToken::new("ticket", secret);
/// let response = post_signed(app, &scheme, "/hooks/group", group).await?;
/// assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"0"[..]));
/// # Ok(())
/// # }
/// ```
///
/// An axum router is also such a service: `post_signed(app.clone(), &scheme, "/hooks/group", group)`.
///
/// # Errors
///
/// If the scheme cannot sign, the URI is invalid, or the service or its response body fails. A rejection is not an
/// error: it is returned as the response.
pub async fn post_signed<R>(
    mut service: impl Service<Request<Full<Bytes>>, Response = Response<R>, Error: Into<BoxError>>,
    scheme: &dyn Scheme,
    uri: &str,
    body: impl Into<Bytes>,
) -> Result<Response<Bytes>, BoxError>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let request = Request::post(uri).header(header::CONTENT_TYPE, "application/json");
    let message_id = format!("msg_{}", DeliveryId::new());
    let request = sign_request(scheme, &message_id, SystemTime::now(), request.body(body.into())?)?;
    let request = request.map(Full::new);
    std::future::poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
    let response = service.call(request).await.map_err(Into::into)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
