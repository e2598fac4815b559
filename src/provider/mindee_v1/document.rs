use serde::Serialize;
use serde_json::Value;

use crate::provider::{Listed, OtherMembers, Text, members::open_struct};

/// A file, and what a product made of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Document<P> {
    /// The id of the document, a UUID as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// The name that it was sent with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The number of its pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_pages: Option<u32>,
    /// What was made of it.
    pub inference: Inference<P>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Document<P> { id, name, n_pages } strict { inference } }

/// What a product made of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inference<P> {
    /// When it began. With or without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Text>,
    /// When it was done. With or without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Text>,
    /// How long it took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<f64>,
    /// Whether pages were turned. Null where that is not done. The text `True`, which Mindee wrote until 2023, is read by
    /// the tolerant reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_rotation_applied: Option<bool>,
    /// The product.
    #[serde(skip_serializing_if = "is_unknown")]
    pub product: Product,
    /// What was found in the document as a whole.
    pub prediction: P,
    /// What was found on each page.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub pages: Listed<Page>,
    /// What was asked for besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras: Option<Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! {
    Inference<P> {
        started_at, finished_at, processing_time, is_rotation_applied, product, pages, extras,
    } strict { prediction }
}

/// The product of an inference: what tells the models apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Product {
    /// Owner and name, such as `mindee/international_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The version, such as `2.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// Such as `standard`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text>,
    /// The names of the members of the prediction.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub features: Listed<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

fn is_unknown(product: &Product) -> bool {
    *product == Product::default()
}

open_struct! { nullable Product { name, version, kind = "type", features } }

/// What was found on a page. What is in it differs from product to product; in both fixtures it is nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The page, from 0. A text with the number is read by the tolerant reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Value>,
    /// By how many degrees it was turned, in `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Value>,
    /// What was asked for besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras: Option<Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Page { id, prediction, orientation, extras } }
