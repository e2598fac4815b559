//! Payloads are equal to the posted ones after decoding and encoding.

use std::{fs, path::Path};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tower_inbox::provider::{
    Payload,
    mindee::{
        Classification, Crop, ErrorResponse, Extraction, Fields, JobResponse, JobStatus, Ocr,
        Split, catalogue::FinancialDocument,
    },
};

use crate::support::{by_meaning, own, round_trip, shared};

fn json_files(folder: &Path) -> Vec<Bytes> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    json.map(|path| fs::read(path).unwrap().into()).collect()
}

fn all_come_back<T: Payload + Serialize>(folder: &Path, least: usize) -> Vec<T> {
    let bodies = json_files(folder);
    assert!(bodies.len() >= least, "only {} in {}", bodies.len(), folder.display());
    bodies.iter().map(round_trip).collect()
}

fn files_come_back<T: Serialize + DeserializeOwned>(folder: &Path, least: usize) -> Vec<T> {
    let files = json_files(folder);
    assert!(files.len() >= least, "only {} in {}", files.len(), folder.display());
    let mut all = Vec::new();
    for file in files {
        let read: T = serde_json::from_slice(&file).unwrap();
        let original = serde_json::from_slice(&file).unwrap();
        assert_eq!(by_meaning(serde_json::to_value(&read).unwrap()), by_meaning(original));
        all.push(read);
    }
    all
}

#[test]
fn results_of_all_products_round_trip() {
    let Some(folder) = shared().map(|folder| folder.join("mindee/v2")) else { return };
    let classes = all_come_back::<Classification>(&folder.join("classification"), 1);
    assert_eq!(
        classes[0].result().unwrap().classification.document_type.as_deref(),
        Some("invoice")
    );
    let crops = all_come_back::<Crop>(&folder.join("crop"), 2);
    assert!(crops.iter().any(|crop| crop.result().unwrap().crops[0].extraction_response.is_some()));
    let splits = all_come_back::<Split>(&folder.join("split"), 2);
    assert!(
        splits.iter().all(|split| split.result().unwrap().splits[0].page_range.unwrap().first == 0)
    );
    let ocr = all_come_back::<Ocr>(&folder.join("ocr"), 1);
    assert_eq!(ocr[0].result().unwrap().pages[0].words.len(), 305);
}

#[test]
fn jobs_and_errors_round_trip() {
    let Some(folder) = shared().map(|folder| folder.join("mindee/v2")) else { return };
    let jobs = files_come_back::<JobResponse>(&folder.join("job"), 3);
    assert!(!jobs.iter().any(|job| matches!(job.job.status, JobStatus::Other(_))));
    files_come_back::<ErrorResponse>(&folder.join("errors"), 2);
}

#[test]
fn chained_extraction_is_decoded_to_a_struct() {
    let Some(folder) = shared() else { return };
    let body = fs::read(folder.join("mindee/v2/split/default_sample_extraction.json")).unwrap();
    let split = Split::<FinancialDocument>::decode(&body.into()).unwrap();
    let part = &split.result().unwrap().splits[0];
    let chained = part.extraction_response.as_ref().unwrap();
    let inference = chained.processed().unwrap();
    assert_eq!(inference.job.as_ref().unwrap().id.as_ref(), Some(&inference.id));
    assert_eq!(chained.fields().unwrap().date.value.as_deref(), Some("2020-02-17"));
}

#[test]
fn unknown_members_round_trip_at_any_position() {
    let member = r#""new": {"a": [1.50, null, "x"]}"#;
    let body = format!(
        r#"{{{member}, "job": {{"id": "old"}}, "model_id": "m", "inference": {{{member}, "id": "i",
            "job": {{"id": "j", {member}}}, "model": {{"id": "m", {member}}}, "file": {{"name": "f", {member}}},
            "active_options": {{"data_schema": {{{member}}}, {member}}},
            "result": {{{member}, "rag": {{"retrieved_document_id": "r", {member}}},
                "raw_text": {{"pages": [{{"content": "", {member}}}], {member}}},
                "fields": {{"a": {{"value": 1, {member}, "locations": [{{"page": 0, "polygon": [], {member}}}]}},
                    "b": {{"fields": {{}}, {member}}}, "c": {{"items": [], {member}, "locations": []}}}}}}}}}}"#
    );
    round_trip::<Extraction>(&Bytes::from(body));
    let failed = format!(
        r#"{{"inference_id": "i", "model_id": "m", "file_name": "f", "created_at": "c", {member},
            "error": {{"status": 500, "title": "t", "detail": "d", "code": "c", {member},
                "errors": [{{"detail": "d", {member}}}]}}}}"#
    );
    round_trip::<Extraction>(&Bytes::from(failed));
}

#[test]
fn every_shared_fixture_round_trips() {
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
fn invoice_round_trips() {
    let invoice = round_trip::<Extraction<Fields>>(&own("mindee/invoice.json"));
    assert_eq!(invoice.key().to_string(), "6f1c0c5e-3f0e-4d5b-9a63-0d8f5a6b7c81");
    assert_eq!(invoice.alias(), Some("order-4711"));
}

#[test]
fn integers_and_floats_round_trip() {
    let invoice = Extraction::<Fields>::decode(&own("mindee/invoice.json")).unwrap();
    let written = serde_json::to_string(&invoice).unwrap();
    assert!(written.contains(r#""total_amount":{"value":1250.0,"#), "{written}");
    assert!(written.contains(r#""total_items":{"value":3}"#), "{written}");
    assert!(written.contains(r#""polygon":[[0,0],[1,0],[0.5,1]]"#), "{written}");
}

#[test]
fn failed_inference_round_trips() {
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
fn old_and_unknown_members_are_accepted() {
    let old = Extraction::<Fields>::decode(&own("mindee/old.json")).unwrap();
    let processed = old.processed().unwrap();
    assert_eq!(processed.job, None);
    assert_eq!(processed.file.page_count, None);
    assert_eq!(processed.active_options, None);
    assert_eq!(old.fields().unwrap().len(), 1);
}

#[test]
fn failed_inference_without_an_error_is_decoded() {
    let body = Bytes::from_static(
        br#"{"created_at": "2026-03-01T09:00:00Z", "file_name": "a", "model_id": "m", "inference_id": "i"}"#,
    );
    let response = round_trip::<Extraction<Fields>>(&body);
    assert_eq!(response.failed().unwrap().error, None);
}
