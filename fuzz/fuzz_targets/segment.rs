//! Damages a real archive segment as the input specifies, and reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/archive/corruption/body.rs"]
#[expect(dead_code, reason = "what was read is for the tests that share it")]
mod body;

fuzz_target!(|script: &[u8]| {
    let read = body::read(&body::mangle(body::whole().bytes.clone(), script));
    std::hint::black_box(read);
});
