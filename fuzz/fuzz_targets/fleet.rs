//! No sequence of messages panics the fleet, and their order never matters; see `inputs.rs`.
#![no_main]

#[path = "../inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::fold_any(input));
