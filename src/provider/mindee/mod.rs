//! Mindee V2: fields, text and classes of documents.
//!
//! A webhook endpoint of Mindee belongs to one model and has its own signing secret: a model here has one path and one
//! secret. A delivery is the same JSON that polling returns. Failed inferences are also sent, as a flat object in
//! another format. [`Response`] covers both.
//!
//! Sources: Mindee's pages "Webhooks" and "Process the Response", its `OpenAPI` description, its six client libraries,
//! and their test data, `mindee/client-lib-test-data`, called fixtures here.
//!
//! # Your own struct
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, mindee::{Extraction, Field, List, Object}};
//!
//! #[derive(Deserialize)]
//! struct Invoice {
//!     total_amount: Field<f64>,
//!     supplier_name: Field<String>,
//!     #[serde(default)]
//!     line_items: List<Object<LineItem>>,
//! }
//!
//! #[derive(Deserialize)]
//! struct LineItem {
//!     description: Field<String>,
//! }
//!
//! let body = Bytes::from_static(br#"{"inference": {
//!     "id": "i1", "job": {"id": "j1"}, "model": {"id": "m1"},
//!     "file": {"name": "a.pdf", "alias": null, "page_count": 1, "mime_type": "application/pdf"},
//!     "result": {"fields": {
//!         "total_amount": {"value": 12.5, "confidence": "High"},
//!         "supplier_name": {"value": null},
//!         "line_items": {"items": [{"fields": {"description": {"value": "tea"}}}]}
//!     }}
//! }}"#);
//!
//! let response = Extraction::<Invoice>::decode(&body)?;
//! assert_eq!(response.key().id(), "i1");
//! match response.fields() {
//!     Ok(invoice) => {
//!         assert_eq!(invoice.total_amount.value, Some(12.5));
//!         assert_eq!(invoice.supplier_name.value, None);
//!         assert_eq!(invoice.line_items[0].description.value.as_deref(), Some("tea"));
//!     }
//!     Err(failed) => println!("{failed}"),
//! }
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```
//!
//! # Without a struct
//!
//! `Extraction` without a type parameter contains [`Fields`], which returns fields by name.
//!
//! # The client libraries' form of the body
//!
//! Most of Mindee's libraries remove line breaks before they verify a signature. Mindee sends JSON on a single line,
//! where this makes no difference. The scheme of this crate verifies the exact bytes. To accept reformatted bodies,
//! such as the fixtures, set the form of the body:
//!
//! ```
//! use tower_inbox::{Secret, provider::mindee, signature::BodyForm};
//!
//! let scheme = mindee::signature(Secret::new("correct horse")).form(BodyForm::RawOrWithoutLineBreaks);
//! let model = mindee::extraction::<mindee::Fields>().verified_by(scheme);
//! # let _ = model;
//! ```

mod any_field;
pub mod catalogue;
mod field;
mod inference;
mod location;
mod model;
mod recovery;
mod response;
mod results;
#[cfg(any(feature = "cli", feature = "page"))]
mod struct_source;

pub use any_field::{AnyField, Fields, FieldsIter};
pub use field::Value;
pub use field::{Confidence, Field, List, Object};
pub use inference::{ActiveOptions, DataSchemaOptions, File, Job, ModelRef, Processed};
pub use location::{Location, Locations, Point, Polygon};
pub use model::{Mindee, classification, crop, extraction, ocr, signature, split};
pub use recovery::Recovery;
pub use response::{ErrorItem, ErrorResponse, FailedInference, Response};
pub use response::{JobDetails, JobResponse, JobStatus, WebhookCall};
pub use results::{
    Classification, ClassificationResult, Classified, Crop, CropItem, CropResult, Extraction,
    ExtractionResult, Ocr, OcrPage, OcrResult, OcrWord, PageRange, Rag, RawPage, RawText, Split,
    SplitItem, SplitResult,
};
#[cfg(any(feature = "cli", feature = "page"))]
pub use struct_source::struct_source;
