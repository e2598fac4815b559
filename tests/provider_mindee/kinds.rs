//! The kinds of fields, told apart whatever the order of their members.

use tower_inbox::provider::mindee::{AnyField, Confidence, Fields, Value};

fn read(json: &str) -> AnyField {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_deciding_member_may_stand_anywhere() {
    let location = r#"{"page": 0, "polygon": [[0, 0], [1, 0], [1, 1]]}"#;
    let simple = format!(r#"{{"confidence": "Low", "locations": [{location}], "value": 1}}"#);
    assert_eq!(read(&simple).simple().unwrap().locations.len(), 1);
    assert_eq!(read(&simple).confidence(), Some(&Confidence::Low));
    let object = format!(r#"{{"locations": [{location}], "fields": {{"a": {{"value": true}}}}}}"#);
    assert_eq!(read(&object).object().unwrap().locations.len(), 1);
    let list = r#"{"confidence": "High", "new": {"a": [1]}, "items": [{"value": "x"}]}"#;
    assert_eq!(read(list).list().unwrap().len(), 1);
}

#[test]
fn an_explicit_path_leads_through_the_kinds() {
    let fields: Fields = serde_json::from_str(
        r#"{"a": {"fields": {"b": {"items": [{"fields": {"c": {"value": 7}}}]}}}}"#,
    )
    .unwrap();
    let c = || fields.get("a")?.object()?.get("b")?.list()?.first()?.object()?.get("c")?.value();
    assert_eq!(c().and_then(Value::as_i64), Some(7));
    assert!(fields.get("b").is_none());
}

#[test]
fn values_keep_their_type() {
    let value = |json: &str| read(&format!(r#"{{"value": {json}}}"#)).value().cloned();
    assert_eq!(value("null"), None);
    assert_eq!(value("\"a\"").unwrap().as_str(), Some("a"));
    assert_eq!(value("true").unwrap().as_bool(), Some(true));
    assert_eq!(value("2145").unwrap().as_i64(), Some(2145));
    assert_eq!(value("2145.0").unwrap().as_i64(), None);
    assert_eq!(value("2145.0").unwrap().as_f64(), Some(2145.0));
    assert!(matches!(value("[1]"), Some(Value::Other(_))));
}

#[test]
fn null_does_not_decide() {
    assert!(read(r#"{"value": null, "items": []}"#).list().is_some());
    assert!(read(r#"{"fields": {}, "value": null, "items": null}"#).object().is_some());
    assert!(read(r#"{"value": 1, "items": null}"#).simple().is_some());
}

#[test]
fn a_field_of_no_kind_or_of_two_is_refused() {
    for json in [
        "{}",
        "null",
        "1",
        "[]",
        r#"["a", null, []]"#,
        r#"{"confidence": "High"}"#,
        r#"{"items": null}"#,
        r#"{"value": 1, "items": []}"#,
        r#"{"fields": {}, "items": []}"#,
        r#"{"value": 1, "value": 2}"#,
    ] {
        assert!(serde_json::from_str::<AnyField>(json).is_err(), "{json}");
    }
}
