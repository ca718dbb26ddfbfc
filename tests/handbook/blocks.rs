//! Every block of code in the handbook and the README is run, or read as what reads it would.

use std::path::Path;
use std::process::Command;

use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::config::{Config, Environment};
use tcs_testkit::nats::wait_for;
use tcs_testkit::site::Site;
use tcs_testkit::tcsctl;

use super::read;

/// The blocks of a page, with their languages.
fn blocks(page: &str) -> Vec<(String, String)> {
    let text = read(page);
    let mut parts = text.split("```");
    parts.next();
    let mut blocks = Vec::new();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        let (language, code) = block.split_once('\n').unwrap();
        blocks.push((language.to_owned(), code.to_owned()));
    }
    blocks
}

/// Those of one language.
pub(super) fn of(page: &str, language: &str) -> Vec<String> {
    let blocks = blocks(page).into_iter();
    blocks.filter(|(of, _)| of == language).map(|(_, code)| code).collect()
}

const PAGES: [&str; 6] = [
    "docs/handbook/README.md",
    "docs/handbook/SUMMARY.md",
    "docs/handbook/growing.md",
    "docs/handbook/rights.md",
    "docs/handbook/faults.md",
    "docs/handbook/alarms.md",
];

#[test]
fn every_page_is_known_and_in_the_table_of_contents() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/handbook");
    let (summary, readme) = (read(PAGES[1]), read(PAGES[0]));
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(PAGES.contains(&format!("docs/handbook/{name}").as_str()), "{name} is not tried");
        let link = format!("({name})");
        assert!(summary.contains(&link) || name == "SUMMARY.md", "{name} is not in SUMMARY.md");
        let is_page = !["SUMMARY.md", "README.md"].contains(&name.as_str());
        assert!(!is_page || readme.contains(&link), "{name} is not in README.md");
    }
}

/// What kinds there are, and who tries them; what is YAML or JSON is read here.
#[test]
fn every_block_of_the_handbook_is_tried() {
    for page in PAGES {
        for (language, code) in blocks(page) {
            match language.as_str() {
                "yaml" => {
                    let whole = if code.contains("services:") {
                        code.clone()
                    } else {
                        format!("{code}services: []\n")
                    };
                    let read = Config::parse(page, whole.as_bytes(), &Environment::default());
                    let config = read.unwrap_or_else(|errors| panic!("{errors}\n{code}"));
                    assert!(config.warnings.is_empty(), "{page}: {}", config.warnings);
                }
                "json" => {
                    let dir = tempfile::tempdir().unwrap();
                    let file = dir.path().join("site.json");
                    std::fs::write(&file, &code).unwrap();
                    let context = Some(file.to_str().unwrap().to_owned());
                    let section = NatsSection { context, ..NatsSection::default() };
                    let settings = Settings::from_process(&section, None).unwrap();
                    assert_eq!(settings.shown_servers(), "nats://srv01:4222");
                    assert_eq!(settings.auth.value.to_string(), "user viewer");
                }
                // run by the tests of the page: nothing else may stand there
                "sh" => {
                    for line in code.lines() {
                        let is_tried = line.starts_with("tcsctl --server nats://")
                            || line == "tcsd check --connect --config services.yaml";
                        assert!(is_tried, "{page}: nobody has tried `{line}`");
                    }
                }
                // in the configuration of `an_account_reads_another_ones_streams_or_says_why_not`
                "conf" => {
                    for line in code.lines().map(str::trim).filter(|line| line.len() > 2) {
                        assert!(super::IMPORTS.contains(line), "{page}: nobody has tried `{line}`");
                    }
                }
                // of a server's configuration, and its start: tests/rights.rs
                "" | "console" => assert_eq!(page, "docs/handbook/rights.md", "{code}"),
                other => panic!("{page}: a block of `{other}`, which nobody tries:\n{code}"),
            }
        }
    }
}

/// Command lines in an indented block of the README, without what is said of them.
fn readme_lines(program: &str) -> Vec<String> {
    let readme = read("README.md");
    let start = format!("    {program}");
    let lines = readme.lines().filter(|line| line.starts_with(&start));
    let lines = lines.map(|line| line.trim().split("  ").next().unwrap().to_owned());
    let lines: Vec<String> = lines.collect();
    assert!(lines.len() >= 4, "{lines:?}");
    lines
}

/// A service by the name that the README uses, which does well, and who watches it.
const SITE: &str = "services:
  - {type: sentinel, variant: main, channels: {ring: {exec: [\"true\"]}}}
  - type: guider
    variant: jk15
    launch: {exec: [sh, -c, 'while :; do echo guiding; sleep 0.2; done']}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_commands_do_something() {
    let site = Site::start(SITE).await;
    let url = site.server.url();
    for service in ["guider.jk15", "sentinel.main"] {
        let is_up = || tcsctl::at(&url, &["wait", service, "--timeout", "1"]).code == Some(0);
        wait_for(&format!("{service} is up"), is_up).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_tcsctl")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", programs.display());
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(dir.path()).env("PATH", &path);
        shell.env("NATS_URL", &url).env("HOME", dir.path()).env("LANG", "C.UTF-8");
        shell.output().unwrap()
    };
    for line in readme_lines("tcsctl") {
        // what goes on until somebody ends it, and what needs something special, is parsed
        let goes_on = ["-f", "watch", "record", "--at"].iter().any(|it| line.contains(it));
        let line = if goes_on { format!("{line} --help") } else { line };
        let output = shell(&line);
        // a program without remote control cannot be asked for its health or its commands
        let asks = ["tcsctl health", "tcsctl call"].iter().any(|it| line.starts_with(it));
        let is_well = output.status.success() || asks;
        assert!(is_well, "{line}: {output:#?}");
        assert!(output.status.code() != Some(2), "{line}: {output:#?}");
    }
    for line in readme_lines("tcsd") {
        let line = line.replace(" ...", "").replace("FILE", "services.yaml");
        std::fs::write(dir.path().join("services.yaml"), SITE).unwrap();
        let line = if line.starts_with("tcsd -") { format!("{line} --help") } else { line };
        let output = shell(&line);
        assert!(output.status.success(), "{line}: {output:#?}");
    }
}
