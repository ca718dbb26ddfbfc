//! What stands in README and docs: every block of Rust is compiled outside of the workspace, or is
//! the beginning of a file of `tests/authors/guide`, and its tests are run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use regex::Regex;
use tcs_testkit::root;

use super::outside::{built, crates, target};

/// Blocks of one language, of a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let fence = Regex::new(&format!("(?s)```{language}\n(.*?)```")).unwrap();
    fence.captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

/// `HelloWorld` is in `hello_world`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// A crate of an author's, out of blocks.
#[derive(Default)]
struct Crate {
    files: BTreeMap<PathBuf, String>,
    modules: Vec<String>,
}

impl Crate {
    fn take(&mut self, block: &str) {
        let service = Regex::new(r"Service for (\w+)").unwrap();
        let main = Regex::new(r"main::<\w+::(\w+)::\w+>").unwrap();
        let tested = Regex::new(r"fn (\w+)\(\)").unwrap();
        let path = if let Some(found) = main.captures(block) {
            format!("src/bin/{}.rs", &found[1])
        } else if block.contains("test]") {
            format!("tests/{}.rs", &tested.captures(block).unwrap()[1])
        } else {
            let name = snake(&service.captures(block).expect(block)[1]);
            self.modules.push(name.clone());
            format!("src/{name}.rs")
        };
        assert!(self.files.insert(path.clone().into(), block.to_owned()).is_none(), "{path} twice");
    }

    fn write(mut self, folder: &Path) {
        std::fs::remove_dir_all(folder).ok();
        let core = root().join("tcs-core");
        let manifest = format!(
            "[workspace]\n\n[package]\nname = \"my_services\"\nversion = \"0.1.0\"\nedition = \
             \"2024\"\n\n[dependencies]\ntcs-core = {{ path = \"{}\" }}\n",
            core.canonicalize().unwrap().display()
        );
        self.files.insert("Cargo.toml".into(), manifest);
        let mut library = String::from("#![allow(dead_code)]\n");
        for module in &self.modules {
            writeln!(library, "pub mod {module};").unwrap();
        }
        self.files.insert("src/lib.rs".into(), library);
        for (path, text) in &self.files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }
}

#[test]
fn the_tutorial_and_the_readme_compile_and_their_tests_pass() {
    let mut all = Crate::default();
    for document in ["README.md", "docs/tutorial.md"] {
        let found = blocks(document, "rust");
        assert!(!found.is_empty(), "{document}");
        for block in &found {
            all.take(block);
        }
    }
    let folder = target().join("docs");
    all.write(&folder);
    let text = built(&folder, &["test"]);
    assert!(text.contains("1 passed"), "{text}");
}

/// What a file of the guide's crate shows: up to the line.
fn shown(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n// ---\n").next().unwrap().trim_end().to_owned() + "\n"
}

#[test]
fn the_page_for_python_shows_what_is_run() {
    let guide = crates().join("guide/src");
    let launcher = std::fs::read_to_string(crates().join("launcher/src/main.rs")).unwrap();
    let discovery = std::fs::read_to_string(crates().join("guide/tests/discovery.rs")).unwrap();
    let mut services = 0;
    let service = Regex::new(r"Service for (\w+)").unwrap();
    for block in blocks("docs/from-python.md", "rust") {
        let Some(found) = service.captures(&block) else {
            assert!(block == launcher || block == discovery, "not run anywhere:\n{block}");
            continue;
        };
        services += 1;
        assert_eq!(block, shown(&guide.join(format!("{}.rs", snake(&found[1])))));
    }
    assert!(services >= 10, "only {services}");
}

/// Lines with something in it, and of these those that do not only close brackets.
fn lines(code: &str) -> (usize, usize) {
    let import = Regex::new("^(use|from|import) ").unwrap();
    let lines = code.lines().filter(|line| !line.trim().is_empty() && !import.is_match(line));
    let closing = |line: &&str| line.chars().all(|c| c.is_whitespace() || "(){}[],;".contains(c));
    let all: Vec<_> = lines.collect();
    (all.len(), all.len() - all.iter().filter(|line| closing(line)).count())
}

#[test]
fn the_examples_are_as_short_as_told() {
    let page = std::fs::read_to_string(root().join("docs/from-python.md")).unwrap();
    let pair = Regex::new("(?s)```python\n([^`]*)```\n\n```rust\n([^`]*)```").unwrap();
    let service = Regex::new(r"Service for (\w+)").unwrap();
    let (mut python, mut rust, mut found) = (0_usize, 0_usize, 0);
    for block in pair.captures_iter(&page) {
        let Some(name) = service.captures(&block[2]) else { continue };
        let (there, (here, open)) = (lines(&block[1]).0, lines(&block[2]));
        let row = format!("| `{}` | {there} | {here} | {open} |\n", &name[1]);
        if page.contains(&row) {
            (python, rust, found) = (python + there, rust + here, found + 1);
        } else {
            let row = row.replacen("` |", "`, of a fragment of the guide |", 1);
            assert!(page.contains(&row), "the page does not tell {row}");
        }
    }
    assert_eq!(found, 9);
    let ratio = rust as f64 / python as f64;
    assert!(ratio <= 1.3, "{rust} lines for {python}: {ratio:.2}");
    assert!(
        page.contains(&format!("| all nine | {python} | {rust} ({ratio:.2} x) |")),
        "{ratio:.2}"
    );
}
