use super::lines::Lines;
use super::*;
use tcs_core::clock;
use tcs_core::config::LinePattern;
use tokio::sync::Notify;

use std::task::{Context, Poll, Waker};

/// What a stream that ends has written.
pub(in crate::runner) fn read(bytes: &[u8], stream: Stream, output: &Arc<Output>) {
    let mut lines = Lines::new(stream, Arc::clone(output), None, PendingLine::default());
    for chunk in bytes.chunks(64 * 1024) {
        lines.feed(chunk, clock::wall());
    }
    lines.flush(clock::wall());
}

fn lines(bytes: &[u8]) -> Vec<Line> {
    let output = Arc::new(Output::default());
    read(bytes, Stream::Stderr, &output);
    output.last(usize::MAX).0.iter().map(|line| (**line).clone()).collect()
}

#[test]
fn python_lines_have_a_level_and_hand_it_on_to_their_continuations() {
    let text = b"before\n[INFO ] svc|guider.jk15: hello: you\n[ERROR] ctl|guider   : it broke\n\
        Traceback (most recent call last):\n  File \"x.py\"\n[no level] x: y\n[DEBUG] mon: \n";
    let seen: Vec<_> = lines(text)
        .into_iter()
        .map(|line| (line.level.name(), line.logger.unwrap_or_default(), line.text))
        .collect();
    let expected = [
        ("INFO", "", "before"),
        ("INFO", "svc|guider.jk15", "hello: you"),
        ("ERROR", "ctl|guider", "it broke"),
        ("ERROR", "", "Traceback (most recent call last):"),
        ("ERROR", "", "  File \"x.py\""),
        ("ERROR", "", "[no level] x: y"),
        ("DEBUG", "mon", ""),
    ];
    assert_eq!(seen, expected.map(|(level, name, text)| (level, name.into(), text.into())));
}

#[test]
fn a_long_line_is_cut_and_counted_and_the_next_one_is_whole() {
    let mut text = vec![b'x'; 100_000];
    text.extend(b"\nnext\nlast, without an end");
    let seen = lines(&text);
    assert_eq!(seen[0].text, format!("{} ... and 91808 bytes more", "x".repeat(MAX_LINE)));
    assert_eq!(seen[1].text, "next");
    assert_eq!(seen[2].text, "last, without an end");
}

#[test]
fn anything_may_be_printed() {
    let seen = lines(b"\xff\xfe\x00[\n\n]\r\n\xe2\x82");
    let texts: Vec<_> = seen.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["\u{fffd}\u{fffd}\0[", "", "]", "\u{fffd}"]);
}

#[test]
fn the_ring_is_bounded_and_counts_what_it_lost() {
    let short: Vec<u8> = (0..3000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    let output = Arc::new(Output::default());
    read(&short, Stream::Stdout, &output);
    let (held, gone) = output.last(2);
    assert_eq!(held[1].text, "2999");
    assert_eq!((output.last(9999).0.len(), gone), (RING_LINES, 2000));

    let long = [vec![b'x'; MAX_LINE], vec![b'\n']].concat().repeat(200);
    read(&long, Stream::Stdout, &output);
    let bytes: usize = output.last(9999).0.iter().map(|line| line.text.len()).sum();
    assert!(bytes <= RING_BYTES);
}

#[tokio::test]
async fn a_slow_follower_is_told_what_it_missed() {
    let output = Arc::new(Output::default());
    let mut follower = output.follow();
    let text = b"line\n".repeat(BACKLOG + 10);
    read(&text, Stream::Stdout, &output);
    assert_eq!(follower.recv().await, Err(broadcast::error::RecvError::Lagged(10)));
    assert_eq!(follower.recv().await.map(|line| line.text.clone()), Ok("line".to_owned()));
}

/// A prompt has no end of line, and what is drawn over is not shown.
#[test]
fn a_line_without_its_end_is_shown_after_a_moment_and_once() {
    let output = Arc::new(Output::default());
    let mut lines = Lines::new(Stream::Stdout, Arc::clone(&output), None, PendingLine::default());
    let shown = || -> Vec<String> {
        output.last(usize::MAX).0.iter().map(|line| line.text.clone()).collect()
    };
    let now = clock::wall();
    lines.feed(b"boot\r\nepi", now);
    assert!(lines.is_waiting());
    assert_eq!(shown(), ["boot"]);
    lines.feed(b"cs> ", now);
    lines.moment(now);
    assert_eq!(shown(), ["boot", "epics> "]);
    lines.feed(b"dbl", now);
    lines.moment(now);
    assert!(!lines.is_waiting(), "once a line");
    lines.feed(b"\n", now);
    assert_eq!(shown(), ["boot", "epics> ", "dbl"]);
    lines.feed(b"epics> ", now);
    lines.moment(now);
    lines.feed(b"\n", now);
    assert_eq!(shown()[3..], ["epics> "], "nothing came after it");

    lines.feed(b"\r  0%\r 50%", now);
    lines.moment(now);
    lines.feed(b"\r 75%", now);
    lines.moment(now);
    lines.feed(b"\r100%\r", now);
    assert_eq!(shown()[4..], [" 50%"]);
    lines.feed(b"\ndone\n", now);
    assert_eq!(shown()[4..], [" 50%", "100%", "done"]);
    lines.feed(b"99%\r", now);
    lines.flush(now);
    assert_eq!(shown()[7..], ["99%"]);
}

#[test]
fn readiness_is_read_off_prompts_progress_and_colours() {
    for (pattern, texts) in [
        ("epics>", &["iocInit\nepics> "][..]),
        ("^epics>", &["epi", "cs> "]),
        ("100%", &["50%\r100%\r"]),
        ("^100%$", &["50%\r", "100%\r\n"]),
        ("^server ready$", &["\u{1b}[1;32mserver\u{1b}[0m ready\n"]),
        ("ready", &["\u{1b}]0;title\u{7}\u{1b}[2Kre", "ady"]),
        ("^ready$", &["[INFO ] svc|a.b: ready\n"]),
    ] {
        let seen = Arc::new(Notify::new());
        let watch = Watch { pattern: LinePattern::new(pattern).unwrap(), seen: Arc::clone(&seen) };
        let mut lines =
            Lines::new(Stream::Stdout, Arc::default(), Some(watch), PendingLine::default());
        for text in texts {
            lines.feed(text.as_bytes(), clock::wall());
        }
        lines.moment(clock::wall());
        let mut notified = std::pin::pin!(seen.notified());
        let polled = notified.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(()), "{pattern}: {texts:?}");
    }
}

