//! The programs of the package `tcs-launcher` that are there for tests alone: examples, so that
//! nobody is shipped them. `cargo test --test NAME` builds no examples, so they are built here.
//!
//! Included with `#[path = "support/programs.rs"] mod programs;`.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The program that misbehaves on demand.
pub fn badchild() -> PathBuf {
    example("tcs-badchild")
}

/// A launcher with Rust services that misbehave.
pub fn badfleet() -> PathBuf {
    example("tcs-badfleet")
}

fn example(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        let folder = own.ancestors().nth(2).unwrap().join("examples");
        if std::env::var_os("NEXTEST").is_none()
            && folder.ancestors().any(|it| it.ends_with("debug"))
        {
            let mut build = Command::new(env!("CARGO"));
            // what cargo has set for this test would make it build dependencies anew
            for (name, _) in std::env::vars_os() {
                let name = name.to_string_lossy();
                if name.starts_with("CARGO_")
                    && !matches!(&*name, "CARGO_HOME" | "CARGO_TARGET_DIR")
                {
                    build.env_remove(&*name);
                }
            }
            build.args(["build", "-q", "-p", "tcs-launcher", "--examples"]);
            assert!(build.status().unwrap().success());
        }
        folder
    });
    folder.join(name)
}
