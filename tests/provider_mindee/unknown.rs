//! What a type does not know is told by its path.

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use serde::{Deserialize, Serialize};
use tower_inbox::{
    Delivery, DeliveryId, Inference,
    delivery::{Head, Redaction},
    provider::mindee::{Extraction, Field, Fields, catalogue::Invoice},
    signature::Proof,
};

const BODY: &str = r#"{"inference": {"id": "i", "model": {"id": "m"}, "file": {"name": "f", "dpi": 300}, "result": {
    "fields": {"total_amount": {"value": 1, "confidence": "Likely"}, "document_type": {"value": "letter"},
        "own": {"value": "x"}, "blank": {"value": null}}}}, "sent_by": "w"}"#;

fn unknown<F>() -> Vec<String>
where
    F: Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let parts = Request::post("/").body(()).unwrap().into_parts().0;
    let delivery = Delivery::new(
        DeliveryId::new(),
        "m".parse().unwrap(),
        Head::of(&parts, &Redaction::default()),
        Bytes::from_static(BODY.as_bytes()),
        SystemTime::UNIX_EPOCH,
        Proof::new("none", "none", "raw"),
    );
    Inference::<Extraction<F>>::load(delivery).unwrap().unknown()
}

#[test]
fn the_catalogue_tells_members_words_and_fields() {
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
fn a_map_knows_every_field_and_a_struct_those_it_has() {
    #[derive(Serialize, Deserialize)]
    struct Own {
        total_amount: Field<f64>,
    }
    assert_eq!(unknown::<Fields>().len(), 3);
    assert!(unknown::<Own>().contains(&"$.inference.result.fields.own".to_owned()));
}
