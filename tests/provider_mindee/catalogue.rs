//! The structs for the models of the catalogue.

use std::fs;

use serde_json::Value;
use tower_inbox::provider::{
    Payload,
    mindee::{
        Extraction,
        catalogue::{FinancialDocument, FinancialDocumentType, Invoice, RegistrationType},
    },
};

use crate::support::{by_meaning, shared};

fn fixture(name: &str) -> Option<(Value, Extraction<FinancialDocument>)> {
    let path = shared()?.join("mindee/v2/extraction").join(name);
    let body = fs::read(path).unwrap();
    let json = serde_json::from_slice(&body).unwrap();
    Some((json, Extraction::decode(&body.into()).unwrap()))
}

#[test]
fn financial_document_is_decoded() {
    let Some((_, response)) = fixture("financial_document_complete.json") else { return };
    let document = response.fields().unwrap();
    assert_eq!(document.total_amount.value, Some(204.75));
    assert_eq!(document.date.value.as_deref(), Some("2019-11-02"));
    assert_eq!(document.document_type.value, Some(FinancialDocumentType::Invoice));
    assert_eq!(document.locale.currency.value.as_deref(), Some("EUR"));
    assert_eq!(document.line_items[1].description.value.as_deref(), Some("New set of pedal arms"));
    let registration = &document.supplier_company_registration[0];
    assert_eq!(registration.kind.value, Some(RegistrationType::Vat));
    assert_eq!(document.supplier_address.city.value.as_deref(), Some("FakeCity"));
    assert_eq!(document.due_date.value.as_deref(), Some("2019-02-26"));
    assert_eq!(document.tip.value, None);
    let renamed = document.other.get("customer_company_registrations").unwrap();
    assert_eq!(renamed.list().unwrap().len(), 2);
}

/// Removes empty objects: a field without a value is not serialized.
fn without_blanks(json: Value) -> Value {
    match json {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, without_blanks(value)))
            .filter(|(_, value)| !value.as_object().is_some_and(serde_json::Map::is_empty))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_blanks).collect(),
        other => other,
    }
}

#[test]
fn financial_document_round_trips() {
    let Some((json, response)) = fixture("financial_document_complete.json") else { return };
    let written = serde_json::to_value(&response).unwrap();
    assert_eq!(without_blanks(by_meaning(written)), without_blanks(by_meaning(json)));
}

#[test]
fn blank_document_and_empty_fields_are_decoded() {
    let Some((_, response)) = fixture("financial_document_blank.json") else { return };
    let document = response.fields().unwrap();
    assert_eq!(document.total_amount.value, None);
    assert!(document.line_items.is_empty());
    let nothing: Invoice = serde_json::from_str("{}").unwrap();
    assert_eq!(nothing, Invoice::default());
    assert_eq!(serde_json::to_string(&nothing).unwrap(), "{}");
}

#[test]
fn repeated_field_is_an_error() {
    for json in [
        r#"{"tip": {"value": 1}, "tip": {"value": 1}}"#,
        r#"{"own": {"value": 1}, "own": {"value": 1}}"#,
    ] {
        assert!(serde_json::from_str::<FinancialDocument>(json).is_err(), "{json}");
    }
}
