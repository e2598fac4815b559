//! The memory that decoding uses per byte of a hostile body. A separate program, because the allocator counts for the
//! whole process.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::{alloc::System, time::SystemTime};

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_inbox::{
    Delivery, DeliveryId, Inference,
    delivery::Redaction,
    provider::{
        Payload, assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, foxyai,
        gemini, gladia, huggingface, llamacloud, mindee, mindee_v1, openai, reducto, replicate,
        rossum, runpod, standard, vlmrun,
    },
    signature::Proof,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The maximum memory of a payload, as a multiple of the length of its body.
const HELD: usize = 100;

/// The maximum total of allocations during decoding, including freed ones, as a multiple of the body length.
const ALLOCATED: usize = 180;

/// The same for tolerant decoding, which first parses the body into a tree.
const ALLOCATED_TOLERANTLY: usize = 300;

/// Decode a body, strictly and tolerantly. Each returns the bytes held afterwards, the bytes allocated meanwhile, and
/// whether decoding succeeded.
type Load = [fn(&Bytes) -> (usize, usize, bool); 2];

/// Returns the strict and the tolerant loader of a type.
macro_rules! load {
    ($type:ty) => {
        [load::<$type>, load_tolerantly::<$type>]
    };
}

fn load<T: Payload>(body: &Bytes) -> (usize, usize, bool) {
    measure(|| T::decode(body))
}

/// Loads the body with a byte order mark in front, which only tolerant decoding accepts.
fn load_tolerantly<T: Payload>(body: &Bytes) -> (usize, usize, bool) {
    let delivery = delivery([BYTE_ORDER_MARK, body].concat().into());
    measure(|| Inference::<T>::load(delivery))
}

fn measure<T, E>(load: impl FnOnce() -> Result<T, E>) -> (usize, usize, bool) {
    let region = Region::new(ALLOCATOR);
    let loaded = load();
    let stats = region.change();
    let is_loaded = loaded.is_ok();
    drop(loaded);
    (
        stats.bytes_allocated.saturating_sub(stats.bytes_deallocated),
        stats.bytes_allocated,
        is_loaded,
    )
}

fn delivery(body: Bytes) -> Delivery {
    let (head, ()) = Request::post("/hooks/hostile").body(()).unwrap().into_parts();
    Delivery::received(
        DeliveryId::new(),
        "/hooks/hostile".parse().unwrap(),
        &head,
        body,
        SystemTime::now(),
        Proof::new("none", "none", "raw"),
        &Redaction::default(),
    )
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A type, and the start and end of its body. The hostile content is inserted between them as a member `x`.
type Kind = (&'static str, Load, &'static str);

const KINDS: [Kind; 26] = [
    (
        "mindee",
        load!(mindee::Extraction<mindee::Fields>),
        r#""inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"fields":{}}}"#,
    ),
    (
        "mindee catalogue",
        load!(mindee::Extraction<mindee::catalogue::FinancialDocument>),
        r#""inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"fields":{}}}"#,
    ),
    (
        "mindee failed",
        load!(mindee::Extraction<mindee::Fields>),
        r#""inference_id":"i","model_id":"m","file_name":"f","created_at":"t""#,
    ),
    ("mindee v1", load!(mindee_v1::Response<mindee_v1::Prediction>), r#""job":{"id":"j"}"#),
    ("foxyai", load!(foxyai::ImageGroup), r#""_id":"g","updatedAt":"t","status":"completed""#),
    ("foxyai image", load!(foxyai::Image), r#""_id":"g","status":"completed""#),
    ("assemblyai", load!(assemblyai::Notice), r#""transcript_id":"t","status":"completed""#),
    ("baseten", load!(baseten::Completed<Value>), r#""request_id":"r""#),
    ("bfl", load!(bfl::Generation), r#""id":"g","status":"Ready""#),
    ("deepgram", load!(deepgram::Response<Value>), r#""metadata":{"request_id":"r"},"results":{}"#),
    (
        "deepinfra",
        load!(deepinfra::Completion),
        r#""request_id":"r","inference_status":{"status":"s"}"#,
    ),
    ("elevenlabs", load!(elevenlabs::Event), r#""type":"t","data":{}"#),
    ("extend", load!(extend::Event<Value>), r#""eventId":"e","eventType":"t","payload":{}"#),
    ("fal", load!(fal::Response<Value>), r#""request_id":"r","status":"OK""#),
    ("gemini", load!(gemini::Event), r#""type":"t","data":{}"#),
    ("gladia", load!(gladia::Event), r#""event":"e""#),
    (
        "huggingface",
        load!(huggingface::Event),
        r#""event":{"action":"a","scope":"s"},"repo":{"type":"t","name":"n","id":"i"},"webhook":{"id":"w"}"#,
    ),
    ("llamacloud", load!(llamacloud::Event), r#""event_id":"e","event_type":"t","data":{}"#),
    ("openai", load!(openai::Event), r#""id":"e","type":"t","created_at":1,"data":{}"#),
    ("reducto", load!(reducto::Notice), r#""status":"Completed","job_id":"j""#),
    ("replicate", load!(replicate::Prediction<Value>), r#""id":"p","status":"succeeded""#),
    ("rossum", load!(rossum::Event), r#""event":"e""#),
    ("runpod", load!(runpod::Job<Value>), r#""id":"j","status":"COMPLETED""#),
    ("standard", load!(standard::Event<Value>), r#""type":"t","data":{}"#),
    ("vlmrun", load!(vlmrun::Prediction<Value>), r#""id":"p","status":"completed""#),
    (
        "crop",
        load!(mindee::Crop),
        r#""inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"crops":[]}}"#,
    ),
];

/// One more than a power of two, so that a list has the most spare capacity.
const ITEMS: usize = (1 << 14) + 1;

fn list(item: &str) -> String {
    format!("[{}]", vec![item; ITEMS].join(","))
}

/// Contents with the highest cost per byte: many small values.
fn hostile() -> Vec<String> {
    let members: Vec<_> = (0..ITEMS).map(|number| format!(r#""{number:x}":0"#)).collect();
    let items = [r#"{"a":0}"#, "{}", "[]", "0", r#""""#, r#"[{"":[]}]"#, r#"{"fields":{}}"#];
    let mut all: Vec<_> = items.map(list).into();
    all.push(format!("{{{}}}", members.join(",")));
    all.push(format!("{{{}}}", vec![r#""a":0"#; ITEMS].join(",")));
    all
}

/// Members with specific Rust types, which are larger than generic JSON, each with its smallest item.
const TYPED: [(&str, Load, &str, &str, &str); 9] = [
    (
        "mindee list of objects",
        load!(mindee::Extraction<mindee::Fields>),
        r#"{"inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"fields":{"a":{"items":"#,
        r#"{"fields":{}}"#,
        "}}}}}",
    ),
    (
        "mindee list of fields",
        load!(mindee::Extraction<mindee::Fields>),
        r#"{"inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"fields":{"a":{"items":"#,
        r#"{"value":0}"#,
        "}}}}}",
    ),
    (
        "mindee lists of lists",
        load!(mindee::Extraction<mindee::Fields>),
        r#"{"inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"fields":{"a":{"items":"#,
        r#"{"items":[{"fields":{}}]}"#,
        "}}}}}",
    ),
    (
        "line items of the catalogue",
        load!(mindee::Extraction<mindee::catalogue::FinancialDocument>),
        r#"{"inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"fields":{"line_items":{"items":"#,
        r#"{"fields":{}}"#,
        "}}}}}",
    ),
    (
        "nutrients of the catalogue",
        load!(mindee::Extraction<mindee::catalogue::NutritionFacts>),
        r#"{"inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"fields":{"nutrients":{"items":"#,
        r#"{"fields":{}}"#,
        "}}}}}",
    ),
    (
        "crops",
        load!(mindee::Crop),
        r#"{"inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"crops":"#,
        r#"{"object_type":"","location":{"polygon":[],"page":0}}"#,
        "}}}",
    ),
    (
        "words",
        load!(mindee::Ocr),
        r#"{"inference":{"id":"i","model":{"id":"m"},"file":{"name":"f"},"result":{"pages":[{"content":"","words":"#,
        r#"{"content":"","polygon":[]}"#,
        "}]}}}",
    ),
    (
        "images of foxyai",
        load!(foxyai::ImageGroup),
        r#"{"_id":"g","updatedAt":"t","status":"s","images":"#,
        r#"{"_id":"","status":""}"#,
        "}",
    ),
    (
        "refs of huggingface",
        load!(huggingface::Event),
        r#"{"event":{"action":"a","scope":"s"},"repo":{"type":"t","name":"n","id":"i"},"webhook":{"id":"w"},"updatedRefs":"#,
        r#"{"ref":""}"#,
        "}",
    ),
];

/// The largest measured multiples.
#[derive(Default)]
struct Most {
    held: usize,
    allocated: usize,
}

impl Most {
    fn note(&mut self, what: &str, load: fn(&Bytes) -> (usize, usize, bool), body: &Bytes) {
        let (held, allocated, is_loaded) = load(body);
        let [held, allocated] = [held, allocated].map(|bytes| bytes.div_ceil(body.len()));
        println!("{held:4} {allocated:4} {what}{}", if is_loaded { "" } else { ": refused" });
        self.held = self.held.max(held);
        self.allocated = self.allocated.max(allocated);
    }
}

/// A single test, because the allocator counts for the whole process.
#[test]
fn memory_of_a_hostile_body_is_bounded_in_the_strict_and_the_tolerant_reading() {
    for (reading, allocated) in [ALLOCATED, ALLOCATED_TOLERANTLY].into_iter().enumerate() {
        let mut most = Most::default();
        for (name, load, members) in KINDS {
            for hostile in hostile() {
                let start: String = hostile.chars().take(12).collect();
                let body = Bytes::from(format!(r#"{{{members},"x":{hostile}}}"#));
                most.note(&format!("{name} {start}"), load[reading], &body);
            }
        }
        for (name, load, before, item, behind) in TYPED {
            let body = Bytes::from(format!("{before}{}{behind}", list(item)));
            most.note(name, load[reading], &body);
            assert!(load[reading](&body).2, "{name} is what is expected there");
        }
        println!("{:4} {:4} at most", most.held, most.allocated);
        assert!(most.held <= HELD, "{}", most.held);
        assert!(most.allocated <= allocated, "{}", most.allocated);
    }
}
