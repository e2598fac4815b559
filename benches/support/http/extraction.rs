use std::fmt::Write;

use serde::Deserialize;
use tower_inbox::provider::mindee::{Extraction, Field, List, Object};

/// The fields of the model, as a user would name them.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is loaded, not read")]
pub(crate) struct Invoice {
    #[serde(rename = "invoice_number")]
    number: Field<String>,
    date: Field<String>,
    total_net: Field<f64>,
    total_amount: Field<f64>,
    supplier: Object<Party>,
    customer: Object<Party>,
    line_items: List<Object<LineItem>>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is loaded, not read")]
struct Party {
    name: Field<String>,
    address: Field<String>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is loaded, not read")]
struct LineItem {
    description: Field<String>,
    quantity: Field<f64>,
    unit_price: Field<f64>,
    total_price: Field<f64>,
}

pub(crate) type Payload = Extraction<Invoice>;

/// An extraction as Mindee posts it, with confidences and polygons, of at least `size` bytes: as many items as that
/// takes.
pub(crate) fn extraction(n: usize, size: usize) -> String {
    let mut body = format!(
        r#"{{"inference": {{"id": "{n:08}-1234-7abc-8def-0123456789ab",
"job": {{"id": "{n:08}-1234-7abc-8def-00000000000a"}},
"model": {{"id": "12345678-1234-1234-1234-123456789abc"}},
"file": {{"name": "invoice-{n}.pdf", "alias": "customer-{n}", "page_count": 2, "mime_type": "application/pdf"}},
"active_options": {{"rag": false, "raw_text": false, "polygon": true, "confidence": true}},
"result": {{"fields": {{"invoice_number": {}, "date": {}, "total_net": {}, "total_amount": {},
"supplier": {{"fields": {{"name": {}, "address": {}}}}},
"customer": {{"fields": {{"name": {}, "address": {}}}}},
"line_items": {{"items": ["#,
        field(&format!("\"INV-{n}\""), 0),
        field("\"2026-02-26\"", 1),
        field("1024.5", 2),
        field("1229.4", 3),
        field("\"Turnpike Designs\"", 4),
        field("\"156 University Ave, Toronto ON, Canada M5H 2H7\"", 5),
        field("\"Jiro Doi\"", 6),
        field("\"1954 Bloor Street West, Toronto ON, Canada M6P 3K9\"", 7),
    );
    let mut item = 0;
    while body.len() < size || item == 0 {
        let separator = if item == 0 { "" } else { ", " };
        write!(
            body,
            r#"{separator}{{"fields": {{"description": {}, "quantity": {}, "unit_price": {}, "total_price": {}}}}}"#,
            field("\"Front and rear brake cables\"", item),
            field("2.0", item),
            field("25.5", item),
            field("51.0", item),
        )
        .unwrap();
        item += 1;
    }
    body.push_str("]}}}}}");
    body
}

fn field(value: &str, row: usize) -> String {
    let top = 0.1 + row as f64 / 1000.0;
    format!(
        r#"{{"value": {value}, "confidence": "High", "locations": [{{"page": 0, "polygon": [[0.123, {top}], [0.456, {top}], [0.456, 0.789], [0.123, 0.789]]}}]}}"#
    )
}
