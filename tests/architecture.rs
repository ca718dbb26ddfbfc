//! Who may know whom: ARCHITECTURE.md's rules, held against the sources.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates that touch nothing outside: their manifests name nothing that could.
const PURE: [&str; 5] = [
    "tcs-core/wire",
    "tcs-core/fleet",
    "tcs-core/alarms",
    "tcs-launcher/supervisor",
    "tcsctl/present",
];
const EDGES: [&str; 6] = [
    "tcs-core/bus",
    "tcs-core",
    "tcs-core/macros",
    "tcs-launcher",
    "tcs-launcher/samples",
    "tcsctl",
];

/// All Rust files below the crates' `src`, as paths from the repository's root.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for package in PURE.iter().chain(&EDGES) {
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
    let rooms = ["tcs-core/bus/src"];
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
        "tcs-launcher/src/stdout",
    ];
    assert_eq!(strays(&words, &rooms), Vec::<String>::new());
}

/// What the standard library offers to everybody, and pure code does not use.
const IMPURE: [&str; 10] = [
    "fs::",
    "net::",
    "io::",
    "env::",
    "process::",
    "thread::",
    "Instant::now",
    "SystemTime",
    // not seen through by these words
    "std::{",
    "std::*",
];

/// The lines of a file that use one of the words, test modules in it included.
fn impure<'a>(text: &'a str, words: &[&str]) -> Vec<(usize, &'a str)> {
    let uses = |code: &str| words.iter().any(|word| code.contains(word));
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default()).enumerate();
    lines.filter(|(_, code)| uses(code)).map(|(i, code)| (i + 1, code)).collect()
}

/// The lines of all files of these rooms, their tests in files of their own apart.
fn impure_lines(rooms: &[&str], words: &[&str]) -> Vec<String> {
    let mut strays = Vec::new();
    for (path, text) in sources() {
        let tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        if tests || !rooms.iter().any(|room| inside(&path, room)) {
            continue;
        }
        let lines = impure(&text, words);
        strays.extend(lines.iter().map(|(line, code)| format!("{path}:{line}: {}", code.trim())));
    }
    strays
}

#[test]
fn pure_crates_use_nothing_impure_of_the_standard_library() {
    let rooms = PURE.map(|package| format!("{package}/src"));
    let rooms = rooms.each_ref().map(String::as_str);
    assert_eq!(impure_lines(&rooms, &IMPURE), Vec::<String>::new());
}

#[test]
fn pure_rooms_have_no_io_no_clock_and_nothing_async() {
    let words =
        [&IMPURE[..], &["tokio", "async ", ".await", "Utc::now", "clock::", "::bus"]].concat();
    let rooms = [
        "tcs-core/src/monitor/core",
        "tcs-core/src/monitor/pace",
        "tcs-core/src/service/lifecycle",
        "tcsctl/src/dashboard/state",
    ];
    assert_eq!(impure_lines(&rooms, &words), Vec::<String>::new());
}

/// Rooms of the console and of the configuration, each with what stands above it and it must not name.
const BELOW: [(&str, &[&str]); 6] = [
    (
        "tcs-core/src/config/problem",
        &["super::secrets", "super::services", "super::launch", "super::decode", "super::values"],
    ),
    (
        "tcs-core/src/config/values",
        &["super::schema", "super::services", "super::launch", "super::decode"],
    ),
    ("tcsctl/src/cli", &["crate::commands", "crate::settings"]),
    ("tcsctl/src/output", &["crate::commands", "crate::cli", "crate::dashboard"]),
    ("tcsctl/src/dashboard/state", &["view::", "run::", "Buffer", "::buffer"]),
    ("tcsctl/src/dashboard/layout", &["state::", "view::", "State"]),
];

#[test]
fn rooms_make_no_circle() {
    for (room, above) in BELOW {
        assert_eq!(impure_lines(&[room], above), Vec::<String>::new(), "{room}");
    }
}

/// A line of impurity, put into each pure crate, is refused: by the compiler, because the crate's
/// manifest lacks what it names, or by the words above.
#[test]
fn an_impure_line_breaks_the_build_of_each_pure_crate() {
    for line in [
        "use std::fs::read;",
        "use std::{fs, net};",
        "fn f() { std::thread::sleep(std::time::Duration::MAX) }",
        "#[cfg(test)] mod t { fn f() -> std::time::Instant { std::time::Instant::now() } }",
    ] {
        assert!(!impure(line, &IMPURE).is_empty(), "{line}");
    }
    let copy = Copy::of_the_pure_crates();
    for package in PURE {
        assert!(copy.builds(package, ""), "{package} by itself");
        for line in [
            "fn _f() { tokio::spawn(async {}); }",
            "fn _f() { let _ = chrono::Utc::now(); }",
            "use tcs_async_nats as _;",
            "use tcs_bus as _;",
            "use nix as _;",
            "use tracing as _;",
            "use ratatui as _;",
        ] {
            assert!(!copy.builds(package, line), "{package} builds with: {line}");
        }
    }
}

