//! Who may know whom: ARCHITECTURE.md's rules, held against the sources.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files below the crates' `src`, as paths from the repository's root.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for package in ["tcs-core", "tcs-launcher", "tcsctl"] {
        walk(&root().join(package).join("src"), &mut files);
    }
    assert!(files.len() > 40, "only {} files", files.len());
    files
}

fn walk(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().display().to_string();
            files.push((path, text));
        }
    }
}

/// The code of a file: without comments, and without its tests at the end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
}

/// Whether a file is inside a room: its `name.rs`, or anything below `name/`.
fn inside(path: &str, room: &str) -> bool {
    path == format!("{room}.rs") || path.starts_with(&format!("{room}/"))
}

/// Files outside `rooms` that name one of the words, with the line.
fn strays(words: &[&str], rooms: &[&str]) -> Vec<String> {
    let mut strays = Vec::new();
    for (path, text) in sources() {
        if rooms.iter().any(|room| inside(&path, room)) {
            continue;
        }
        for (line, code) in code(&text) {
            if words.iter().any(|word| code.contains(word)) {
                strays.push(format!("{path}:{line}: {}", code.trim()));
            }
        }
    }
    strays
}

#[test]
fn the_nats_client_is_named_in_the_bus_alone() {
    // lib.rs gives the vendored copy its name
    let rooms = ["tcs-core/src/bus", "tcs-core/src/lib"];
    assert_eq!(strays(&["async_nats"], &rooms), Vec::<String>::new());
}

#[test]
fn the_terminal_is_named_in_the_dashboard_alone() {
    let rooms = ["tcsctl/src/dashboard"];
    assert_eq!(strays(&["ratatui", "crossterm"], &rooms), Vec::<String>::new());
}

#[test]
fn only_the_output_prints() {
    let words = ["println!", "print!(", "eprintln!", "eprint!(", "dbg!(", "stdout()", "stderr()"];
    let rooms = [
        "tcsctl/src/output",
        "tcsctl/src/dashboard",
        // the banner and the log lines of a service that runs by itself
        "tcs-core/src/service/main",
        "tcs-core/src/service/log",
        "tcs-launcher/src/log",
        "tcs-launcher/src/cli",
    ];
    assert_eq!(strays(&words, &rooms), Vec::<String>::new());
}

#[test]
fn pure_rooms_have_no_io_no_clock_and_nothing_async() {
    let words = [
        "tokio",
        "async ",
        ".await",
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "Instant::now",
        "Utc::now",
        "SystemTime",
        "clock::",
        "crate::bus",
        "tracing::",
    ];
    let pure = [
        "tcs-core/src/wire",
        "tcs-core/src/id",
        "tcs-core/src/fleet",
        "tcs-core/src/monitor/core",
        "tcs-core/src/monitor/pace",
        "tcs-core/src/service/lifecycle",
        "tcs-launcher/src/supervisor",
        "tcs-launcher/src/reload",
        "tcsctl/src/dashboard/state",
    ];
    let mut strays = Vec::new();
    for (path, text) in sources() {
        let tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        if tests || !pure.iter().any(|room| inside(&path, room)) {
            continue;
        }
        for (line, code) in code(&text) {
            if words.iter().any(|word| code.contains(word)) {
                strays.push(format!("{path}:{line}: {}", code.trim()));
            }
        }
    }
    assert_eq!(strays, Vec::<String>::new());
}

#[test]
fn panics_are_caught_and_so_never_abort() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let aborts = manifest.lines().any(|line| line.trim_start().starts_with("panic"));
    assert!(!aborts, "a panic setting in Cargo.toml: the launcher catches the panics of services");
}
