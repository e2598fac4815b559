//! Every provider's types over whatever is posted: no panic, and what is loaded can be written and loaded again.
//!
//! `cargo +nightly fuzz run payloads`. The first byte of an input says which type it is for, so a payload that is to be
//! a seed needs one before it: a fixture as it is goes to one type only.

#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde_json::Value;
use tower_inbox::provider::{
    Payload, assemblyai, baseten, bfl, deepgram, deepinfra, elevenlabs, extend, fal, foxyai, gemini,
    gladia, huggingface, llamacloud, mindee, mindee_v1, openai, reducto, replicate, rossum, runpod,
    standard, vlmrun,
};

fn load<T: Payload + Serialize>(body: &Bytes) {
    let Ok(payload) = T::decode(body) else { return };
    let _ = payload.key();
    let written = Bytes::from(serde_json::to_vec(&payload).expect("what was loaded can be written"));
    let again = T::decode(&written).map(|again| again.key());
    assert_eq!(again.ok(), Some(payload.key()), "what was written is the same inference");
}

/// Only loads: its JSON may hold numbers or words that are written otherwise.
fn only_load<T: Payload>(body: &Bytes) {
    if let Ok(payload) = T::decode(body) {
        let _ = payload.key();
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((which, body)) = input.split_first() else { return };
    let body = &Bytes::from_owner(Arc::<[u8]>::from(body));
    match which % 27 {
        0 => load::<mindee::Extraction<mindee::Fields>>(body),
        1 => load::<mindee::Classification>(body),
        2 => load::<mindee::Crop>(body),
        3 => load::<mindee::Split>(body),
        4 => load::<mindee::Ocr>(body),
        5 => only_load::<mindee::Extraction<mindee::catalogue::Invoice>>(body),
        6 => only_load::<mindee_v1::Response<mindee_v1::Prediction>>(body),
        7 => load::<foxyai::ImageGroup>(body),
        8 => load::<foxyai::Image>(body),
        9 => only_load::<assemblyai::Notice>(body),
        10 => only_load::<baseten::Completed<Value>>(body),
        11 => only_load::<bfl::Generation>(body),
        12 => only_load::<deepgram::Response<Value>>(body),
        13 => only_load::<deepinfra::Completion>(body),
        14 => only_load::<elevenlabs::Event>(body),
        15 => only_load::<extend::Event<Value>>(body),
        16 => only_load::<fal::Response<Value>>(body),
        17 => only_load::<gemini::Event>(body),
        18 => only_load::<gladia::Event>(body),
        19 => only_load::<huggingface::Event>(body),
        20 => only_load::<llamacloud::Event>(body),
        21 => only_load::<openai::Event>(body),
        22 => only_load::<reducto::Notice>(body),
        23 => only_load::<replicate::Prediction<Value>>(body),
        24 => only_load::<rossum::Event>(body),
        25 => only_load::<runpod::Job<Value>>(body),
        _ => only_load::<standard::Event<Value>>(body),
    }
    only_load::<vlmrun::Prediction<Value>>(body);
});
