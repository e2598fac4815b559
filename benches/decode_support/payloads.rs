//! Real payloads of Mindee: the shared fixtures in the form in which it posts them, on one line with `, ` and `: `.

use std::{env, fs, path::PathBuf};

use bytes::Bytes;
use serde_json::{Value, ser::Formatter};

pub(crate) fn extractions() -> [(String, Bytes); 2] {
    let deep = fixture("extraction/standard_field_types");
    [
        ("fields".into(), one_line(&deep)),
        ("fields, 4 times".into(), one_line(&more(deep, "/inference/result/fields", 4))),
    ]
}

pub(crate) fn financial() -> [(String, Bytes); 1] {
    [("financial document".into(), one_line(&fixture("extraction/financial_document_complete")))]
}

pub(crate) fn splits() -> [(String, Bytes); 3] {
    let crop = fixture("crop/default_sample_extraction");
    let split = fixture("split/default_sample_extraction");
    [
        ("chained, cropped".into(), one_line(&as_split(crop))),
        ("chained".into(), one_line(&split)),
        ("chained, 20 times".into(), one_line(&more(split, "/inference/result/splits", 20))),
    ]
}

pub(crate) fn ocrs() -> [(String, Bytes); 2] {
    let page = fixture("ocr/ocr_single");
    [
        ("OCR of a page".into(), one_line(&page)),
        ("OCR of 10 pages".into(), one_line(&more(page, "/inference/result/pages", 10))),
    ]
}

/// FoxyAI's, of the project's own fixtures: there is no payload to be had.
pub(crate) fn image_groups() -> [(String, Bytes); 2] {
    let group: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/foxyai/group_completed.json"))
            .unwrap();
    [
        ("image group".into(), one_line(&group)),
        ("image group, 30 times".into(), one_line(&more(group, "/images", 30))),
    ]
}

fn fixture(name: &str) -> Value {
    let folder = env::var_os("INBOX_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        PathBuf::from,
    );
    let path = folder.join("mindee/v2").join(name).with_extension("json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The crops of a payload as if they were splits, so that one type is enough to measure both.
fn as_split(mut json: Value) -> Value {
    let result = json.pointer_mut("/inference/result").unwrap();
    let mut crops = result["crops"].take();
    for crop in crops.as_array_mut().unwrap() {
        crop["document_type"] = crop["object_type"].take();
        crop["page_range"] = Value::from(vec![0, 0]);
    }
    *result = serde_json::json!({ "splits": crops });
    json
}

/// The payload with the value at `pointer` repeated.
fn more(mut json: Value, pointer: &str, times: usize) -> Value {
    match json.pointer_mut(pointer).unwrap() {
        Value::Array(items) => *items = (0..times).flat_map(|_| items.clone()).collect(),
        Value::Object(members) => {
            for (name, value) in members.clone() {
                members.extend((1..times).map(|time| (format!("{name}_{time}"), value.clone())));
            }
        }
        _ => {}
    }
    json
}

fn one_line(json: &Value) -> Bytes {
    let mut line = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut line, Spaced);
    serde::Serialize::serialize(json, &mut serializer).unwrap();
    line.into()
}

/// As Python's `json.dumps` writes.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
    ) -> std::io::Result<()> {
        to.write_all(b": ")
    }
}
