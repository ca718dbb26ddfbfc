//! No `.env` panics its reader, and places of errors lie in the file; see `inputs.rs`.
#![no_main]

#[path = "../inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::dotenv_any(input));
