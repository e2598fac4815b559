//! How fast payloads of Mindee and FoxyAI are decoded, against what one would write first and against `serde_json::Value`.
//!
//! `INBOX_FIXTURES=../shared/fixtures cargo bench --bench decode`: all are measured in one run, in alternating rounds,
//! since absolute figures do not carry over to another machine or day. Compare the ratios.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run says so by panicking")]

mod decode_support;

use std::{alloc::System, hint::black_box};

use bytes::Bytes;
use decode_support::{Contender, compare, payloads, plain};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tower_inbox::provider::{
    Payload,
    foxyai::ImageGroup,
    mindee::{Extraction, Fields, Ocr, Split, catalogue::FinancialDocument},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    for body in payloads::extractions() {
        measure(
            body,
            Contender::new("Extraction", ours::<Extraction<Fields>>),
            Contender::new("untagged", plain::decode::<plain::Extraction>),
        );
    }
    for body in payloads::financial() {
        measure(
            body,
            Contender::new("catalogue", ours::<Extraction<FinancialDocument>>),
            Contender::new("derived", plain::decode::<plain::Typed>),
        );
    }
    for body in payloads::splits() {
        measure(
            body,
            Contender::new("Split", ours::<Split<Fields>>),
            Contender::new("untagged", plain::decode::<plain::Split>),
        );
    }
    for body in payloads::image_groups() {
        measure(
            body,
            Contender::new("ImageGroup", ours::<ImageGroup>),
            Contender::new("tagged", plain::decode::<plain::ImageGroup>),
        );
    }
    for body in payloads::ocrs() {
        measure(
            body,
            Contender::new("Ocr", ours::<Ocr>),
            Contender::new("derived", plain::decode::<plain::Ocr>),
        );
    }
}

fn measure((name, body): (String, Bytes), ours: Contender, first: Contender) {
    let value = Contender::new("serde_json::Value", plain::decode::<serde_json::Value>);
    compare(ALLOCATOR, &name, &body, &[ours, first, value]);
}

fn ours<T: Payload>(body: &Bytes) {
    drop(black_box(T::decode(body).unwrap()));
}
