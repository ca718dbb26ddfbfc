//! What a log of a million lines costs: how long a search takes, a key to its frame, and the memory.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tcs_core::clock;
use tcs_core::wire::control::{LogLine, Stream};
use tcs_core::wire::{Level, Timestamp};
use tcsctl::dashboard::event::{Event, LinkFacts, LogNews};
use tcsctl::dashboard::key::Key;
use tcsctl::dashboard::state::{Options, Page, State};
use tcsctl::dashboard::view;

const LINES: usize = 1_000_000;
const SIZE: (u16, u16) = (160, 50);
const ROUNDS: usize = 5;
/// As slow as an expression gets that is accepted.
const SLOW: &str = r"(.{0,60}x){20}$";

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_393_000, 0).unwrap()
}

fn line(i: usize) -> LogLine {
    let (level, stream) = match i % 100 {
        7 => (Level::ERROR, Stream::Stderr),
        _ => (Level::INFO, Stream::Stdout),
    };
    LogLine {
        timestamp: Some(Timestamp::new(
            start() + TimeDelta::milliseconds(i64::try_from(i).unwrap()),
        )),
        stream: Some(stream),
        level,
        logger: None,
        run: Some(1 + i as u64 / 100_000),
        message: format!(
            "exposure {i:07} done: 120.0 s in filter B, seeing 1.2 arcsec, guiding well"
        ),
    }
}

/// The most memory that this process ever had, in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn timed(what: &str, mut work: impl FnMut()) -> Duration {
    let mut spans: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begin = clock::monotonic();
            work();
            begin.elapsed()
        })
        .collect();
    spans.sort_unstable();
    println!("{what}: median {:?}, slowest {:?}", spans[ROUNDS / 2], spans[ROUNDS - 1]);
    spans[ROUNDS - 1]
}

fn main() {
    let link = LinkFacts::Recording { file: "bench".to_owned() };
    let mut state = State::new(Options::default(), link, SIZE, start());
    state.page = Page::Logs;
    state.logs.service = Some("camera.jk15".into());
    for first in (0..LINES).step_by(1000) {
        let lines = (first..first + 1000).map(line).collect();
        let (service, runs) = ("camera.jk15".into(), Vec::new());
        let news = LogNews { service, outcome: Ok(lines), runs, whole: false };
        state.update(Event::Logs(news), start());
    }
    assert_eq!(state.logs.store.len(), LINES);
    let mut buffer = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
    let mut slowest = Duration::ZERO;
    let mut longest = Duration::ZERO;
    for pattern in ["exposure 0500000", "no such text", "seeing [0-9.]+", "^$"] {
        let what = format!("{LINES} lines searched for `{pattern}`, to its frame");
        let span = timed(&what, || {
            state.update(Event::Key(Key::char('/')), start());
            state.update(Event::Paste(pattern.to_owned()), start());
            while state.logs.is_searching() {
                state.search_on();
            }
            buffer.reset();
            view::draw(&state, &mut buffer);
            state.update(Event::Key("Enter".parse().unwrap()), start());
        });
        slowest = slowest.max(span);
    }
    // an expression that is slow everywhere holds nothing up: it is searched in slices
    state.update(Event::Key(Key::char('/')), start());
    let begin = clock::monotonic();
    state.update(Event::Paste(SLOW.to_owned()), start());
    longest = longest.max(begin.elapsed());
    for _ in 0..200 {
        let begin = clock::monotonic();
        state.search_on();
        longest = longest.max(begin.elapsed());
    }
    state.update(Event::Key("Enter".parse().unwrap()), start());
    state.update(Event::Key(Key::char('/')), start());
    state.update(Event::Key("Enter".parse().unwrap()), start());
    println!("longest that `{SLOW}` holds anything up: {longest:?}");
    for key in ["k", "g", "G", "n", "l"] {
        timed(&format!("`{key}` to its frame"), || {
            state.update(Event::Key(key.parse().unwrap()), start());
            buffer.reset();
            view::draw(&state, &mut buffer);
            black_box(&buffer);
        });
    }
    println!("peak memory: {} MB; wanted: searches under 500 ms, under 200 MB", peak());
    assert!(slowest < Duration::from_millis(500) && peak() < 200, "over the budget");
    assert!(longest < Duration::from_millis(500), "the screen is held up");
}
