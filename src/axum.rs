//! Extractors for axum. Needs nothing but `axum-core`.
//!
//! [`Inference<T>`], [`Delivery`], [`Captures`], [`InferenceKey`] and [`Attempt`] can be arguments of a handler that is
//! inside an [`Inbox`](crate::Inbox). Where one is missing, the server is wired wrongly: the answer is 500 with an empty body, and
//! the log tells which layer or type is missing.

//!
//! # Mounting
//!
//! - `Router::layer(inbox.layer())` goes around all routes that the router has by then, and around its fallback.
//!   `MethodRouter::layer` goes around one route.
//! - Every model needs a route: without one the delivery is archived, and axum's 404 makes it dead.
//! - Inside of `Router::nest` the inbox sees the rest of the path, without the prefix. A model whose path has the prefix
//!   matches nothing there, and what matches nothing passes through **unverified**: use an extractor of this crate in
//!   every handler, which then responds 500, or [reserve](crate::InboxBuilder::reserve_prefix) the prefix.
//! - `a.merge(b)` and `a.nest(.., b)` drop the fallback of `b`. If the inbox is around `b`, reserved prefixes and removed
//!   endpoints without a route are answered by `a`.
//! - The body can be extracted too, but axum's `Bytes` and `Json` refuse more than 2 MB, whatever the model's limit:
//!   [`Inference::raw`] has it, whole.
//! - The peer's address is kept where the request's extensions hold a [`SocketAddr`](std::net::SocketAddr). axum's
//!   `ConnectInfo` is another type: copy it with a layer of your own.

use std::convert::Infallible;

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use http::{StatusCode, request::Parts};

use crate::{
    delivery::Delivery,
    layer::{Attempt, Captures, Disposition, Failure, PayloadType},
    provider::{Inference, InferenceKey, Payload},
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

impl<T: Payload, S: Sync> FromRequestParts<S> for Inference<T> {
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
        return RouteProbe::STATUS;
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
