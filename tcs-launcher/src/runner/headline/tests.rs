use std::sync::Arc;

use super::super::output::tests::read as read_text;
use super::super::output::{Line, Output, Stream};
use super::*;

fn headline(lines: &[Arc<Line>]) -> Option<String> {
    headline_of_end(lines, 1)
}

/// What is held of a program that wrote this to standard error.
fn written(text: &str) -> Vec<Arc<Line>> {
    let output = Arc::new(Output::default());
    read_text(text.as_bytes(), Stream::Stderr, &output);
    output.last(usize::MAX).0
}

#[test]
fn the_cause_is_found_in_what_programs_really_print() {
    let table = include_str!("tests/outputs.txt");
    let (mut count, mut wrong) = (0, Vec::new());
    for case in table.split("\n==== ").skip(1) {
        let (wanted, text) = case.split_once('\n').unwrap();
        let found = headline(&written(text)).unwrap_or("nothing".to_owned());
        if found != wanted {
            wrong.push(format!("found:  {found}\nwanted: {wanted}\nin: {text}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 35, "{count}");
}

#[test]
fn a_signal_explains_itself_unless_the_output_does() {
    let logged = written("[INFO ] svc|a.b: exposing 3/10\n");
    let died = written("[INFO ] svc|a.b: exposing\nFatal Python error: Segmentation fault\n");
    let aborted = written("free(): double free detected in tcache 2\n");
    let said = |lines: &[Arc<Line>], code| headline_of_end(lines, code);
    assert_eq!(said(&logged, 3).as_deref(), Some("exposing 3/10"));
    for code in [0, -9, -15, -2, -11] {
        assert_eq!(said(&logged, code), None, "{code}");
    }
    assert_eq!(said(&died, -11).as_deref(), Some("Fatal Python error: Segmentation fault"));
    assert_eq!(said(&died, -9), None, "killed from outside");
    assert_eq!(said(&aborted, -6).as_deref(), Some("free(): double free detected in tcache 2"));
    assert_eq!(said(&[], 1), None);
}

#[test]
fn standard_output_counts_where_standard_error_is_empty() {
    let output = Arc::new(Output::default());
    read_text(b"no such camera\n", Stream::Stdout, &output);
    let lines = |output: &Output| output.last(usize::MAX).0;
    assert_eq!(headline(&lines(&output)).as_deref(), Some("no such camera"));
    read_text(b"\n  \n", Stream::Stderr, &output);
    assert_eq!(headline(&lines(&output)).as_deref(), Some("no such camera"));
    read_text(b"usage: camera ID\n", Stream::Stderr, &output);
    read_text(b"bye\n", Stream::Stdout, &output);
    assert_eq!(headline(&lines(&output)).as_deref(), Some("usage: camera ID"));
}

#[test]
fn what_was_survived_is_not_the_cause() {
    let traceback = "Traceback (most recent call last):\n  File \"x\"\nOSError: lost star\n";
    let after = |count: usize| -> String { "[INFO ] svc|a.b: exposure\n".repeat(count) };
    let soon = written(&format!("{traceback}{}", after(3)));
    assert_eq!(headline(&soon).as_deref(), Some("OSError: lost star"));
    let late = written(&format!("{traceback}{}disk full\n", after(40)));
    assert_eq!(headline(&late).as_deref(), Some("disk full"));
}

#[test]
fn a_headline_is_one_line_without_control_characters_and_bounded() {
    let long = headline(&written(&format!("ValueError: \u{1b}[31m{}\u{7}\n", "é ".repeat(999))));
    let long = long.unwrap();
    assert_eq!(long.chars().count(), MAX_HEADLINE);
    assert!(long.starts_with("ValueError: é é") && long.ends_with("..."), "{long}");
    assert!(!long.contains(char::is_control));
}
