//! What is loaded and written again is what was posted.

use std::{fs, path::Path};

use bytes::Bytes;
use tower_inbox::provider::{
    Payload,
    mindee::{Extraction, Fields},
};

use crate::support::{own, round_trip, shared};

fn json_files(folder: &Path) -> Vec<Bytes> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    json.map(|path| fs::read(path).unwrap().into()).collect()
}

#[test]
fn every_shared_fixture_comes_back() {
    let Some(folder) = shared() else { return };
    let extractions = json_files(&folder.join("mindee/v2/extraction"));
    assert!(extractions.len() >= 6, "only {} extractions", extractions.len());
    for body in extractions {
        assert!(round_trip::<Extraction<Fields>>(&body).processed().is_some());
    }
    let failures = json_files(&folder.join("mindee/v2/webhook"));
    assert!(!failures.is_empty());
    for body in failures {
        assert!(round_trip::<Extraction<Fields>>(&body).failed().is_some());
    }
}

#[test]
fn our_own_invoice_comes_back() {
    let invoice = round_trip::<Extraction<Fields>>(&own("mindee/invoice.json"));
    assert_eq!(invoice.key().to_string(), "6f1c0c5e-3f0e-4d5b-9a63-0d8f5a6b7c81");
    assert_eq!(invoice.alias(), Some("order-4711"));
}

#[test]
fn integers_and_floats_stay_what_they_are() {
    let invoice = Extraction::<Fields>::decode(&own("mindee/invoice.json")).unwrap();
    let written = serde_json::to_string(&invoice).unwrap();
    assert!(written.contains(r#""total_amount":{"value":1250.0,"#), "{written}");
    assert!(written.contains(r#""total_items":{"value":3}"#), "{written}");
    assert!(written.contains(r#""polygon":[[0,0],[1,0],[0.5,1]]"#), "{written}");
}

#[test]
fn a_failed_inference_comes_back() {
    let response = round_trip::<Extraction<Fields>>(&own("mindee/failed.json"));
    assert_eq!(response.key().id(), "1f2e3d4c-0000-4000-8000-000000000001");
    let failed = response.fields().unwrap_err();
    assert_eq!(failed.error.as_ref().unwrap().errors.len(), 2);
    assert_eq!(
        failed.to_string(),
        "the inference 1f2e3d4c-0000-4000-8000-000000000001 failed: 422-099 Unreadable file"
    );
}

#[test]
fn old_and_unknown_members_do_not_fail() {
    let old = Extraction::<Fields>::decode(&own("mindee/old.json")).unwrap();
    let processed = old.processed().unwrap();
    assert_eq!(processed.job, None);
    assert_eq!(processed.file.page_count, None);
    assert_eq!(processed.active_options, None);
    assert_eq!(old.fields().unwrap().len(), 1);
}

#[test]
fn a_failure_without_an_error_is_read() {
    let body = Bytes::from_static(
        br#"{"created_at": "2026-03-01T09:00:00Z", "file_name": "a", "model_id": "m", "inference_id": "i"}"#,
    );
    let response = round_trip::<Extraction<Fields>>(&body);
    assert_eq!(response.failed().unwrap().error, None);
}
