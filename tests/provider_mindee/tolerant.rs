//! Tolerant decoding: unexpected values in Mindee's own members do not make the result undecodable, and values that a
//! struct requires are never invented.

use serde::Deserialize;
use serde_json::{Value, json};
use tower_inbox::{
    Inference,
    provider::{
        DecodeError, Payload,
        mindee::{Classification, Confidence, Crop, Extraction, Field, Fields, List, Ocr, Split},
        mindee_v1,
    },
};

use crate::support::{delivery, members::body};

fn load<T: Payload>(body: &str) -> Result<Inference<T>, DecodeError> {
    Inference::load(delivery(body.to_owned()))
}

fn tolerated<T: Payload>(inference: &Inference<T>) -> Vec<String> {
    inference.tolerated().iter().map(ToString::to_string).collect()
}

/// The body of an extraction with these fields, and with the text `file` after the file name.
fn extraction(file: &str, fields: &str) -> String {
    format!(
        r#"{{"inference": {{"id": "i1", "job": {{"id": "j1"}}, "model": {{"id": "m1"}}, "file": {{"name": "a.pdf"{file}}},
            "active_options": {{"polygon": true}}, "result": {{"fields": {fields}}}}}}}"#
    )
}

const AT: &str = "$.inference.result.fields";

#[test]
fn location_page_as_string_or_float_is_decoded() {
    for page in [r#""3""#, "3.0"] {
        let body = extraction(
            "",
            &format!(
                r#"{{"total": {{"value": 1, "locations": [{{"page": {page}, "polygon": [[0, 0]]}}]}}}}"#
            ),
        );
        let read = load::<Extraction>(&body).unwrap();
        let total = read.fields().unwrap().get("total").unwrap().simple().unwrap();
        assert_eq!((total.locations[0].page, total.locations[0].polygon.len()), (Some(3), 1));
        assert_eq!(read.tolerated()[0].path(), format!("{AT}.total.locations[0].page"));
    }
}

#[test]
fn malformed_location_is_skipped_and_others_are_kept() {
    let body = extraction(
        "",
        r#"{"total": {"value": 1, "locations": [{"page": 0}, "page 1", {"page": 2, "polygon": "?"}]}}"#,
    );
    let read = load::<Extraction>(&body).unwrap();
    let total = read.fields().unwrap().get("total").unwrap().simple().unwrap();
    assert_eq!(
        total.locations.iter().map(|place| place.page).collect::<Vec<_>>(),
        [Some(0), Some(2)]
    );
    assert_eq!(
        tolerated(&read),
        [
            format!("{AT}.total.locations[1]: expected an object, found a string"),
            format!("{AT}.total.locations[2].polygon: expected an array of points, found a string"),
        ]
    );
}

