//! Every type of every provider over whatever is posted, with our payloads to begin with:
//! `cargo +nightly fuzz run payloads fuzz/corpus/payloads tests/fixtures/*/`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/provider_market/every.rs"]
mod every;

fuzz_target!(|input: &[u8]| {
    std::hint::black_box(every::load_as_any(input));
});
