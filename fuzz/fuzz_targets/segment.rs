//! Reads a real segment after it was mangled as the input says: `cargo +nightly fuzz run segment`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/archive/mangled/body.rs"]
mod body;

fuzz_target!(|script: &[u8]| {
    let read = body::read(&body::mangle(body::whole().bytes.clone(), script));
    std::hint::black_box(read);
});
