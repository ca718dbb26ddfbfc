//! The Python that the tests run against: a virtual environment with serverish, the independent
//! client, made by `.ci/tools` where it is missing. `TCS_TEST_PYTHON` names another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::root;

/// An interpreter that can import serverish; panics with the way to get one.
pub fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        if let Some(named) = std::env::var_os("TCS_TEST_PYTHON") {
            return named.into();
        }
        let python = root().join(".tools/venv/bin/python");
        if !has_serverish(&python) {
            Command::new(root().join(".ci/tools")).status().ok();
        }
        assert!(has_serverish(&python), "no serverish: run `make tools`, or set TCS_TEST_PYTHON");
        python
    })
}

fn has_serverish(python: &Path) -> bool {
    let output = Command::new(python).args(["-c", "import serverish.messenger"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The library that, preloaded, tells a program another time of day.
pub fn faketime() -> PathBuf {
    let python = interpreter();
    let find = "import libfaketime, pathlib; print(pathlib.Path(libfaketime.__file__).parent)";
    let output = Command::new(python).args(["-c", find]).output().expect("Python runs");
    let package = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let library = package.join("vendor/libfaketime/src/libfaketime.so.1");
    assert!(library.is_file(), "no libfaketime in {}: run `make tools`", python.display());
    library
}

/// The environment in which a program sees another time of day, by what the file `by` says now:
/// `+3600`. The monotonic clock stays.
pub fn changed_clock(by: &Path) -> Vec<(String, String)> {
    let set = |name: &str, value: String| (name.to_owned(), value);
    vec![
        set("LD_PRELOAD", faketime().display().to_string()),
        set("FAKETIME_TIMESTAMP_FILE", by.display().to_string()),
        set("FAKETIME_NO_CACHE", "1".to_owned()),
        set("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// A program of `tests/testkit/python`; of an empty name: that folder.
pub fn script(name: &str) -> PathBuf {
    root().join("tests/testkit/python").join(name)
}
