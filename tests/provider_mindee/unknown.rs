//! Unknown members are reported with their paths.

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use serde::{Deserialize, Serialize};
use tower_inbox::{
    Delivery, DeliveryId, Inference,
    delivery::Redaction,
    provider::{
        Payload,
        foxyai::ImageGroup,
        mindee::{Extraction, Field, Fields, catalogue::Invoice},
    },
    signature::Proof,
};

use crate::support::own;

const BODY: &str = r#"{"inference": {"id": "i", "model": {"id": "m"}, "file": {"name": "f", "dpi": 300}, "result": {
    "fields": {"total_amount": {"value": 1, "confidence": "Likely"}, "document_type": {"value": "letter"},
        "own": {"value": "x"}, "blank": {"value": null}}}}, "sent_by": "w"}"#;

fn unknown<F>() -> Vec<String>
where
    F: Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    load::<Extraction<F>>(Bytes::from_static(BODY.as_bytes())).unknown()
}

fn load<T: Payload>(body: Bytes) -> Inference<T> {
    let parts = Request::post("/").body(()).unwrap().into_parts().0;
    let delivery = Delivery::received(
        DeliveryId::new(),
        "m".parse().unwrap(),
        &parts,
        body,
        SystemTime::UNIX_EPOCH,
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
    );
    Inference::load(delivery).unwrap()
}

#[test]
fn unknown_members_values_and_fields_of_the_catalogue_are_reported() {
    let at = |field: &str| format!("$.inference.result.fields.{field}");
    assert_eq!(
        unknown::<Invoice>(),
        [
            "$.inference.file.dpi".to_owned(),
            at("document_type.value"),
            at("own"),
            at("total_amount.confidence"),
            "$.sent_by".to_owned(),
        ]
    );
}

#[test]
fn unknown_fields_are_reported_for_structs_and_not_for_maps() {
    #[derive(Serialize, Deserialize)]
    struct Own {
        total_amount: Field<f64>,
    }
    assert_eq!(unknown::<Fields>().len(), 3);
    assert!(unknown::<Own>().contains(&"$.inference.result.fields.own".to_owned()));
}

/// Members of failed inferences count as unknown in a result.
#[test]
fn member_of_a_failed_inference_next_to_a_result_is_unknown() {
    for member in ["error", "created_at", "model_id", "inference_id", "file_name", "file_alias"] {
        for value in ["\"x\"", "7", "[{\"a\": 1}]", "{\"status\": \"x\"}"] {
            let behind = BODY.replace("\"sent_by\": \"w\"", &format!("\"{member}\": {value}"));
            let before = BODY.replacen('{', &format!("{{\"{member}\": {value}, "), 1);
            for body in [behind, before] {
                let extraction = load::<Extraction<Fields>>(body.into());
                assert!(extraction.unknown().contains(&format!("$.{member}")), "{member}: {value}");
                let written = serde_json::to_value(&extraction).unwrap();
                let value: serde_json::Value = serde_json::from_str(value).unwrap();
                assert_eq!(written[member], value, "{member}");
            }
        }
    }
}

/// Both kinds of nesting, deep enough to overflow a recursive parser's stack.
#[test]
fn deeply_nested_unknown_member_is_not_an_error() {
    for (open, close) in [("[", "]"), (r#"{"a": "#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let body = BODY
            .replace("300", &deep)
            .replace(r#""w""#, &deep)
            .replace("\"x\"", "\"x\", \"deep\": 7");
        let extraction = load::<Extraction<Fields>>(body.clone().into());
        let plain = extraction.fields().unwrap().get("own").unwrap().value().unwrap();
        assert_eq!(plain.as_str(), Some("x"), "what comes behind it is read");
        assert!(extraction.unknown().contains(&"$.inference.result.fields.own.deep".to_owned()));
        let written = serde_json::to_string(&extraction).unwrap();
        assert!(written.contains(&open.repeat(64).replace(' ', "")), "{written}");
        assert_eq!(extraction.raw(), &body);

        let group = String::from_utf8(own("foxyai/group_completed.json").to_vec()).unwrap();
        let group = group.replacen('{', &format!("{{\"deep\": {deep},"), 1);
        assert!(load::<ImageGroup>(group.into()).other.get("deep").is_some());
    }
}
