//! The programs that tests run, found beside the test: where cargo has put them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What cargo sets for a program that it runs. Handed on to another cargo it would make build
/// scripts run anew, and all that comes after them. What a person has set (`CARGO_PROFILE_*`,
/// `CARGO_BUILD_*`, ...) decides how things are built, and has to be the same.
const SET_FOR_US: [&str; 5] =
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];

/// A program of a package of the workspace, as built before: cargo does it for tests of its own
/// package, and for all with the workspace.
pub fn program(name: &str) -> PathBuf {
    let path = folder(&this_test()).join(name);
    assert!(path.exists(), "no {}: cargo build --workspace", path.display());
    path
}

/// Writes a script that can be run. Another process writes it: as long as a file is open for
/// writing in this one, each child of another test has it open too until it becomes its program, and
/// nobody can run it.
pub fn write_script(path: &Path, text: &str) {
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let status = Command::new("sh").args(["-c", write]).arg(path).arg(text).status().unwrap();
    assert!(status.success(), "cannot write {}", path.display());
}

/// Copies a program, for the same reason in another process.
pub fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success(), "{}", to.display());
}

/// The program that misbehaves on demand.
pub fn badchild() -> PathBuf {
    example("tcs-launcher", "tcs-badchild")
}

/// A launcher with Rust services that misbehave.
pub fn badfleet() -> PathBuf {
    example("tcs-launcher", "tcs-badfleet")
}

fn this_test() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// The folder of programs for a test at `TARGET/[TRIPLE/]PROFILE/deps/this-0123456789abcdef`.
fn folder(test: &Path) -> &Path {
    test.ancestors().nth(2).unwrap()
}

/// Takes out of a cargo's environment what this test's own cargo has set.
pub fn unset_cargo(cargo: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if SET_FOR_US.iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            cargo.env_remove(name);
        }
    }
}

/// An example program of a package (`cargo test --test NAME` builds none), built as this test is:
/// for the same profile and target, in the same folder. That is a look at dates where all of the
/// workspace was built before.
pub fn example(package: &str, name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let test = this_test();
    let folder = folder(&test);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(name) {
        let profile = folder.file_name().unwrap().to_str().unwrap();
        let profile = if profile == "debug" { "dev" } else { profile };
        let mut target = folder.parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", package, "--example", name]);
        cargo.args(["--profile", profile]);
        if !target.join(".rustc_info.json").exists() {
            cargo.arg("--target").arg(target.file_name().unwrap());
            target = target.parent().unwrap();
        }
        cargo.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
        unset_cargo(&mut cargo);
        assert!(cargo.status().unwrap().success(), "cannot build the example {name}");
        built.insert(name.to_owned());
    }
    folder.join("examples").join(name)
}
