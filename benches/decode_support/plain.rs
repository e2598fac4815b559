//! What one would write first: derives, `String`, `Vec`, `HashMap`, and `untagged` where a field can be of several kinds.

#![allow(dead_code, reason = "what is read counts here, not what is done with it")]

use std::{collections::HashMap, hint::black_box};

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

pub(crate) type Extraction = Response<Result<HashMap<String, Any>>>;
pub(crate) type Typed = Response<Result<Financial>>;
pub(crate) type Split = Response<Splits>;
pub(crate) type Ocr = Response<Pages>;

pub(crate) fn decode<T: DeserializeOwned>(body: &Bytes) {
    drop(black_box(serde_json::from_slice::<T>(body).unwrap()));
}

#[derive(Deserialize)]
pub(crate) struct Response<R> {
    inference: Inference<R>,
}

#[derive(Deserialize)]
struct Inference<R> {
    id: String,
    job: Option<Id>,
    model: Id,
    file: File,
    result: R,
    active_options: Option<HashMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct File {
    name: String,
    alias: Option<String>,
    page_count: Option<u32>,
    mime_type: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Result<F> {
    fields: F,
    raw_text: Option<serde_json::Value>,
    rag: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Any {
    List {
        items: Vec<Any>,
        confidence: Option<String>,
        locations: Option<Vec<Location>>,
    },
    Object {
        fields: HashMap<String, Any>,
        confidence: Option<String>,
        locations: Option<Vec<Location>>,
    },
    Simple {
        value: Option<Value>,
        confidence: Option<String>,
        locations: Option<Vec<Location>>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Bool(bool),
    Number(f64),
    String(String),
}

#[derive(Deserialize)]
pub(crate) struct Location {
    polygon: Vec<[f64; 2]>,
    page: u32,
}

#[derive(Deserialize)]
pub(crate) struct Splits {
    splits: Vec<SplitItem>,
}

#[derive(Deserialize)]
struct SplitItem {
    page_range: [u32; 2],
    document_type: String,
    extraction_response: Option<Response<Result<HashMap<String, Any>>>>,
}

#[derive(Deserialize)]
pub(crate) struct Pages {
    pages: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    words: Vec<Word>,
    content: String,
}

#[derive(Deserialize)]
struct Word {
    content: String,
    polygon: Vec<[f64; 2]>,
}

#[derive(Deserialize)]
struct Field<T> {
    value: Option<T>,
    confidence: Option<String>,
    #[serde(default)]
    locations: Vec<Location>,
}

#[derive(Deserialize)]
struct Object<F> {
    fields: F,
    confidence: Option<String>,
    #[serde(default)]
    locations: Vec<Location>,
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
    confidence: Option<String>,
    #[serde(default)]
    locations: Vec<Location>,
}

/// What `financial_document_complete.json` has.
#[derive(Deserialize)]
pub(crate) struct Financial {
    date: Field<String>,
    due_date: Field<String>,
    document_type: Field<String>,
    locale: Object<HashMap<String, Field<String>>>,
    invoice_number: Field<String>,
    supplier_name: Field<String>,
    supplier_address: Object<HashMap<String, Field<String>>>,
    customer_name: Field<String>,
    customer_address: Object<HashMap<String, Field<String>>>,
    total_amount: Field<f64>,
    total_net: Field<f64>,
    total_tax: Field<f64>,
    line_items: List<Object<LineItem>>,
    taxes: List<Object<Tax>>,
    tips_gratuity: Field<f64>,
    receipt_number: Field<String>,
    purchase_category: Field<String>,
    purchase_subcategory: Field<String>,
    supplier_phone_number: Field<String>,
    supplier_company_registration: List<Object<HashMap<String, Field<String>>>>,
    customer_company_registrations: List<Object<HashMap<String, Field<String>>>>,
}

#[derive(Deserialize)]
struct LineItem {
    description: Field<String>,
    quantity: Field<f64>,
    unit_price: Field<f64>,
    total_price: Field<f64>,
    tax_rate: Field<f64>,
    tax_amount: Field<f64>,
    product_code: Field<String>,
    unit_measure: Field<String>,
}

#[derive(Deserialize)]
struct Tax {
    rate: Field<f64>,
    base: Field<f64>,
    amount: Field<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageGroup {
    #[serde(rename = "_id")]
    id: String,
    name: Option<String>,
    created_at: Option<String>,
    updated_at: String,
    status: String,
    images: Vec<Image>,
    url: Option<String>,
    property_id: Option<String>,
    #[serde(rename = "avv_status")]
    avv_status: Option<serde_json::Value>,
    meta_data: Option<HashMap<String, serde_json::Value>>,
    computed_metrics: Option<HashMap<String, HashMap<String, f64>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    #[serde(rename = "_id")]
    id: String,
    url: Option<String>,
    name: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    tags: Vec<String>,
    #[serde(rename = "imageGroups")]
    groups: Vec<String>,
    status: String,
    models: HashMap<String, ModelRun>,
}

#[derive(Deserialize)]
struct ModelRun {
    name: Option<String>,
    version: Option<String>,
    status: String,
    results: Vec<Annotation>,
}

#[derive(Deserialize)]
#[serde(tag = "annotationType")]
enum Annotation {
    #[serde(rename = "SCORE")]
    Score { class: String, score: f64 },
    #[serde(rename = "CLASSIFICATION")]
    Classification { class: String, confidence: f64 },
    #[serde(rename = "CENTROID")]
    Centroid { class: String, confidence: f64, centroid: Position, materials: Vec<Material> },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Position {
    x: serde_json::Value,
    y: serde_json::Value,
}

#[derive(Deserialize)]
struct Material {
    #[serde(rename = "type")]
    kind: String,
    confidence: f64,
}