#[test]
fn a_traceback_is_of_level_error_whatever_came_before() {
    let text = b"[INFO ] svc|a.b: hello\nplain\nTraceback (most recent call last):\n  File \"x\"\n\
        ValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\n\
        Traceback (most recent call last):\n  File \"y\"\nKeyError: 'y'\nafter\n\
        [INFO ] svc|a.b: on\n\
        thread 'main' (3) panicked at src/a.rs:1:2:\nboom\nnote: run with it\nafter\n";
    let told: Vec<_> =
        lines(text).into_iter().map(|line| (line.level == Level::ERROR, line.text)).collect();
    let is_error = |text: &str| told.iter().filter(|it| it.1 == text).map(|it| it.0).collect();
    let all = |text: &str| -> Vec<bool> { is_error(text) };
    assert_eq!(all("Traceback (most recent call last):"), [true, true]);
    for text in ["  File \"x\"", "ValueError: x", "  File \"y\"", "KeyError: 'y'", "boom"] {
        assert_eq!(all(text), [true], "{text}: {told:?}");
    }
    assert_eq!(all("note: run with it"), [true]);
    assert_eq!(all("after"), [false, false]);
    assert_eq!((all("hello"), all("plain"), all("on")), (vec![false], vec![false], vec![false]));
}

#[test]
fn the_last_lines_of_a_run_are_its_own_and_bounded() {
    let output = Arc::new(Output::default());
    output.begin(Run(1), Secrets::default());
    read(b"of another run\n", Stream::Stderr, &output);
    output.begin(Run(2), Secrets::default());
    assert!(output.last_lines("a.b").is_empty());
    read(b"[ERROR] svc|a.b: lost\nit\n[INFO] hyper: gone\n", Stream::Stderr, &output);
    // its own name says nothing
    assert_eq!(output.last_lines("a.b"), ["lost", "it", "hyper: gone"]);
    let many: Vec<_> = (0..100).map(|n| format!("{n} {}\n", "x".repeat(100))).collect();
    read(many.concat().as_bytes(), Stream::Stdout, &output);
    let last = output.last_lines("a.b");
    assert_eq!(last.len(), MAX_LAST_LINES);
    assert!(last[0].starts_with("80 ") && last[19].starts_with("99 "));
    read(&"é".repeat(10_000).into_bytes(), Stream::Stdout, &output);
    let last = output.last_lines("a.b");
    assert!(last.iter().map(String::len).sum::<usize>() <= MAX_LAST_BYTES);
    assert!(last.last().unwrap().starts_with('é'));
}

#[test]
fn secrets_are_held_masked() {
    let output = Arc::new(Output::default());
    output.begin(Run(1), Secrets::new(["hunter2".to_owned()]));
    read(b"login with hunter2\n", Stream::Stderr, &output);
    assert_eq!(output.last_lines("a.b"), ["login with ***"]);
    assert_eq!(output.masked("no hunter2"), "no ***");
}
