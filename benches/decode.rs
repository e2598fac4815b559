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
    let value = Contender::new("serde_json::Value", |body| {
        black_box(serde_json::from_slice::<serde_json::Value>(body).unwrap());
    });
    for (name, body) in payloads::extractions() {
        compare(
            ALLOCATOR,
            &name,
            &body,
            &[
                Contender::new("Extraction", ours::<Extraction<Fields>>),
                Contender::new("untagged", plain::decode::<plain::Extraction>),
                value,
            ],
        );
    }
    for (name, body) in payloads::financial() {
        compare(
            ALLOCATOR,
            &name,
            &body,
            &[
                Contender::new("catalogue", ours::<Extraction<FinancialDocument>>),
                Contender::new("derived", plain::decode::<plain::Typed>),
                value,
            ],
        );
    }
    for (name, body) in payloads::splits() {
        compare(
            ALLOCATOR,
            &name,
            &body,
            &[
                Contender::new("Split", ours::<Split<Fields>>),
                Contender::new("untagged", plain::decode::<plain::Split>),
                value,
            ],
        );
    }
    for (name, body) in payloads::image_groups() {
        compare(
            ALLOCATOR,
            &name,
            &body,
            &[
                Contender::new("ImageGroup", ours::<ImageGroup>),
                Contender::new("tagged", plain::decode::<plain::ImageGroup>),
                value,
            ],
        );
    }
    for (name, body) in payloads::ocrs() {
        compare(
            ALLOCATOR,
            &name,
            &body,
            &[
                Contender::new("Ocr", |body| drop(black_box(Ocr::decode(body).unwrap()))),
                Contender::new("derived", plain::decode::<plain::Ocr>),
                value,
            ],
        );
    }
}

fn ours<T: Payload>(body: &Bytes) {
    drop(black_box(T::decode(body).unwrap()));
}