/// A workspace of the pure crates alone.
struct Copy(PathBuf);

impl Copy {
    fn of_the_pure_crates() -> Self {
        let here = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pure");
        if here.exists() {
            std::fs::remove_dir_all(&here).unwrap();
        }
        let mut files = vec!["Cargo.lock".to_owned()];
        for package in PURE {
            let mut sources = Vec::new();
            walk(&root().join(package).join("src"), &mut sources);
            files.extend(sources.into_iter().map(|(path, _)| path));
            files.push(format!("{package}/Cargo.toml"));
        }
        for file in files {
            let to = here.join(&file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(root().join(&file), to).unwrap();
        }
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let (before, rest) = manifest.split_once("members = [").unwrap();
        let (_, after) = rest.split_once(']').unwrap();
        let manifest = format!("{before}members = {PURE:?}{after}");
        std::fs::write(here.join("Cargo.toml"), manifest).unwrap();
        Self(here)
    }

    /// Whether a crate builds with a line more.
    fn builds(&self, package: &str, line: &str) -> bool {
        let path = self.0.join(package).join("src/lib.rs");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{before}\n{line}\n")).unwrap();
        let output = std::process::Command::new(env!("CARGO"))
            .args(["check", "--offline", "--quiet", "--target-dir"])
            .arg(self.0.with_file_name("pure-target"))
            .current_dir(self.0.join(package))
            .output()
            .unwrap();
        std::fs::write(&path, before).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || !line.is_empty(), "{package}:\n{said}");
        output.status.success()
    }
}

/// Crates whose types public signatures of our libraries may name: their users have them too.
const SHARED: [&str; 10] = [
    "anyhow",
    "chrono",
    "proc_macro",
    "serde",
    "serde_json",
    "std",
    "tcs_",
    "tokio",
    "tokio_util",
    "tracing",
];

/// Public signatures of a file that name a type of any other crate, with the type:
/// `Errno in pub fn carry(limit: u64) -> Result<(), Errno>`.
fn foreign_types(text: &str) -> Vec<String> {
    let import = Regex::new(r"(?m)^\s*(?:pub )?use (\w+)(::[^;]+);").unwrap();
    let signature =
        Regex::new(r"(?m)^\s*(pub (?:async |const |unsafe )*(?:fn|type|trait|const) [^{;=]+)")
            .unwrap();
    let word = Regex::new(r"\b[A-Z]\w+").unwrap();
    let production = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_ours = |name: &str| {
        let shared =
            |it: &&str| if it.ends_with('_') { name.starts_with(*it) } else { name == *it };
        ["crate", "self", "super"].contains(&name)
            || SHARED.iter().any(shared)
            || text.contains(&format!("mod {name};"))
    };
    let imports = import.captures_iter(production).filter(|found| !is_ours(&found[1]));
    let paths: Vec<String> = imports.map(|found| found[2].to_owned()).collect();
    let foreign: Vec<&str> =
        paths.iter().flat_map(|path| word.find_iter(path)).map(|it| it.as_str()).collect();
    let told = signature.captures_iter(production).flat_map(|found| {
        let signature = found[1].split_whitespace().collect::<Vec<_>>().join(" ");
        let in_it = word.find_iter(&signature).filter(|it| foreign.contains(&it.as_str()));
        in_it.map(|it| format!("{} in {signature}", it.as_str())).collect::<Vec<_>>()
    });
    told.collect()
}

#[test]
fn public_signatures_name_no_foreign_types() {
    let foreign = "use nix::{errno::Errno, unistd::Pid};\npub fn a(\n    b: u8,\n) -> Errno {}";
    assert_eq!(foreign_types(foreign), ["Errno in pub fn a( b: u8, ) -> Errno"]);
    assert_eq!(foreign_types(&foreign.replace("pub fn", "pub(crate) fn")), Vec::<String>::new());
    let mut named = Vec::new();
    // tcsctl is a program: its library is there for its tests
    for (path, text) in sources().iter().filter(|(path, _)| !path.starts_with("tcsctl/src")) {
        named.extend(foreign_types(text).into_iter().map(|it| format!("{path}: {it}")));
    }
    assert_eq!(named, Vec::<String>::new());
}

#[test]
fn panics_are_caught_and_so_never_abort() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let aborts = manifest.lines().any(|line| line.trim_start().starts_with("panic"));
    assert!(!aborts, "a panic setting in Cargo.toml: the launcher catches the panics of services");
}

