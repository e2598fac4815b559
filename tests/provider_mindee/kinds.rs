//! The kinds of fields are distinguished for any order of their members.

use tower_inbox::provider::mindee::{AnyField, Confidence, Field, Fields, List, Object, Value};

fn read(json: &str) -> AnyField {
    serde_json::from_str(json).unwrap()
}

#[test]
fn member_that_determines_the_field_kind_can_be_at_any_position() {
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
fn field_is_found_by_an_explicit_path() {
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
fn null_member_does_not_determine_the_field_kind() {
    assert!(read(r#"{"value": null, "items": []}"#).list().is_some());
    assert!(read(r#"{"fields": {}, "value": null, "items": null}"#).object().is_some());
    assert!(read(r#"{"value": 1, "items": null}"#).simple().is_some());
}

#[test]
fn field_of_unknown_or_ambiguous_kind_is_kept_as_json() {
    for json in [
        "{}",
        "1",
        "-1.5",
        "true",
        "\"a\"",
        "[]",
        r#"["a",null,[{"b":1}]]"#,
        r#"{"confidence":"High"}"#,
        r#"{"items":[],"value":1}"#,
        r#"{"confidence":"High","fields":{"a":{"value":1}},"items":[],"new":{"b":[1]}}"#,
    ] {
        let field = read(json);
        assert!(matches!(field, AnyField::Other(_)), "{json}");
        assert_eq!(serde_json::to_string(&field).unwrap(), json);
    }
    assert!(serde_json::from_str::<AnyField>(r#"{"value": 1, "value": 2}"#).is_err());
}

#[derive(serde::Deserialize)]
struct Bill {
    total: Field<f64>,
    lines: List<Object<Fields>>,
    supplier: Object<Fields>,
}

#[test]
fn null_field_is_a_field_without_a_value() {
    assert_eq!(read("null"), AnyField::Simple(Field::default()));
    let fields: Fields =
        serde_json::from_str(r#"{"a": null, "b": {"fields": {"c": null}}}"#).unwrap();
    assert!(fields.get("a").unwrap().simple().is_some());
    assert!(fields.get("b").unwrap().object().unwrap().get("c").unwrap().simple().is_some());

    let bill: Bill =
        serde_json::from_str(r#"{"total": null, "lines": null, "supplier": null}"#).unwrap();
    assert!(bill.total.value.is_none() && bill.lines.is_empty() && bill.supplier.is_empty());
    let bill: Bill = serde_json::from_str(
        r#"{"total": null, "lines": {"items": null}, "supplier": {"fields": null}}"#,
    )
    .unwrap();
    assert!(bill.lines.is_empty() && bill.supplier.is_empty());
    for absent in [
        r#"{"lines": null, "supplier": null}"#,
        r#"{"total": null, "supplier": null}"#,
        r#"{"total": null, "lines": null}"#,
    ] {
        assert!(
            serde_json::from_str::<Bill>(absent).is_err(),
            "a misspelt name is an error: {absent}"
        );
    }
}
