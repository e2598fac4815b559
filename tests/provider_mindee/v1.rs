//! The payloads of Mindee V1.

use std::{fs, time::SystemTime};

use bytes::Bytes;
use http::Request;
use tower_inbox::{
    Secret,
    provider::{
        Payload, Provider,
        mindee_v1::{self, JobStatus, MindeeV1, Response},
    },
    signature::{BodyForm, Scheme},
};

use crate::support::{round_trip, shared};

fn fixture(name: &str) -> Option<Bytes> {
    Some(fs::read(shared()?.join("mindee/v1").join(name)).unwrap().into())
}

#[test]
fn completed_v1_documents_round_trip() {
    for (name, product) in [
        ("get_completed.json", "Mindee/invoice_splitter_beta"),
        ("get_completed_empty.json", "mindee/international_id"),
    ] {
        let Some(body) = fixture(name) else { return };
        let response: Response = round_trip(&body);
        assert_eq!(
            response.document.as_ref().unwrap().inference.product.name.as_deref(),
            Some(product)
        );
        assert_eq!(response.key().id(), &*response.job.id);
        assert!(response.job.error.is_some() && response.job.failure().is_none());
    }
}

#[test]
fn failed_v1_job_round_trips() {
    let Some(body) = fixture("get_failed_job_error.json") else { return };
    let response: Response = round_trip(&body);
    assert!(response.prediction().is_none());
    assert_eq!(response.job.status, Some(JobStatus::Failed));
    assert_eq!(response.job.failure().unwrap().code.as_deref(), Some("ServerError"));
}

#[test]
fn published_v1_signature_matches_in_its_own_header_only() {
    let Some(body) = fixture("get_completed_empty.json") else { return };
    let scheme = mindee_v1::signature(Secret::new("ogNjY44MhvKPGTtVsI8zG82JqWQa68woYQH"))
        .form(BodyForm::RawOrWithoutLineBreaks);
    let head = |name: &str| {
        let signature = "5ed1673e34421217a5dbfcad905ee62261a3dd66c442f3edd19302072bbf70d0";
        Request::post("/").header(name, signature).body(()).unwrap().into_parts().0
    };
    assert!(scheme.verify(&head("X-Mindee-Hmac-Signature"), &body, SystemTime::UNIX_EPOCH).is_ok());
    assert!(scheme.verify(&head("X-Signature"), &body, SystemTime::UNIX_EPOCH).is_err());
    assert_eq!(MindeeV1::NAME, "mindee-v1");
}
