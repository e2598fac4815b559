//! Extractors and response parts for axum. Depends on `axum-core` only.
//!
//! [`Inference<T>`], [`Batch<T>`], [`Delivery`], [`Captures`], [`InferenceKey`] and [`Attempt`] are extractors for
//! handlers inside an [`Inbox`](crate::Inbox). If one is missing, the response is 500 with an empty body, and the log
//! names the missing layer or the two types. [`Disposition`], [`Failure`] and [`EachStatus`] are parts of a response.
//!
//! ```
//! use axum::{Router, http::StatusCode, routing::post};
//! use tower_inbox::{
//!     Inbox, Inference, MemoryArchive, Secret, layer::Disposition, provider::foxyai::{self, ImageGroup},
//! };
//!
//! async fn on_group(group: Inference<ImageGroup>) -> Result<StatusCode, (StatusCode, Disposition, &'static str)> {
//!     if group.images.is_empty() {
//!         // Final: without the disposition, 409 is retried.
//!         return Err((StatusCode::CONFLICT, Disposition::Dead, "the group has no images"));
//!     }
//!     Ok(StatusCode::NO_CONTENT)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = foxyai::image_group().token_in_query("ticket", Secret::new("correct horse"));
//! let inbox = Inbox::builder(MemoryArchive::new()).model("/hooks/group", model).build()?;
//! let routes = Router::new().route("/hooks/group", post(on_group));
//! inbox.start_workers::<axum::body::Body>(routes.clone())?;
//! let app: Router = routes.layer(inbox.layer());
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # Mounting
//!
//! - `Router::layer(inbox.layer())` goes around the routes that the router has at that point, and around its fallback.
//!   `MethodRouter::layer` goes around one route.
//! - Each model requires a route. Without one, the delivery is archived, and axum's 404 makes it dead.
//!   [`Inbox::start_workers`](crate::Inbox::start_workers) returns an error for a router without the route of a model.
//! - Inside `Router::nest`, the inbox sees the path without the prefix: mount the models without it, and pass the
//!   router without it to the workers. Requests that match no model pass through **unverified**. Use an extractor of
//!   this crate in every handler, so that such a request is answered 500, or
//!   [reserve](crate::InboxBuilder::reserve_prefix) the prefix.
//! - `a.merge(b)` and `a.nest(.., b)` drop the fallback of `b`. If the inbox is around `b`, requests below reserved
//!   prefixes and to removed endpoints without a route are answered by `a`.
//! - The body can be extracted, too, but axum's `Bytes` and `Json` reject more than 2 MB, even if the limit of the
//!   model is larger. [`Inference::raw`] has the whole body.
//! - The peer address is stored if the request extensions have a [`SocketAddr`](std::net::SocketAddr). axum's
//!   `ConnectInfo` is another type: copy it with a layer of your own.

use std::convert::Infallible;

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use http::{StatusCode, request::Parts};

use crate::{
    delivery::Delivery,
    layer::{Attempt, Batch, Captures, Disposition, EachStatus, Failure, PayloadType},
    provider::{Inference, InferenceKey},
    worker::RouteProbe,
};

/// The last part of a response: `(StatusCode::CONFLICT, Disposition::Dead)`.
impl IntoResponse for Disposition {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// The last part of a response: `(StatusCode::SERVICE_UNAVAILABLE, Failure::new("the ledger database is down"))`.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// The response to a batch.
impl IntoResponse for EachStatus {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// A part of a response before its body: `(StatusCode::CONFLICT, Disposition::Dead, "the order was closed")`.
impl IntoResponseParts for Disposition {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// A part of a response before its body.
impl IntoResponseParts for Failure {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// A part of a response before its body.
impl IntoResponseParts for EachStatus {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

impl<T: Send + Sync + 'static, S: Sync> FromRequestParts<S> for Batch<T> {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| missing(parts, "Batch", "BatchLayer"))
    }
}

impl<T: Send + Sync + 'static, S: Sync> FromRequestParts<S> for Inference<T> {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| missing_inference::<T>(parts))
    }
}

impl<S: Sync> FromRequestParts<S> for Delivery {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| missing(parts, "Delivery", "ArchiveLayer"))
    }
}

impl<S: Sync> FromRequestParts<S> for Captures {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| missing(parts, "Captures", "RouteLayer"))
    }
}

impl<S: Sync> FromRequestParts<S> for Attempt {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().copied().ok_or_else(|| missing(parts, "Attempt", "ProcessLayer"))
    }
}

impl<S: Sync> FromRequestParts<S> for InferenceKey {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| missing(parts, "InferenceKey", "ProcessLayer"))
    }
}

/// Logs why an extractor fails, and returns the status of the response.
fn missing(parts: &Parts, extractor: &str, layer: &str) -> StatusCode {
    if parts.extensions.get::<RouteProbe>().is_some() {
        return StatusCode::NO_CONTENT;
    }
    tracing::error!(
        "the handler expects {extractor}, but no {layer} is around it; put Inbox::layer() around \
         the route, and add a model at its path"
    );
    StatusCode::INTERNAL_SERVER_ERROR
}

fn missing_inference<T>(parts: &Parts) -> StatusCode {
    let expected = std::any::type_name::<T>();
    match (parts.extensions.get::<PayloadType>(), parts.extensions.get::<Delivery>()) {
        (Some(decoded), Some(delivery)) => tracing::error!(
            model = %delivery.model(),
            "the handler expects Inference<{expected}>, but the model decodes to {}; use the same \
             type in both",
            decoded.name()
        ),
        _ => return missing(parts, &format!("Inference<{expected}>"), "ProcessLayer"),
    }
    StatusCode::INTERNAL_SERVER_ERROR
}
