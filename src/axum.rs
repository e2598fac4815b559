//! Extractors for axum. Needs nothing but `axum-core`.
//!
//! [`Inference<T>`], [`Delivery`] and [`Captures`] can be arguments of a handler that is inside an
//! [`Inbox`](crate::Inbox). Where one is missing, the server is wired wrongly: the answer is 500 with an empty body, and
//! the log tells which layer or type is missing.

use axum_core::extract::FromRequestParts;
use http::{StatusCode, request::Parts};

use crate::{
    delivery::Delivery,
    layer::Captures,
    provider::{Inference, Payload},
};

impl<T: Payload, S: Sync> FromRequestParts<S> for Inference<T> {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| missing_inference::<T>(parts))
    }
}

impl<S: Sync> FromRequestParts<S> for Delivery {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| missing("Delivery", "ArchiveLayer"))
    }
}

impl<S: Sync> FromRequestParts<S> for Captures {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| missing("Captures", "RouteLayer"))
    }
}

fn missing(what: &str, layer: &str) -> StatusCode {
    tracing::error!(
        "the handler asks for {what}, but no {layer} is around it: mount Inbox::layer() above the \
         route, and a model at its path"
    );
    StatusCode::INTERNAL_SERVER_ERROR
}

fn missing_inference<T>(parts: &Parts) -> StatusCode {
    let asked = std::any::type_name::<T>();
    match parts.extensions.get::<Delivery>() {
        Some(delivery) => tracing::error!(
            "the handler asks for Inference<{asked}>, but the model {} is of another type: make \
             the two the same",
            delivery.model()
        ),
        None => return missing(&format!("Inference<{asked}>"), "DecodeLayer"),
    }
    StatusCode::INTERNAL_SERVER_ERROR
}
