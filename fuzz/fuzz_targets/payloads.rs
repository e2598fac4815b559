//! Decodes an arbitrary body as every type of every provider, strictly and tolerantly.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/provider_market/every.rs"]
mod every;

fuzz_target!(|input: &[u8]| {
    std::hint::black_box(every::load_as_any(input));
});
