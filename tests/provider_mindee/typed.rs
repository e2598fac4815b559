//! A user's struct in place of the fields.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tower_inbox::provider::{
    Payload,
    mindee::{Confidence, Extraction, Field, List, Object, Point},
};

use crate::support::{own, round_trip};

#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the fixture")]
struct Invoice {
    supplier_name: Field<String>,
    invoice_number: Field<String>,
    date: Field<String>,
    paid: Field<bool>,
    purchase_order: Field<String>,
    total_amount: Field<f64>,
    total_items: Field<u32>,
    supplier_address: Object<Address>,
    line_items: List<Object<LineItem>>,
    tags: List<Field<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Address {
    street: Field<String>,
    city: Field<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LineItem {
    description: Field<String>,
    quantity: Field<f64>,
    unit_price: Field<f64>,
}

#[test]
fn user_struct_round_trips() {
    let response = round_trip::<Extraction<Invoice>>(&own("mindee/invoice.json"));
    let invoice = response.fields().unwrap();
    assert_eq!(invoice.total_amount.value, Some(1250.0));
    assert_eq!(invoice.total_items.value, Some(3));
    assert_eq!(invoice.paid.value, Some(false));
    assert_eq!(invoice.purchase_order.value, None);
    assert_eq!(invoice.supplier_address.city.value.as_deref(), Some("Paris"));
    assert_eq!(invoice.line_items[1].description.value.as_deref(), Some("Teapot"));
    assert!(invoice.tags.is_empty());
}

#[test]
fn confidences_and_locations_are_decoded() {
    let response = Extraction::<Invoice>::decode(&own("mindee/invoice.json")).unwrap();
    let invoice = response.fields().unwrap();
    assert_eq!(invoice.supplier_name.confidence, Some(Confidence::Certain));
    assert_eq!(invoice.invoice_number.confidence, Some(Confidence::Other("Likely".into())));
    assert_eq!(invoice.total_items.confidence, None);
    assert_eq!(invoice.line_items.confidence, Some(Confidence::Medium));
    let place = &invoice.supplier_address.locations[0];
    assert_eq!((place.page, place.polygon.len()), (Some(1), 3));
    assert_eq!(place.polygon[2], Point { x: 0.5, y: 1.0 });
    assert_eq!(invoice.purchase_order.locations, invoice.invoice_number.locations);
}

#[test]
fn defaulted_fields_can_be_missing() {
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Sparse {
        total: Field<f64>,
        lines: List<Field<String>>,
        address: Object<Inner>,
    }
    #[derive(Default, Deserialize)]
    struct Inner {
        city: Field<String>,
    }
    let body = Bytes::from_static(
        br#"{"inference": {"id": "i", "model": {"id": "m"}, "file": {"name": "f"}, "result": {"fields": {}}}}"#,
    );
    let response = Extraction::<Sparse>::decode(&body).unwrap();
    let sparse = response.fields().unwrap();
    assert_eq!(sparse.total.value, None);
    assert!(sparse.lines.is_empty());
    assert_eq!(sparse.address.city.value, None);
}

#[test]
fn payloads_can_be_constructed_in_handler_tests() {
    let list: List<Field<f64>> = [1.5.into(), 2.5.into()].into_iter().collect();
    let sum: f64 = list.iter().filter_map(|field| field.value).sum();
    assert_eq!(sum, 4.0);
}
