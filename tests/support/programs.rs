//! The programs of the package `tcs-launcher` that are there for tests alone: examples, so that
//! nobody is shipped them.
//!
//! Included with `#[path = "support/programs.rs"] mod programs;`.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "examples.rs"]
mod examples;

use std::path::PathBuf;

/// The program that misbehaves on demand.
pub fn badchild() -> PathBuf {
    example("tcs-badchild")
}

/// A launcher with Rust services that misbehave.
pub fn badfleet() -> PathBuf {
    example("tcs-badfleet")
}

fn example(name: &str) -> PathBuf {
    examples::example("tcs-launcher", name)
}
