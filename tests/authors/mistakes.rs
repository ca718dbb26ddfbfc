//! What the compiler says to an author's mistakes: each program of `tests/authors/mistakes` is
//! refused, with the texts that its lines `//~` name.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::outside::{cargo, crates};

#[test]
fn mistakes_are_told_in_the_authors_words() {
    let folder = crates().join("mistakes");
    let arguments = ["build", "--bins", "--keep-going", "--message-format", "json"];
    let output = cargo(&folder, &arguments);
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["reason"] == "compiler-message" && message["message"]["level"] == "error" {
            let name = message["target"]["name"].as_str().unwrap().to_owned();
            let text = message["message"]["rendered"].as_str().unwrap();
            said.entry(name).or_default().push_str(text);
        }
    }
    let mut found = 0;
    for entry in std::fs::read_dir(folder.join("src/bin")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let source = if path.is_dir() { path.join("main.rs") } else { path };
        found += 1;
        let said = said.get(&name).unwrap_or_else(|| {
            panic!("{name} compiles; cargo:\n{}", String::from_utf8_lossy(&output.stderr))
        });
        is_told(&source, said);
    }
    assert!(found >= 10, "only {found} programs");
}

fn is_told(source: &Path, said: &str) {
    let source = std::fs::read_to_string(source).unwrap();
    let expected: Vec<_> = source.lines().filter_map(|line| line.strip_prefix("//~ ")).collect();
    assert!(!expected.is_empty());
    // a long note is broken over several lines
    let words = said.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
    for text in expected {
        assert!(words.contains(text), "`{text}` is not in\n{said}");
    }
}
