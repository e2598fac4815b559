use std::time::SystemTime;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Product, problem::Problem};

/// The members that the results of all products have.
#[derive(Clone, Debug)]
pub(crate) struct Inference {
    pub(super) id: String,
    pub(super) job_id: String,
    pub(super) model_id: String,
    pub(super) file_name: String,
    pub(super) alias: Option<String>,
    pub(super) mime_type: String,
}

impl Inference {
    /// An inference of a sample file, with new ids.
    pub(crate) fn sample() -> Self {
        Self {
            id: new_id(),
            job_id: new_id(),
            model_id: new_id(),
            file_name: "sample.pdf".to_owned(),
            alias: None,
            mime_type: "application/pdf".to_owned(),
        }
    }

    /// The inference of a result.
    pub(crate) fn of_result(result: &Value) -> Self {
        let text = |pointer| result.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let sample = Self::sample();
        Self {
            id: text("/inference/id").unwrap_or(sample.id),
            job_id: text("/inference/job/id").unwrap_or(sample.job_id),
            model_id: text("/inference/model/id").unwrap_or(sample.model_id),
            file_name: text("/inference/file/name").unwrap_or(sample.file_name),
            alias: text("/inference/file/alias"),
            mime_type: text("/inference/file/mime_type").unwrap_or(sample.mime_type),
        }
    }

    /// The result, as it is posted and polled.
    pub(crate) fn result(&self, product: Product) -> Value {
        let mut inference = json!({
            "id": self.id,
            "job": {"id": self.job_id},
            "model": {"id": self.model_id},
            "file": {
                "name": self.file_name, "alias": self.alias, "page_count": 1, "mime_type": self.mime_type,
            },
            "result": result_of(product),
        });
        // Only extractions have options.
        if let (Product::Extraction, Some(members)) = (product, inference.as_object_mut()) {
            members.insert("active_options".to_owned(), active_options());
        }
        json!({ "inference": inference })
    }

    /// The body that is posted if the inference fails: a flat object without the id of the job.
    pub(crate) fn failure(&self) -> Value {
        json!({
            "inference_id": self.id,
            "model_id": self.model_id,
            "file_name": self.file_name,
            "file_alias": self.alias,
            "error": Problem::inference_failed().json(),
            "created_at": timestamp(SystemTime::now()) + "Z",
        })
    }

    /// Replaces the ids and the file of a result by those of this inference.
    pub(super) fn identify(&self, result: &mut Value) {
        for (pointer, id) in [
            ("/inference/id", &self.id),
            ("/inference/job/id", &self.job_id),
            ("/inference/model/id", &self.model_id),
            ("/inference/file/name", &self.file_name),
        ] {
            if let Some(value) = result.pointer_mut(pointer) {
                *value = id.as_str().into();
            }
        }
        if let Some(value) = result.pointer_mut("/inference/file/alias") {
            *value = self.alias.clone().into();
        }
    }
}

/// A new id of a job, an inference or a model.
pub(super) fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// A time in the format of Mindee's jobs: microseconds, without a time zone.
pub(super) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string().trim_end_matches('Z').to_owned()
}

fn result_of(product: Product) -> Value {
    let polygon = json!([[0.12, 0.1], [0.48, 0.1], [0.48, 0.14], [0.12, 0.14]]);
    let location = json!({"page": 0, "polygon": polygon});
    match product {
        Product::Extraction => json!({"fields": {
            "supplier_name": {"value": "The Tea House", "confidence": "Certain", "locations": [location]},
            "invoice_number": {"value": "T-2041", "confidence": "High", "locations": []},
            "date": {"value": "2026-11-02", "confidence": "High", "locations": []},
            "total_amount": {"value": 12.5, "confidence": "Medium", "locations": []},
            "line_items": {"items": [
                {"fields": {
                    "description": {"value": "Oolong", "confidence": "High", "locations": []},
                    "quantity": {"value": 2, "confidence": "Low", "locations": []},
                }},
            ]},
        }}),
        Product::Classification => {
            json!({"classification": {"document_type": "invoice", "extraction_response": null}})
        }
        Product::Crop => json!({"crops": [
            {"object_type": "receipt", "location": location, "extraction_response": null},
        ]}),
        Product::Split => json!({"splits": [
            {"document_type": "invoice", "page_range": [0, 0], "extraction_response": null},
        ]}),
        Product::Ocr => json!({"pages": [
            {"content": "The Tea House", "words": [
                {"content": "The", "polygon": polygon},
                {"content": "Tea", "polygon": polygon},
                {"content": "House", "polygon": polygon},
            ]},
        ]}),
    }
}

fn active_options() -> Value {
    json!({
        "raw_text": false, "polygon": true, "confidence": true, "rag": false, "text_context": false,
        "data_schema": {"replace": false},
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timestamps_have_microseconds_and_no_zone() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_751_552_878, 974_451_999);
        assert_eq!(timestamp(time), "2025-07-03T14:27:58.974451");
    }

    #[test]
    fn given_result_gets_the_ids_and_the_file_of_the_job() {
        let (mut result, inference) = (
            Inference::sample().result(Product::Crop),
            Inference { alias: Some("a".to_owned()), ..Inference::sample() },
        );
        inference.identify(&mut result);
        assert_eq!(result, inference.result(Product::Crop));
    }
}
