//! No datagram of `sd_notify` panics its reader; see `inputs.rs`.
#![no_main]

#[path = "../inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::notify_any(input));
