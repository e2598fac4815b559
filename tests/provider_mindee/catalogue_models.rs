//! Every catalogue model has the fields that Mindee lists for it, with the listed types.

use std::{fmt::Debug, time::SystemTime};

use http::Request;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tower_inbox::{
    Delivery, DeliveryId, Inference,
    delivery::Redaction,
    provider::{
        Payload,
        mindee::{
            Extraction,
            catalogue::{
                BankAccountDetails, BankStatement, BillOfLading, BusinessCard, DriversLicense,
                EuropeanVehicleRegistration, FinancialDocument, InternationalId, Invoice,
                NutritionFacts, Passport, Payslip, Receipt, Resume, UsHealthcareCard,
            },
        },
    },
    signature::Proof,
};

use crate::catalogue_fields::{self as fields, Row};

/// The number of words in the longest classification.
const MOST_WORDS: usize = 26;

/// Parses the members of an object type, such as `street string; city string`.
fn members(text: &str) -> Vec<(&str, &str)> {
    text.split("; ").map(|member| member.split_once(' ').unwrap()).collect()
}

/// Returns a valid field of this type. For a classification, `number` selects the word.
fn right(kind: &str, number: usize) -> Value {
    if let Some(words) = kind.strip_prefix("classification {") {
        let words: Vec<_> = words.strip_suffix('}').unwrap().split(", ").collect();
        return json!({"value": words[number % words.len()]});
    }
    let object = |text: &str| {
        let members = members(text).into_iter();
        let fields = members.map(|(name, kind)| (name.to_owned(), right(kind, number)));
        json!({"fields": fields.collect::<Map<_, _>>()})
    };
    match kind {
        "string" | "date" | "object_detection" => json!({"value": "x"}),
        "number" => json!({"value": 1.5}),
        "string[]" => json!({"items": [{"value": "x"}]}),
        _ => match kind.split_once(": ").unwrap() {
            ("object", text) => object(text),
            ("object[]", text) => json!({"items": [object(text)]}),
            _ => panic!("{kind}"),
        },
    }
}

/// Returns fields that this type must not accept.
fn wrong(kind: &str) -> Vec<Value> {
    let object = |text: &str| -> Vec<Value> {
        let members = members(text).into_iter();
        let of_one = |(name, kind): (&str, &str)| {
            let name = name.to_owned();
            wrong(kind).into_iter().map(move |field| json!({"fields": {&name: field}}))
        };
        members.flat_map(of_one).chain([json!({"value": "x"})]).collect()
    };
    match kind {
        "string" | "date" => vec![json!({"value": 7}), json!({"items": []})],
        "number" => vec![json!({"value": "7"})],
        "string[]" => vec![json!({"items": [{"value": 7}]}), json!({"value": "x"})],
        "object_detection" => Vec::new(),
        _ if kind.starts_with("classification") => vec![json!({"value": 7})],
        _ => match kind.split_once(": ").unwrap() {
            ("object", text) => object(text),
            (_, text) => object(text).into_iter().map(|one| json!({"items": [one]})).collect(),
        },
    }
}

fn body(fields: &Value) -> Vec<u8> {
    let inference = json!({"id": "i", "model": {"id": "m"}, "file": {"name": "f"}, "result": {"fields": fields}});
    serde_json::to_vec(&json!({"inference": inference})).unwrap()
}

fn load<F>(fields: &Value) -> Inference<Extraction<F>>
where
    Extraction<F>: Payload,
{
    let (head, ()) = Request::post("/").body(()).unwrap().into_parts();
    let delivery = Delivery::received(
        DeliveryId::new(),
        "m".parse().unwrap(),
        &head,
        body(fields).into(),
        SystemTime::UNIX_EPOCH,
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
    );
    Inference::load(delivery).unwrap_or_else(|error| panic!("{error}: {fields}"))
}

/// Returns the member names of a struct from its `Debug` output.
fn names(shown: &str) -> Vec<String> {
    let members = shown.lines().filter_map(|line| line.strip_prefix("    "));
    let names = members.filter(|line| !line.starts_with([' ', '}', ']', ')']));
    names.map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

fn assert_has<F>(rows: &[Row])
where
    F: Serialize + DeserializeOwned + Default + PartialEq + Debug + Send + Sync + 'static,
{
    for number in 0..MOST_WORDS {
        let fields = rows.iter().map(|(name, kind)| ((*name).to_owned(), right(kind, number)));
        let fields = Value::Object(fields.collect());
        let loaded = load::<F>(&fields);
        assert_eq!(loaded.unknown(), [""; 0], "what a struct does not name is told");
        let written = serde_json::to_value(&loaded).unwrap();
        assert_eq!(written["inference"]["result"]["fields"], fields);
    }
    for (name, kind) in rows {
        for field in wrong(kind) {
            let fields = json!({*name: field});
            let error = Extraction::<F>::decode(&body(&fields).into()).expect_err(name);
            let path = format!("$.inference.result.fields.{name}");
            assert!(error.path().starts_with(&path), "{error}: {fields}");
        }
        let absent = load::<F>(&json!({}));
        let null = load::<F>(&json!({*name: null}));
        assert_eq!(*null, *absent, "{name}: null is the same as nothing");
    }
    let mut listed: Vec<_> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.push("other".to_owned());
    assert_eq!(names(&format!("{:#?}", F::default())), listed, "no member but those");
}

#[test]
fn catalogue_structs_have_exactly_the_documented_fields() {
    assert_has::<BankAccountDetails>(fields::BANK_ACCOUNT_DETAILS);
    assert_has::<BankStatement>(fields::BANK_STATEMENT);
    assert_has::<BillOfLading>(fields::BILL_OF_LADING);
    assert_has::<BusinessCard>(fields::BUSINESS_CARD);
    assert_has::<DriversLicense>(fields::DRIVERS_LICENSE);
    assert_has::<EuropeanVehicleRegistration>(fields::EUROPEAN_VEHICLE_REGISTRATION);
    assert_has::<FinancialDocument>(fields::FINANCIAL_DOCUMENT);
    assert_has::<InternationalId>(fields::INTERNATIONAL_ID);
    assert_has::<Invoice>(fields::INVOICE);
    assert_has::<NutritionFacts>(fields::NUTRITION_FACTS);
    assert_has::<Passport>(fields::PASSPORT);
    assert_has::<Payslip>(fields::PAYSLIP);
    assert_has::<Receipt>(fields::RECEIPT);
    assert_has::<Resume>(fields::RESUME);
    assert_has::<UsHealthcareCard>(fields::US_HEALTHCARE_CARD);
}
