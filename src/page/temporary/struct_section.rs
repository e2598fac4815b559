//! The Rust struct for the result of a custom Mindee model.

use std::sync::Arc;

use maud::{Markup, html};

use super::endpoints::ReceivedRequest;
use crate::{
    page::format,
    provider::{
        Payload,
        mindee::{AnyField, Extraction, Fields, struct_source},
    },
};

/// The maximum number of fields in a sample: the cost of the struct grows with its square.
const MOST_FIELDS: usize = 2000;

/// The name of the struct.
const NAME: &str = "Extracted";

/// The struct for a body, or why there is none.
#[derive(Debug, PartialEq)]
enum Source {
    Struct(String),
    TooManyFields,
    /// It is no result of an extraction.
    None,
}

/// The section of the page. The struct is generated on a thread for blocking work, because the body may be long.
pub(super) async fn html(received: Arc<ReceivedRequest>) -> Markup {
    let generating = tokio::task::spawn_blocking(move || source(&received.body));
    let source = generating.await.unwrap_or(Source::None);
    html! {
        section #struct {
            div.bar {
                h2 { "Struct" }
                @if matches!(source, Source::Struct(_)) {
                    button type="button" data-copy="source" hidden { "Copy" }
                }
            }
            @match &source {
                Source::Struct(text) => pre #source tabindex="0" { bdi { (format::foreign(text)) } },
                Source::TooManyFields => p.dim {
                    "The body has more than " (format::number(MOST_FIELDS as u64)) " fields. Download it, and use "
                    code { "inbox model" } "."
                },
                Source::None => p.dim {
                    "The body is no result of an extraction by a Mindee model, which a struct could be generated for."
                },
            }
        }
    }
}

fn source(body: &bytes::Bytes) -> Source {
    let Ok(sample) = Extraction::<Fields>::decode(body) else { return Source::None };
    let Ok(fields) = sample.fields() else { return Source::None };
    if count(fields) > MOST_FIELDS {
        return Source::TooManyFields;
    }
    Source::Struct(struct_source(NAME, fields))
}

/// The number of fields in all levels.
fn count(fields: &Fields) -> usize {
    fields.iter().map(|(_, field)| count_field(field)).sum()
}

fn count_field(field: &AnyField) -> usize {
    1 + match field {
        AnyField::Object(object) => count(&object.fields),
        AnyField::List(list) => list.iter().map(count_field).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str) -> Source {
        let body = format!(
            r#"{{"inference": {{"id": "i", "job": {{"id": "j"}}, "model": {{"id": "m"}},
            "file": {{"name": "a", "alias": null, "page_count": 1, "mime_type": "a/b"}},
            "result": {{"fields": {fields}}}}}}}"#
        );
        source(&body.into())
    }

    #[test]
    fn struct_is_generated_for_an_extraction_only() {
        let Source::Struct(text) = of(r#"{"total": {"value": 1}}"#) else { panic!("no struct") };
        assert!(text.contains("pub struct Extracted") && text.contains("pub total: Field<f64>"));
        assert_eq!(source(&"{\"a\": 1}".into()), Source::None);
        assert_eq!(source(&"no JSON".into()), Source::None);
    }

    #[test]
    fn number_of_fields_is_limited_in_all_levels() {
        let items = |number| format!("{}1", r#"{"fields": {"a": {"value": 1}}},"#.repeat(number));
        let list = |number| format!(r#"{{"list": {{"items": [{}]}}}}"#, items(number));
        let short = list(10).replace(",1]", "]");
        assert!(matches!(of(&short), Source::Struct(_)));
        let long = list(MOST_FIELDS / 2).replace(",1]", "]");
        assert_eq!(of(&long), Source::TooManyFields);
    }
}
