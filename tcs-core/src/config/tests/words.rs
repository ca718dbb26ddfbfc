//! What people are told of a value that is not what is expected: in words of the file, not of Rust.

use super::*;

/// The first line of each problem, without the place.
fn told(text: &str) -> Vec<String> {
    let problems = problems(text);
    let lines = problems.lines().filter_map(|line| line.split_once("error: "));
    lines.map(|(_, message)| message.to_owned()).collect()
}

#[test]
fn a_list_is_no_mapping() {
    let launch = |text: &str| format!("services: [{{type: a, launch: {text}}}]");
    let expected = "expected keys and values, found a list";
    for (text, path) in [
        (launch("[a]"), "launch"),
        (launch("[]"), "launch"),
        (launch("{limits: [1, 2]}"), "launch.limits"),
        (launch("{log: [/tmp]}"), "launch.log"),
        (launch("{backoff: [2, 3]}"), "launch.backoff"),
        (launch("{env: [A]}"), "launch.env"),
        ("launch: [[a]]\nservices: []".to_owned(), "launch"),
        ("nats: [nats://a]\nservices: []".to_owned(), "nats"),
        ("nats: {streams: [a, b]}\nservices: []".to_owned(), "nats.streams"),
        ("registry: [a]\nservices: []".to_owned(), "registry"),
    ] {
        assert_eq!(told(&text), [format!("`{path}`: {expected}")], "{text}");
        let place = problems(&text);
        assert!(place.starts_with("t.yaml:1:"), "{place}");
    }
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what counts is whether they can be read")]
struct Awkward {
    #[serde(default)]
    pair: Option<(u8, u8)>,
    #[serde(default)]
    some: Option<NonZeroU32>,
    #[serde(default)]
    letter: Option<char>,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    point: Option<Point>,
    #[serde(default)]
    shape: Option<Shape>,
    #[serde(default)]
    either: Option<Either>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what counts is whether it can be read")]
struct Point {
    x: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "what counts is whether they can be read")]
enum Shape {
    Circle { radius: f64 },
    Line(f64, f64),
    Dot,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "what counts is whether they can be read")]
enum Either {
    Flag(bool),
    Point(Point),
}

#[test]
fn types_are_not_called_by_their_names_in_rust() {
    for (setting, message) in [
        ("point: [1.0]", "`point`: expected keys and values, found a list"),
        (
            "point: {x: 100000000000000000000000000}",
            "`point.x`: expected a number, found 100000000000000000000000000",
        ),
        ("pair: 5", "`pair`: expected a list of 2, found 5"),
        ("some: 0", "`some`: expected a whole number, 1 or more, found 0"),
        ("letter: ab", "`letter`: expected one character, found the text \"ab\""),
        ("path: 5", "`path`: expected a path, found 5"),
        ("shape: 5", "`shape`: expected one of circle, line, dot, found the number 5"),
        ("shape: [a]", "`shape`: expected one of circle, line, dot, found a list"),
        ("shape: {circle: [1.0]}", "`shape.circle`: expected keys and values, found a list"),
        ("shape: {line: 3}", "`shape.line`: expected a list, found 3"),
        ("either: x", "`either`: has none of the allowed forms"),
    ] {
        let text = format!("services: [{{type: a, variant: b, {setting}}}]");
        let errors = parse(&text).services[0].settings.deserialize::<Awkward>().unwrap_err();
        let messages: Vec<_> =
            errors.report.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, [message], "{setting}");
    }
    let launch = |text: &str| format!("services: [{{type: a, launch: {{{text}}}}}]");
    for (text, message) in [
        (
            launch("ready: 5"),
            "`launch.ready`: expected one of started, notify, heartbeat, log, tcp, found the number 5",
        ),
        (
            launch("ready: [notify]"),
            "`launch.ready`: expected one of started, notify, heartbeat, log, tcp, found a list",
        ),
        (launch("level: 1.0e+300"), "`launch.level`: expected a whole number, found 1e300"),
        (
            launch("heartbeat: 1.0e+300"),
            "`launch.heartbeat`: expected 0.1 to 3600 seconds, found 1e300",
        ),
    ] {
        assert_eq!(told(&text), [message], "{text}");
    }
}

#[test]
fn an_unknown_service_of_a_profile_is_told_where_it_stands() {
    let text = "\
launch:
  profiles:
    day: [dome.a, dom.a]
    night:
      - dome.a
      - guider.a
    test: camera.a
services: [{type: dome, variant: a}]
";
    let problems = problems(text);
    let lines = problems.lines().filter_map(|line| line.split_once(": warning: "));
    let told: Vec<_> = lines.map(|(place, message)| (place, message.split('`').nth(1))).collect();
    assert_eq!(
        told,
        [
            ("t.yaml:3:19", Some("dom.a")),
            ("t.yaml:6:9", Some("guider.a")),
            ("t.yaml:7:11", Some("camera.a")),
        ]
    );
}
