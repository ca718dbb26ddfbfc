//! No body panics the decoder, of any kind of message; see `inputs.rs`.
#![no_main]

#[path = "../inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::decode_any(input));
