//! The handbook as mdBook builds it: each link in it leads somewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use regex::Regex;
use tcs_testkit::root;

/// From PATH, or from `.tools`.
fn mdbook() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.push(root().join(".tools/venv/bin"));
    places.into_iter().map(|dir| dir.join("mdbook")).find(|program| program.is_file())
}

/// Without `..`, also where nothing stands there.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|it| it == "html") {
            found.push(path);
        }
    }
}

#[test]
fn the_built_handbook_has_no_dead_link() {
    let Some(mdbook) = mdbook() else {
        println!("NOT TESTED: no mdbook; .ci/tools gets one");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let output = Command::new(mdbook)
        .args(["build", "docs", "--dest-dir"])
        .arg(top.join("docs"))
        .current_dir(root())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("WARN"), "{told}");
    let mut files = Vec::new();
    pages(&top.join("docs"), &mut files);
    let main = Regex::new("(?s)<main>(.*)</main>").unwrap();
    let link = Regex::new(r##"(?:href|src)="([^"#:]*)(?:#([^"]*))?""##).unwrap();
    let (mut dead, mut count) = (BTreeSet::new(), 0);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // one page of all others, for printing: its links are theirs
        let is_page = ["print.html", "404.html", "toc.html"].iter().all(|it| !file.ends_with(it));
        let Some(main) = main.captures(&text).filter(|_| is_page) else { continue };
        for found in link.captures_iter(&main[1]) {
            count += 1;
            let to = match &found[1] {
                "" => file.clone(),
                to => plain(&file.with_file_name("").join(to)),
            };
            // what is not in docs/ lies beside it as in the repository: `make book` copies it
            let inside = to.strip_prefix(&top).unwrap();
            let to = if inside.starts_with("docs") { to.clone() } else { root().join(inside) };
            let anchor = found.get(2).map(|it| format!("id=\"{}\"", it.as_str()));
            let is_there = match anchor {
                Some(id) => std::fs::read_to_string(&to).is_ok_and(|text| text.contains(&id)),
                None => to.exists(),
            };
            if !is_there {
                dead.insert(format!("{}: {}", file.display(), &found[0]));
            }
        }
    }
    assert!(count > 200, "only {count} links");
    assert!(dead.is_empty(), "{dead:#?}");
}