#[test]
fn ci_runs_with_the_declared_version_of_rust() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""));
    let version = version.and_then(|rest| rest.split('"').next()).unwrap();
    assert!(read(".github/workflows/ci.yml").contains(&format!("rust:{version}-")), "{version}");
}

/// The anchors of a Markdown file's headings, as those who render it make them.
fn anchors(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !in_code) {
            let kept = heading.trim_start_matches('#').trim().chars();
            let kept = kept.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.push(kept.collect::<String>().to_lowercase().replace(' ', "-"));
        }
    }
    anchors
}

/// What is wrong with a place in a document; `None`: it is there.
fn missing(document: &Path, anchor: Option<&str>) -> Option<&'static str> {
    let Some(anchor) = anchor else { return (!document.is_file()).then_some("no such file") };
    let Ok(text) = std::fs::read_to_string(document) else { return Some("no such file") };
    let is_there = anchors(&text).iter().any(|it| it == anchor);
    (!is_there).then_some("no such heading")
}

/// Sources cite `docs/spec/NAME.md#anchor`, documents link to each other and name source files: all
/// of that is there, and no source names a document that is not.
#[test]
fn citations_of_documents_lead_somewhere() {
    let citation = Regex::new(r"(docs/spec/)?\b([\w-]+\.md)\b(?:#([\w-]+))?").unwrap();
    let link = Regex::new(r"\]\(([^)#:]*)(?:#([\w-]+))?\)").unwrap();
    let file = Regex::new(r"`([\w./-]+\.rs)`").unwrap();
    let cited =
        ["truth", "wire", "configuration", "supervision", "console", "python-compat", "nats"];
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut files = sources();
    for folder in
        ["tests", "tcs-core/benches", "tcs-launcher/benches", "tcsctl/benches", "fuzz/fuzz_targets"]
    {
        walk(&root().join(folder), &mut files);
    }
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("/architecture.rs")) {
        for found in citation.captures_iter(text) {
            let anchor = found.get(3).map(|it| it.as_str());
            let why = match (found.get(1), found[2].trim_end_matches(".md")) {
                (Some(_), _) => missing(&root().join("docs/spec").join(&found[2]), anchor),
                (None, name) => cited.contains(&name).then_some("write docs/spec/NAME.md#anchor"),
            };
            count += usize::from(found.get(1).is_some());
            wrong.extend(why.map(|why| format!("{path}: {}: {why}", &found[0])));
        }
    }
    assert!(count > 40, "only {count} citations found");
    let mut documents = Vec::new();
    walk_all(&root().join("docs"), "md", &mut documents);
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        documents.push(root().join(name));
    }
    for path in documents {
        let text = std::fs::read_to_string(&path).unwrap();
        for found in link.captures_iter(&text) {
            let to = match &found[1] {
                "" => path.clone(),
                to => path.with_file_name("").join(to),
            };
            let anchor = found.get(2).map(|it| it.as_str()).filter(|_| !to.is_dir());
            let why = if to.is_dir() { None } else { missing(&to, anchor) };
            wrong.extend(why.map(|why| format!("{}: {}: {why}", path.display(), &found[0])));
        }
        for found in file.captures_iter(&text) {
            // these two name files that their reader writes
            let is_example = found[1].contains("NAME")
                || ["tutorial.md", "from-python.md"].iter().any(|it| path.ends_with(it));
            let is_there =
                is_example || files.iter().any(|(path, _)| Path::new(path).ends_with(&found[1]));
            let why = (!is_there).then_some("no such file");
            wrong.extend(why.map(|why| format!("{}: {}: {why}", path.display(), &found[0])));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A published crate builds from its own files: what production code includes lies beside it (a
/// link, where the original is elsewhere), and each has its licence.
#[test]
fn crates_can_be_packaged() {
    let include = Regex::new(r#"include_(?:str|bytes)!\("([^"]+)"\)"#).unwrap();
    let mut included = 0;
    for (path, text) in sources().iter().filter(|(path, _)| !path.contains("tests")) {
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        for found in include.captures_iter(production) {
            included += 1;
            assert!(!found[1].starts_with(".."), "{path} includes {} from outside", &found[1]);
            assert!(root().join(path).with_file_name(&found[1]).is_file(), "{path}: {}", &found[1]);
        }
    }
    assert!(included > 0, "no production file includes another");
    for room in PURE.iter().chain(&EDGES) {
        let licence = std::fs::read_to_string(root().join(room).join("LICENSE")).unwrap();
        assert!(licence.contains("Apache License"), "{room}");
    }
}

/// All files below a folder with this ending.
fn walk_all(folder: &Path, ending: &str, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk_all(&path, ending, files);
        } else if path.extension().is_some_and(|it| it == ending) {
            files.push(path);
        }
    }
}
