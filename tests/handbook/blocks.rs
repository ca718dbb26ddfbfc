//! The pages of the handbook: their blocks of code, who runs these, and the commands in their text.
//!
//! A block of commands (`sh`, `console`) is run by [`super::commands`], unless the line before it says
//! otherwise: `<!-- run by: tests/FILE.rs, TEST -->`, or `<!-- not run: needs systemd -->` (or root, or
//! the network).

use std::path::Path;

use regex::Regex;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::config::{Config, Environment};

use super::read;

/// Who runs a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The tests of this folder.
    None,
    /// This test, in this file.
    RunBy(String, String),
    /// Nobody, because it needs this.
    NotRun(String),
}

/// A block of code.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) language: String,
    pub(super) code: String,
    pub(super) mark: Mark,
}

impl Block {
    /// Its lines that are typed.
    pub(super) fn commands(&self) -> Vec<&str> {
        let lines = self.code.lines().map(str::trim);
        match self.language.as_str() {
            "sh" => lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect(),
            "console" => lines.filter_map(|line| line.strip_prefix("$ ")).collect(),
            _ => Vec::new(),
        }
    }
}

/// What the line before a block says of it.
fn mark(before: &str) -> Mark {
    let line = before.trim_end().lines().last().unwrap_or_default();
    let Some(comment) = line.strip_prefix("<!-- ").and_then(|it| it.strip_suffix(" -->")) else {
        return Mark::None;
    };
    if let Some(why) = comment.strip_prefix("not run: ") {
        return Mark::NotRun(why.to_owned());
    }
    let (file, test) = comment
        .strip_prefix("run by: ")
        .and_then(|it| it.split_once(", "))
        .unwrap_or_else(|| panic!("before a block: {line}"));
    Mark::RunBy(file.to_owned(), test.to_owned())
}

/// The blocks of a page.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let text = read(page);
    let parts: Vec<&str> = text.split("```").collect();
    assert!(parts.len() % 2 == 1, "{page}: a block has no end");
    let of = |part: &[&str]| {
        let (language, code) = part[1].split_once('\n').unwrap();
        Block { language: language.to_owned(), code: code.to_owned(), mark: mark(part[0]) }
    };
    parts.windows(2).step_by(2).map(of).collect()
}

/// Those of one language.
pub(super) fn of(page: &str, language: &str) -> Vec<String> {
    let blocks = blocks(page).into_iter();
    blocks.filter(|block| block.language == language).map(|block| block.code).collect()
}

/// Commands of ours in the text of a page, between its blocks.
pub(super) fn inline(page: &str) -> Vec<String> {
    let text = read(page);
    let text: Vec<&str> = text.split("```").step_by(2).collect();
    let command = Regex::new("`(tcs(?:ctl|d) [^`]+)`").unwrap();
    let text = text.join("\n\n");
    let found = command.captures_iter(&text).map(|found| found[1].to_owned());
    found.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The files that the table of contents names, in its order.
fn contents() -> Vec<String> {
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    let summary = read("docs/SUMMARY.md");
    link.captures_iter(&summary).map(|found| format!("docs/{}", &found[1])).collect()
}

/// The pages for those who set up and operate a site.
pub(super) fn pages() -> Vec<String> {
    let pages: Vec<String> =
        contents().into_iter().filter(|page| page.starts_with("docs/handbook/")).collect();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = contents();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for folder in ["", "handbook/", "spec/", "decisions/"] {
        for entry in std::fs::read_dir(docs.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let page = format!("docs/{folder}{name}");
            let is_page = name.strip_suffix(".md").is_some_and(|name| name != "SUMMARY");
            assert!(!is_page || contents.contains(&page), "{page} is not in docs/SUMMARY.md");
        }
    }
    let first = read("docs/README.md");
    for page in pages() {
        let link = format!("({})", page.trim_start_matches("docs/"));
        assert!(first.contains(&link), "{page} is not in docs/README.md");
    }
}

/// What is YAML or JSON is read; a page has no block that nobody tries.
#[test]
fn every_block_is_read_or_run() {
    for page in pages() {
        for Block { language, code, mark } in blocks(&page) {
            match (language.as_str(), mark) {
                ("yaml", Mark::None) => {
                    // an entry's part is read where it belongs: `first_fleet`
                    if code.starts_with(' ') {
                        continue;
                    }
                    let whole = if code.contains("services:") {
                        code.clone()
                    } else {
                        format!("{code}services: []\n")
                    };
                    let read = Config::parse(&page, whole.as_bytes(), &Environment::default());
                    let config = read.unwrap_or_else(|errors| panic!("{errors}\n{code}"));
                    // a profile alone names services of elsewhere
                    let is_fine = config.warnings.is_empty() || code.contains("profiles:");
                    assert!(is_fine, "{page}: {}", config.warnings);
                    is_checked(&page, &whole);
                }
                ("json", Mark::None) => {
                    let dir = tempfile::tempdir().unwrap();
                    let file = dir.path().join("site.json");
                    std::fs::write(&file, &code).unwrap();
                    let context = Some(file.to_str().unwrap().to_owned());
                    let section = NatsSection { context, ..NatsSection::default() };
                    let settings = Settings::from_process(&section, None).unwrap();
                    assert_eq!(settings.shown_servers(), "nats://srv01:4222");
                    assert_eq!(settings.auth.value.to_string(), "user viewer");
                }
                ("sh" | "console", Mark::None) => {}
                // what a program prints
                ("text", Mark::None) if !code.contains("$ ") => {}
                (_, Mark::RunBy(file, test)) => {
                    let known = read(&file).contains(&format!("fn {test}("));
                    assert!(known, "{page}: {file} has no test {test}");
                }
                ("sh" | "console", Mark::NotRun(why)) => {
                    let what = why.strip_prefix("needs ").unwrap_or_default();
                    let mut things = what.split(" and ").flat_map(|it| it.split(", "));
                    let known = ["systemd", "root", "the network", "another host"];
                    assert!(things.all(|it| known.contains(&it)), "{page}: not run: {why}");
                }
                (other, mark) => panic!("{page}: {mark:?}: a block of `{other}`:\n{code}"),
            }
        }
    }
}

/// Whether `tcsd check` finds nothing in a services file but programs and modules of a site, which
/// are not here, and services of other launchers.
fn is_checked(page: &str, file: &str) {
    let dir = tempfile::tempdir().unwrap();
    let check = crate::tcsd(dir.path(), file, &["check"]).output().unwrap();
    let told = String::from_utf8(check.stderr).unwrap();
    let expected = [
        "no services: nothing would run",
        "is not a service of this file",
        "it cannot start",
        "ModuleNotFoundError",
    ];
    for line in told.lines().filter(|line| line.starts_with("services.yaml:")) {
        let is_expected = expected.iter().any(|text| line.contains(text));
        assert!(is_expected, "{page}: {line}\n{file}");
    }
}

/// Few commands are run by nobody; they are listed with the reason.
#[test]
fn what_is_not_run_is_counted() {
    let (mut run, mut not_run) = (0, 0);
    for page in pages() {
        run += inline(&page).len();
        for block in blocks(&page) {
            let commands = block.commands();
            if let Mark::NotRun(why) = &block.mark {
                for line in commands {
                    println!("{page}: not run, {why}: {line}");
                    not_run += 1;
                }
            } else {
                run += commands.len();
            }
        }
    }
    println!("{run} commands are run, {not_run} are not");
    assert!(not_run * 3 < run, "{not_run} of {} commands are not run", run + not_run);
}
