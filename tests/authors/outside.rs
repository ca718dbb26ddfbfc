//! Builds what stands outside of the workspace, with the versions of the workspace's dependencies.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

use tcs_testkit::programs::unset_cargo;
use tcs_testkit::root;

/// Where it is built: one folder, so that dependencies are built once.
pub(crate) fn target() -> PathBuf {
    root().join("target/authors")
}

/// The crates in `tests/authors`.
pub(crate) fn crates() -> PathBuf {
    root().join("tests/authors")
}

/// Cargo in a folder with a manifest of its own. What it needs is there, but for the registry's
/// index on a new machine: then it is asked for that.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    // one at a time: another one must not read a lock file that is half written
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let run = |offline: Option<&str>| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).args(offline).current_dir(folder);
        unset_cargo(&mut cargo);
        cargo.env("CARGO_TARGET_DIR", target());
        // they are built once, and nobody debugs them
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
        cargo.output().unwrap()
    };
    let output = run(Some("--offline"));
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("--offline was specified") { run(None) } else { output }
}

/// The same, which must go well; what it wrote.
pub(crate) fn built(folder: &Path, arguments: &[&str]) -> String {
    let output = cargo(folder, arguments);
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "cargo {arguments:?} in {}:\n{text}", folder.display());
    text
}

/// A program of `tests/authors`: `observatory`, the launcher, or `alone`.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| drop(built(&crates(), &["build", "--workspace"])));
    target().join("debug").join(name)
}
