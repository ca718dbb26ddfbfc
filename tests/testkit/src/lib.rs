//! What the end-to-end tests and the benchmarks of all crates share.
//!
//! It knows no crate but `tcs-core`: programs are run, not linked. They are found beside the test
//! that runs ([`programs`]).
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "in a test a panic is the report"
)]
#![expect(
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "for a public API; this is one of tests"
)]

use std::path::PathBuf;

pub mod bad_servers;
pub mod browser;
pub mod cluster;
pub mod crowd;
pub mod flood;
pub mod http;
pub mod nats;
pub mod operator;
pub mod past;
pub mod port;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod schema;
pub mod serve;
pub mod site;
pub mod tcsctl;
pub mod tcsd;
pub mod terminal;

/// The repository.
pub fn root() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../..").into()
}
