//! In which order services start.

use super::*;

/// A module that the file names is run, whatever is linked; a Rust service where it says so.
#[test]
fn a_mapping_in_the_file_is_an_order() {
    let types = ["guider", "dome", "camera"]
        .map(|name| KnownType { name, settings: check_settings::<settings::Guider> });
    let text = "\
registry: {guider: old.guider, dome: ~}
services:
  - {type: guider, variant: a}
  - {type: guider, variant: b, launch: {rust: true}}
  - {type: dome, variant: a}
  - {type: camera, variant: a}
  - {type: camera, variant: b, module: old.camera}
  - {type: camera, variant: c, module: old.camera, launch: {rust: true, mode: async, python: py}}
  - {type: camera, variant: d, launch: {exec: [./camera], rust: true}}
  - {type: absent, variant: a, launch: {rust: true}}
";
    let how = |entry: &Entry| How::of(entry, &types, &environment(&[])).to_string();
    let config = parse(text);
    let all: Vec<_> = config.services.iter().map(how).collect();
    assert_eq!(
        all,
        [
            "Python, python3 -m old.guider",
            "Rust",
            "Python, python3 -m ocabox_tcs.services.dome",
            "Rust",
            "Python, python3 -m old.camera",
            "Rust, as a task",
            "program, ./camera",
            "Rust",
        ]
    );
}

#[test]
fn an_order_that_cannot_be_is_an_error_that_names_it() {
    let file = |entries: &[(&str, &str)]| {
        let entries = entries.iter().map(|(id, launch)| {
            format!("  - {{type: {id}, variant: x, launch: {{exec: [sh], {launch}}}}}\n")
        });
        format!("services:\n{}", entries.collect::<String>())
    };
    let said = |entries: &[(&str, &str)]| -> Vec<String> {
        let text = problems(&file(entries));
        let lines = text.lines().filter_map(|line| line.split_once(": error: "));
        lines.map(|(_, message)| message.to_owned()).collect()
    };
    assert_eq!(said(&[("a", "after: [a.x]")]), ["`a.x` cannot come after itself"]);
    assert_eq!(
        said(&[("a", "after: [b.x]"), ("b", "after: [a.x]")]),
        ["`after` is circular: `a.x` after `b.x` after `a.x`"]
    );
    // what only leads to a circle is not in it
    assert_eq!(
        said(&[
            ("d", "after: [a.x]"),
            ("a", "after: [b.x]"),
            ("b", "after: [c.x, e.x]"),
            ("c", "after: [a.x]"),
            ("e", ""),
        ]),
        ["`after` is circular: `a.x` after `b.x` after `c.x` after `a.x`"]
    );
    assert_eq!(
        said(&[("a", "after: [b.x]"), ("b", "level: 1")]),
        ["`a.x` (level 0) cannot come after `b.x` (level 1): lower levels start first"]
    );
    let chain: Vec<(String, String)> = (0..5000)
        .map(|n| (format!("s{n}"), format!("after: [s{}.x]", n + 1)))
        .chain([("s5000".to_owned(), String::new())])
        .collect();
    let chain: Vec<_> = chain.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert!(said(&chain).is_empty());
}
