//! Whatever the network says: nothing acts on the terminal, nothing breaks, nothing hangs.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use serde_json::json;
use tcs_present::text::is_hidden;

use super::fixture::{Messages, night, state};
use super::{buffer, press, text};
use crate::dashboard::event::Action;

#[test]
fn nothing_acts_on_the_terminal() {
    let evil = "\u{1b}[2J\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m\r\n\u{202e}abc\u{200b}e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}漢字\u{fe0f}👩\u{200d}🚀";
    let mut messages = Messages::default();
    let id = "evil\u{1b}[31m.漢字";
    messages.send(
        20.0,
        &format!("registry.start.{id}"),
        json!({"event": "start", "service_id": id,
        "hostname": evil, "pid": 1, "parent": evil}),
    );
    messages.send(
        10.0,
        &format!("registry.crashed.{id}"),
        json!({"event": "crashed",
        "service_id": id, "signal": evil, "error": evil, "will_restart": false, "parent": evil}),
    );
    messages.send(
        5.0,
        "status.a.b",
        json!({"name": "a.b", "status": evil, "message": evil,
        "hostname": evil, "parent": id, "details": {"metrics": {evil: evil, "m": [evil]},
            "children": [{"name": evil, "status": "ok", "message": evil}]}}),
    );
    messages.send(1.0, "heartbeat.a.b", json!({"service_id": "a.b", "status": "ok"}));
    let messages = messages.take();
    let mut dumped = 0;
    for size in [(40, 10), (80, 24), (160, 50)] {
        for keys in
            ["", "j", "j j", "j Enter", "j L", "e", "a", "j x", "y", "j y", "/ e v", "?", "{"]
        {
            let mut state = state(messages.clone(), size, night());
            press(&mut state, "A");
            press(&mut state, keys);
            let dump = press(&mut state.clone(), "ctrl-p d u m p Enter");
            if let [Action::Save(dump)] = &dump[..] {
                assert!(!dump.contains(|c| is_hidden(c) && c != '\n'), "{dump}");
                dumped += 1;
            }
            let buffer = buffer(&state);
            for cell in &buffer.content {
                assert!(!cell.symbol().contains(is_hidden), "{keys}: {:?}", cell.symbol());
                assert!(cell.symbol().chars().count() <= 5, "{keys}: {:?}", cell.symbol());
            }
            for line in text(&buffer).lines() {
                assert!(tcs_present::text::width(line) <= usize::from(size.0), "{keys}: {line}");
            }
        }
    }
    assert!(dumped > 20, "the state was written down in most of them: {dumped}");
}

#[test]
fn long_texts_deep_trees_and_circles_do_not_matter() {
    let long = "x".repeat(1 << 20);
    let mut messages = Messages::default();
    messages.send(5.0, "status.long.a", json!({"name": "long.a", "status": "ok", "message": long}));
    messages.send(
        5.0,
        "status.ring.a",
        json!({"name": "ring.a", "status": "ok", "parent": "ring.b"}),
    );
    messages.send(
        5.0,
        "status.ring.b",
        json!({"name": "ring.b", "status": "ok", "parent": "ring.a"}),
    );
    for i in 0..2000 {
        let (id, parent) = (format!("deep.{i}"), format!("deep.{}", i + 1));
        messages.send(
            5.0,
            &format!("status.{id}"),
            json!({"name": id, "status": "ok", "parent": parent}),
        );
    }
    let mut state = state(messages.take(), (100, 30), night());
    assert_eq!(state.table.rows.len(), 2003, "all are shown");
    press(&mut state, "G k k h h l z z ! ! s s s s s s n Enter");
    assert!(!text(&buffer(&state)).is_empty());
}

#[test]
fn fifty_thousand_services_are_moved_through_at_once() {
    let mut messages = Messages::default();
    for i in 0..50_000 {
        let id = format!("crowd.{i:05}");
        messages.send(
            1.0,
            &format!("heartbeat.{id}"),
            json!({"service_id": id, "status": "ok", "interval_seconds": 10.0}),
        );
    }
    let mut state = state(messages.take(), (120, 40), night());
    assert_eq!(state.table.rows.len(), 50_000);
    // of a processor: what others take of it is not counted
    let used = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = used();
    for _ in 0..20 {
        press(&mut state, "j PgDn");
        buffer(&state);
    }
    press(&mut state, "G");
    assert_eq!(state.table.cursor, 49_999);
    // unoptimised: what is meant is that it is not seconds a key
    let used = used().saturating_sub(start);
    assert!(used < Duration::from_secs(20), "{used:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_keys_at_any_size_never_break(
        keys in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(vec![
                    "j", "k", "g", "G", "PgUp", "PgDn", "n", "Enter", "L", "/", "!", "e", "A", "s",
                    "S", "h", "l", "z", "w", "a", "r", "x", "Space", "[", "]", "{", "}", "y", "Y",
                    "t", "m", "ctrl-l", ":", "?", "Esc", "Tab", "Bksp", "ctrl-w", "Left", "Right",
                ]).prop_map(str::to_owned),
                any::<char>().prop_filter("a key", |c| !c.is_whitespace() && !c.is_control())
                    .prop_map(|c| c.to_string()),
            ], 0..40),
        sizes in proptest::collection::vec((1..220_u16, 1..70_u16), 1..4),
    ) {
        let mut state = state(super::fixture::observatory(), sizes[0], night());
        for (i, key) in keys.iter().enumerate() {
            let Ok(key) = key.parse() else { continue };
            state.update(crate::dashboard::event::Event::Key(key), night());
            if i % 7 == 0 {
                let (w, h) = sizes[i / 7 % sizes.len()];
                state.update(crate::dashboard::event::Event::Resize(w, h), night());
            }
            state.settle(night());
            buffer(&state);
            for (x, y) in [(0, 0), (state.size.0 - 1, state.size.1 - 1), (state.size.0 / 2, state.size.1 / 2)] {
                state.hit(x, y);
            }
        }
    }
}
