//! Malformed bodies: an error that contains the place, and never a panic.

use std::thread;

use bytes::Bytes;
use serde::Deserialize;
use tower_inbox::provider::{
    DecodeError, Payload,
    mindee::{Extraction, Field, Fields, List, Object},
};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only what cannot be read counts here")]
struct Bill {
    total: Field<f64>,
    #[serde(default)]
    lines: List<Object<Line>>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only what cannot be read counts here")]
struct Line {
    price: Field<f64>,
}

fn with_fields(fields: &str) -> String {
    format!(
        r#"{{"inference": {{"id": "i", "model": {{"id": "m"}}, "file": {{"name": "f"}}, "result": {{"fields": {fields}}}}}}}"#
    )
}

fn decode<F>(body: impl Into<Vec<u8>>) -> Result<(), DecodeError>
where
    Extraction<F>: Payload,
{
    Extraction::<F>::decode(&Bytes::from(body.into())).map(drop)
}

fn error<F>(body: impl Into<Vec<u8>>) -> DecodeError
where
    Extraction<F>: Payload,
{
    decode::<F>(body).unwrap_err()
}

fn why(error: &DecodeError) -> String {
    error.parser_error().to_string()
}

#[test]
fn empty_body_and_invalid_json_are_errors_at_the_root() {
    for body in
        ["", " ", "null", "true", "1", "\"a\"", "[]", "<html>", "{", "{\"inference\"", "{}x"]
    {
        assert_eq!(error::<Fields>(body).path().split('.').next(), Some("$"), "{body}");
    }
    assert!(error::<Fields>("").to_string().contains("ends too early"));
    assert!(error::<Fields>("<html>").to_string().contains("not JSON"));
}

#[test]
fn object_of_neither_variant_is_an_error_with_the_expected_members() {
    for body in ["{}", r#"{"job": {"id": "j"}}"#, r#"{"inference": null}"#] {
        let error = error::<Fields>(body);
        assert_eq!(error.path(), "$");
        assert!(why(&error).contains("`inference`"), "{}", why(&error));
    }
}

#[test]
fn error_has_the_path_of_the_invalid_value() {
    let path = |fields: &str| error::<Bill>(with_fields(fields)).path().to_owned();
    let at = |path: &str| format!("$.inference.result.fields{path}");
    assert_eq!(path(r#"{"total": {"value": "twelve"}}"#), at(".total.value"));
    assert_eq!(path(r#"{"total": {"confidence": "High"}}"#), at(".total"));
    assert_eq!(path(r#"{"total": [1, null, null]}"#), at(".total"));
    assert_eq!(path("{}"), at(""));
    assert_eq!(
        path(
            r#"{"total": {"value": 1}, "lines": {"items": [{"fields": {"price": {"value": []}}}]}}"#
        ),
        at(".lines.items[0].fields.price.value")
    );
    assert_eq!(
        path(r#"{"total": {"value": 1, "locations": [{"page": 0, "polygon": [[0, 0], [0]]}]}}"#),
        at(".total.locations[0].polygon[1]")
    );
    assert_eq!(error::<Bill>(r#"{"inference": {"id": 7}}"#).path(), "$.inference.id");
}

#[test]
fn error_in_a_failed_inference_has_its_path() {
    let path = |member: &str, value: &str| {
        let failed =
            r#"{"inference_id": "i", "model_id": "m", "file_name": "f", "created_at": "t"}"#;
        let known = format!("\"{member}\": ");
        let failed = if failed.contains(&known) {
            failed.replace(&known, &format!("{known}{value}, \"new\": "))
        } else {
            failed.replacen('{', &format!("{{{known}{value}, "), 1)
        };
        error::<Fields>(failed).path().to_owned()
    };
    assert_eq!(path("error", r#"{"status": "x"}"#), "$.error.status");
    assert_eq!(path("file_name", "7"), "$.file_name");
    assert_eq!(path("file_alias", "[]"), "$.file_alias");
    assert_eq!(path("created_at", "{}"), "$.created_at");
}

#[test]
fn error_in_nested_fields_has_its_path() {
    let path = |fields: &str| error::<Fields>(with_fields(fields)).path().to_owned();
    let at = |path: &str| format!("$.inference.result.fields{path}");
    assert_eq!(
        path(r#"{"a": {"fields": {"b": {"items": [{"value": 1}, {"fields": 7}]}}}}"#),
        at(".a.fields.b.items[1].fields")
    );
    assert_eq!(path(r#"{"a": {"value": 1, "confidence": 0.5}}"#), at(".a.confidence"));
    assert_eq!(path("[]"), at(""));
}

#[test]
fn repeated_members_are_errors() {
    for body in [
        with_fields(r#"{"a": {"value": 1}, "b": {"value": 1}, "a": {"value": 2}}"#),
        with_fields(r#"{"a": {"value": 1, "value": 1}}"#),
        r#"{"inference_id": "i", "inference_id": "i"}"#.to_owned(),
        format!(r#"{{"inference": null, {}"#, &with_fields("{}")[1..]),
    ] {
        assert!(decode::<Fields>(&*body).is_err(), "{body}");
    }
    assert!(
        decode::<Bill>(with_fields(r#"{"total": {"value": 1}, "total": {"value": 1}}"#)).is_err()
    );
}

#[test]
fn invalid_utf8_is_an_error() {
    let mut body = with_fields(r#"{"a": {"value": "?"}}"#).into_bytes();
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xff;
    assert!(decode::<Fields>(body).is_err());
    assert!(decode::<Fields>(with_fields(r#"{"a": {"value": "\ud800"}}"#)).is_err());
    assert!(decode::<Fields>(with_fields(r#"{"\ud800": {"value": 1}}"#)).is_err());
}

#[test]
fn numbers_out_of_range_are_errors_and_large_numbers_are_not() {
    assert!(decode::<Fields>(with_fields(r#"{"a": {"value": 1e400}}"#)).is_err());
    assert!(decode::<Bill>(with_fields(r#"{"total": {"value": -1e400}}"#)).is_err());
    let digits = "9".repeat(300);
    assert!(decode::<Fields>(with_fields(&format!(r#"{{"a": {{"value": {digits}}}}}"#))).is_ok());
    assert!(decode::<Bill>(with_fields(r#"{"total": {"value": 18446744073709551616}}"#)).is_ok());
}

fn nested(levels: usize) -> String {
    let (open, close) = (r#"{"a": {"fields": "#.repeat(levels), "}}".repeat(levels));
    with_fields(&format!("{open}{{}}{close}"))
}

fn with_unknown(levels: usize) -> String {
    let unknown = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    with_fields("{}").replacen('{', &format!(r#"{{"new": {unknown}, "#), 1)
}

#[test]
fn twenty_levels_are_decoded() {
    assert!(decode::<Fields>(nested(20)).is_ok());
}

#[test]
fn ten_thousand_levels_are_an_error_or_skipped_in_unknown_members() {
    let decode_all = || {
        for body in [
            nested(10_000),
            with_fields(&r#"{"a": {"items": ["#.repeat(10_000)),
            with_fields(&format!(r#"{{"a": {{"value": {}}}}}"#, "[".repeat(10_000))),
            "[".repeat(10_000),
            r#"{"inference":"#.repeat(10_000),
        ] {
            assert!(decode::<Fields>(body).is_err());
        }
        assert!(decode::<Fields>(with_unknown(10_000)).is_ok());
    };
    let thread = thread::Builder::new().stack_size(1 << 20).spawn(decode_all).unwrap();
    thread.join().unwrap();
}
