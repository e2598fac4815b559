//! Tests of the parts together.

use std::time::{Duration, SystemTime};

use http::{Method, Version};

use super::{entry::Place, name::SegmentName, warc::Salt};
use crate::{
    delivery::{Delivery, DeliveryId, Head},
    signature::Proof,
};

pub(in crate::archive::disk) fn delivery(model: &str, body: &[u8]) -> Delivery {
    let uri = "/hooks?a=b".parse().unwrap();
    let headers = http::HeaderMap::new();
    let host = Some("example.com".to_owned());
    let head = Head::from_archive(Method::POST, uri, Version::HTTP_11, headers, host, None);
    let received_at = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    let proof = Proof::new("none", "", "raw");
    let body = body.to_vec().into();
    Delivery::new(DeliveryId::new(), model.parse().unwrap(), head, body, received_at, proof)
}

pub(in crate::archive::disk) fn a_place() -> Place {
    let segment = SegmentName { sequence: 1, salt: Salt::random() };
    Place { segment, offset: 0, length: 1 }
}
