//! Deliveries with headers, for keys in the head.

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use tower_inbox::{Delivery, DeliveryId, delivery::Redaction, signature::Proof};

/// A delivery of `body` with one header.
pub(crate) fn delivery(body: &Bytes, header: (&str, &str)) -> Delivery {
    let (head, ()) = Request::post("/a").header(header.0, header.1).body(()).unwrap().into_parts();
    Delivery::received(
        DeliveryId::new(),
        "a".parse().unwrap(),
        &head,
        body.clone(),
        SystemTime::now(),
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
    )
}