#[test]
fn text_context_as_a_string_is_absent() {
    let body = extraction("", "{}")
        .replace(r#""polygon": true"#, r#""text_context": "receipts", "rag": true"#);
    let read = load::<Extraction>(&body).unwrap();
    let options = read.processed().unwrap().active_options.as_ref().unwrap();
    assert_eq!((options.text_context, options.rag), (None, Some(true)));
    assert_eq!(
        tolerated(&read),
        ["$.inference.active_options.text_context: expected a boolean, found a string"]
    );
}

#[test]
fn confidence_as_a_number_is_an_unknown_value() {
    let body = extraction(
        "",
        r#"{"total": {"value": 7, "confidence": 0.93}, "tax": {"value": 1, "confidence": "High"}}"#,
    );
    let read = load::<Extraction<Bill>>(&body).unwrap();
    let bill = read.fields().unwrap();
    assert_eq!(
        (bill.total.value, &bill.total.confidence),
        (Some(7.0), &Some(Confidence::Other("0.93".into())))
    );
    assert_eq!(bill.tax.as_ref().unwrap().confidence, Some(Confidence::High));
    assert!(bill.lines.is_empty());
    assert_eq!(read.tolerated()[0].path(), format!("{AT}.total.confidence"));
}

#[derive(Debug, Deserialize)]
struct Bill {
    total: Field<f64>,
    tax: Option<Field<f64>>,
    #[serde(default)]
    lines: List<Field<u32>>,
}

#[test]
fn failed_inference_with_null_missing_or_malformed_members_is_decoded() {
    for (members, listed) in [
        (r#""model_id": null, "file_name": null, "created_at": null, "error": null"#, 0),
        ("\"new\": 1", 0),
        (r#""error": {"code": null, "title": null, "detail": null, "status": null}"#, 0),
        (r#""error": {"detail": {"total": ["is missing"]}, "status": 422}"#, 0),
        (
            r#""error": {"status": "422", "code": 12, "errors": [7, {"detail": "x"}]}, "file_name": ["a"]"#,
            4,
        ),
        (r#""error": "timeout", "created_at": 1767225600"#, 2),
    ] {
        let body = format!(r#"{{"inference_id": "i1", {members}}}"#);
        let read = load::<Extraction>(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!((read.id(), read.tolerated().len()), ("i1", listed), "{:?}", tolerated(&read));
        assert!(read.fields().unwrap_err().to_string().starts_with("the inference i1 failed"));
    }
    let body = r#"{"inference_id": "i1", "error": {"status": "422", "code": 12, "errors": [7, {"detail": "x"}]}}"#;
    let read = load::<Extraction>(body).unwrap();
    let error = read.failed().unwrap().error.as_ref().unwrap();
    assert_eq!(
        (error.status, error.code.as_deref(), error.errors.len()),
        (Some(422), Some("12"), 1)
    );
    assert_eq!(
        tolerated(&read),
        [
            "$.error.code: expected a string, found an integer",
            "$.error.errors[0]: expected an object, found an integer",
            "$.error.status: expected an integer, found a string",
        ]
    );
}

#[test]
fn null_file_name_and_numeric_alias_are_decoded() {
    let read = load::<Extraction>(&extraction("", "{}").replace(r#""a.pdf""#, "null")).unwrap();
    assert!(read.processed().unwrap().file.name.is_none() && read.tolerated().is_empty());
    let read = load::<Extraction>(&extraction(r#", "alias": 4711"#, "{}")).unwrap();
    assert_eq!(read.alias(), Some("4711"));
    assert_eq!(tolerated(&read), ["$.inference.file.alias: expected a string, found an integer"]);
}

#[test]
fn raw_text_without_pages_and_empty_rag_are_decoded() {
    let body = extraction("", r#"{}, "raw_text": {"pages": null}, "rag": {}"#);
    let read = load::<Extraction>(&body).unwrap();
    assert!(read.result().unwrap().raw_text.as_ref().unwrap().pages.is_empty());
    assert!(read.tolerated().is_empty());
}

#[test]
fn crop_split_classification_and_ocr_with_null_members_are_decoded() {
    let with = |result: &str| extraction("", "{}").replace(r#"{"fields": {}}"#, result);
    let crop =
        load::<Crop>(&with(r#"{"crops": [{"object_type": null, "location": null}]}"#)).unwrap();
    assert!(crop.result().unwrap().crops[0].location.is_none());
    let split =
        load::<Split>(&with(r#"{"splits": [{"page_range": [0, 1], "document_type": null}, {}]}"#))
            .unwrap();
    assert_eq!(split.result().unwrap().splits.len(), 2);
    let class =
        load::<Classification>(&with(r#"{"classification": {"document_type": null}}"#)).unwrap();
    assert!(class.result().unwrap().classification.document_type.is_none());
    let ocr = load::<Ocr>(&with(r#"{"pages": [{"words": [{"content": "a", "polygon": null}, {"content": 7}], "content": null}]}"#)).unwrap();
    let page = &ocr.result().unwrap().pages[0];
    assert_eq!((page.words[1].content.as_deref(), page.words[0].polygon.len()), (Some("7"), 0));
}

#[test]
fn failed_chained_extraction_is_a_failed_response() {
    let body = extraction("", "{}").replace(
        r#"{"fields": {}}"#,
        r#"{"classification": {"document_type": "a", "extraction_response": {"inference_id": "i2", "error": null}}}"#,
    );
    let read = load::<Classification>(&body).unwrap();
    let chained = read.result().unwrap().classification.extraction_response.as_ref().unwrap();
    assert_eq!(chained.fields().unwrap_err().inference_id, "i2");
}

#[test]
fn nan_infinity_lone_surrogates_and_byte_order_mark_are_repaired() {
    let body = format!(
        "\u{feff}{}",
        extraction(
            "",
            r#"{"total": {"value": NaN}, "tax": {"value": -Infinity}, "name": {"value": "a\ud83d"}}"#
        )
    );
    let read = load::<Extraction>(&body).unwrap();
    let fields = read.fields().unwrap();
    assert!(fields.get("total").unwrap().value().is_none());
    assert_eq!(fields.get("name").unwrap().value().unwrap().as_str(), Some("a\u{fffd}"));
    assert_eq!(
        tolerated(&read),
        [
            "$: expected JSON, found a byte order mark".to_owned(),
            format!("{AT}.total.value: expected a number, found NaN"),
            format!("{AT}.tax.value: expected a number, found -Infinity"),
            format!("{AT}.name.value: expected a character, found half of a surrogate pair"),
        ]
    );
    assert_eq!(read.raw(), body.as_bytes(), "the raw body is as it came");
}

#[test]
fn fields_keep_their_order_and_repeated_fields_are_errors_with_their_path() {
    let read = load::<Extraction>(&extraction(
        r#", "alias": 1"#,
        r#"{"z": {"value": 1}, "a": {"value": 2}, "m": null}"#,
    ))
    .unwrap();
    let names: Vec<_> = read.fields().unwrap().iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["z", "a", "m"]);
    let repeated = load::<Extraction>(&extraction("", r#"{"a": {"value": 1}, "a": {"value": 2}}"#))
        .unwrap_err();
    assert_eq!(repeated.path(), AT);
    let repeated =
        load::<Extraction>(&extraction(r#", "alias": "a", "alias": "b""#, "{}")).unwrap();
    assert_eq!(repeated.alias(), Some("b"), "of a member of Mindee's own the last one counts");
    let listed = "$.inference.file.alias: expected each member once, found a repeated one";
    assert_eq!(tolerated(&repeated), [listed]);
    let out_of_range =
        load::<Extraction>(&extraction("", r#"{"a": {"value": 1e400}}"#)).unwrap_err();
    assert_eq!(out_of_range.path(), format!("{AT}.a.value"));
}

#[test]
fn fields_nested_deeper_than_128_levels_are_errors_with_their_path() {
    let nested = |levels: usize| {
        let (open, close) = (r#"{"items": [{"fields": {"x": "#, "}}]}");
        let fields = format!("{}{{\"value\": 1}}{}", open.repeat(levels), close.repeat(levels));
        load::<Extraction>(&extraction(r#", "alias": 7"#, &format!(r#"{{"a": {fields}}}"#)))
    };
    assert_eq!(nested(20).unwrap().tolerated().len(), 1);
    let error = nested(80).unwrap_err();
    assert!(error.path().starts_with(&format!("{AT}.a.items[0]")), "{error}");
}

#[test]
fn value_of_wrong_type_for_a_user_struct_is_an_error_with_its_path() {
    for (fields, path) in [
        (r#"{"total": {"value": "12.5"}}"#, ".total.value"),
        (r#"{"total": {"value": true}}"#, ".total.value"),
        (r#"{"total": {"value": {}}}"#, ".total.value"),
        (
            r#"{"total": {"value": 1}, "lines": {"items": [{"value": 1}, {"value": "2"}]}}"#,
            ".lines.items[1].value",
        ),
        (r#"{"total": {"value": 1}, "lines": {"items": {}}}"#, ".lines.items"),
        (r#"{"total": 12.5}"#, ".total"),
    ] {
        for file in ["", r#", "alias": 7"#] {
            let error = load::<Extraction<Bill>>(&extraction(file, fields)).unwrap_err();
            assert_eq!(
                error.path(),
                format!("{AT}{path}"),
                "what was tolerated is not what prevents decoding: {file}"
            );
        }
    }
    let total: Field<f64> = serde_json::from_value(json!({"value": 1})).unwrap();
    assert_eq!(total.value, Some(1.0));
}

#[test]
fn v1_rotation_and_page_ids_as_strings_are_decoded() {
    let body = r#"{"document": {"id": "d", "inference": {"product": {"name": "a/b"}, "prediction": {"total": {"value": "x"}},
        "is_rotation_applied": "True", "pages": [{"id": "1"}, {"id": 2}, null], "processing_time": "1.5"}},
        "job": {"id": "j", "status": "completed", "error": {}}}"#;
    let read = load::<mindee_v1::Response>(body).unwrap();
    let inference = &read.document.as_ref().unwrap().inference;
    assert_eq!(inference.is_rotation_applied, Some(true));
    assert_eq!(inference.pages.iter().map(|page| page.id).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(inference.processing_time, Some(1.5));
    assert_eq!(read.tolerated().len(), 4, "{:?}", tolerated(&read));
}

/// A Mindee inference with this result.
fn processed(result: &Value) -> Value {
    json!({"inference": {"id": "i", "job": {"id": "j"}, "model": {"id": "m"},
        "file": {"name": "a", "alias": "b", "page_count": 1, "mime_type": "c"},
        "active_options": {"raw_text": true, "polygon": true, "confidence": true, "rag": true, "text_context": true,
            "data_schema": {"replace": true}, "multipage_context": true},
        "result": result}})
}

#[test]
fn malformed_members_of_extractions_and_failures_do_not_prevent_decoding() {
    let place = || json!([{"page": 0, "polygon": [[0, 0], [1, 1]]}]);
    let result = json!({
        "fields": {
            "a": {"value": 1, "confidence": "High", "locations": place()},
            "b": {"fields": {"c": {"value": "x"}}, "confidence": "Low", "locations": place()},
            "d": {"items": [{"value": true}], "confidence": "Low", "locations": place()},
        },
        "raw_text": {"pages": [{"content": "a"}]},
        "rag": {"retrieved_document_id": "r"},
    });
    let at = |path: &str| format!("/inference/result/fields/{path}");
    let values = [at("a/value"), at("b/fields"), at("d/items")].map(|path| &*path.leak());
    body(
        processed(&result),
        &["/inference", "/inference/id", "/inference/result", "/inference/result/fields"],
    )
    .with_users(values.to_vec().leak())
    .is_lenient_as::<Extraction<Fields>>();
    body(
        json!({"inference_id": "i", "model_id": "m", "file_name": "f", "file_alias": "a", "created_at": "t",
            "error": {"status": 500, "title": "t", "detail": "d", "code": "c",
                "errors": [{"pointer": "p", "detail": "d"}]}}),
        &["/inference_id"],
    )
    .is_lenient_as::<Extraction<Fields>>();
}

#[test]
fn malformed_members_of_other_products_do_not_prevent_decoding() {
    let required = &["/inference", "/inference/id", "/inference/result"];
    let crops =
        json!({"crops": [{"object_type": "a", "location": {"page": 0, "polygon": [[0, 0]]}}]});
    body(
        processed(&crops),
        &["/inference", "/inference/id", "/inference/result", "/inference/result/crops"],
    )
    .with_around_users(&["/inference/result/crops/0"])
    .is_lenient_as::<Crop>();
    let splits = json!({"splits": [{"page_range": [0, 1], "document_type": "a"}]});
    body(
        processed(&splits),
        &["/inference", "/inference/id", "/inference/result", "/inference/result/splits"],
    )
    .with_around_users(&["/inference/result/splits/0"])
    .is_lenient_as::<Split>();
    let class = json!({"classification": {"document_type": "a"}});
    body(
        processed(&class),
        &["/inference", "/inference/id", "/inference/result", "/inference/result/classification"],
    )
    .is_lenient_as::<Classification>();
    let words =
        json!({"pages": [{"words": [{"content": "a", "polygon": [[0, 0]]}], "content": "a"}]});
    body(processed(&words), required).is_lenient_as::<Ocr>();
}

#[test]
fn malformed_members_of_mindee_v1_do_not_prevent_decoding() {
    body(
        json!({"document": {"id": "d", "name": "n", "n_pages": 1, "inference": {"started_at": "t", "finished_at": "t",
                "processing_time": 1.5, "is_rotation_applied": true, "product": {"name": "p", "version": "1", "type": "t",
                "features": ["a"]}, "prediction": {"a": 1}, "pages": [{"id": 0, "prediction": {}, "orientation": {"value": 0},
                "extras": {}}], "extras": {}}},
            "job": {"id": "j", "issued_at": "t", "available_at": "t", "status": "completed",
                "error": {"code": "c", "message": "m", "details": "d"}}}),
        &["/document/inference", "/job", "/job/id"],
    )
    .with_users(&["/document/inference/prediction"])
    .with_around_users(&["/document"])
    .is_lenient_as::<mindee_v1::Response<serde_json::Map<String, Value>>>();
}
