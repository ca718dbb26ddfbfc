//! The pictures in `screenshots/`, made from a fixed night. They are compared here; with
//! `TCS_SCREENSHOTS=write` (as `make screenshots` does) they are written.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use tcs_core::wire::control::{LogLine, LogRun, Stream};
use tcs_core::wire::{Level, Timestamp};

use super::fixture::{night, observatory, state};
use super::svg::picture;
use super::{animation, broken_night, buffer, press};
use crate::dashboard::event::{Action, Event, LogNews};
use crate::dashboard::source::timeline::of_messages;
use crate::dashboard::state::State;
use crate::dashboard::theme::ThemeName;

/// The end of what the chosen service wrote, where it is shown.
fn with_output(state: &mut State) {
    let Some(service) = state.chosen().filter(|_| state.log_tail().is_some()) else { return };
    let service = Arc::clone(&service.id);
    state.logs.service = Some(Arc::clone(&service));
    let line = |(ago, level, text): (i64, Level, &str)| LogLine {
        timestamp: Some(Timestamp::new(night() - TimeDelta::seconds(ago))),
        stream: Some(Stream::Stderr),
        level,
        logger: None,
        run: Some(6),
        message: text.to_owned(),
    };
    let lines = [
        (262, Level::INFO, "starting, 16 threads"),
        (261, Level::INFO, "reading settings of b"),
        (258, Level::WARNING, "/data/index is empty"),
        (254, Level::ERROR, "no index files in /data/index"),
    ];
    let outcome = Ok(lines.into_iter().map(line).collect());
    let end = LogRun {
        run: 6,
        ended_at: Some(Timestamp::new(night() - TimeDelta::seconds(254))),
        exit_code: Some(1),
        uptime_s: Some(8.0),
        crashed: true,
    };
    let news = LogNews { service, outcome, runs: vec![end], whole: true };
    state.update(Event::Logs(news), night());
}

fn shots() -> Vec<(&'static str, &'static str, State)> {
    let shot = |size, keys: &str| {
        let mut state = state(observatory(), size, night());
        press(&mut state, keys);
        with_output(&mut state);
        state
    };
    let mut night_theme = shot((120, 34), "n n");
    night_theme.theme = ThemeName::Night;
    let mut logs = shot((100, 24), "/ p l a t e _ s o l v e r . b Enter G Enter");
    press(&mut logs, "L / i n d e x Enter");
    vec![
        ("fleet", "the fleet, what is wrong first", shot((120, 34), "")),
        ("wide", "the fleet on a wide terminal", shot((160, 44), "n n n n n")),
        ("detail", "all about one service", shot((80, 30), "/ c a m e r a . j Enter j Enter")),
        ("past", "the past, plainly not the present", shot((120, 30), "n { { {")),
        ("confirm", "an action asks first", shot((80, 24), "/ c a m e r a . j Enter j r")),
        ("help", "all keys", shot((90, 50), "?")),
        ("night", "the night theme", night_theme),
        ("logs", "the log of a service, searched", logs),
        ("small", "on 40 by 12 cells", shot((40, 12), "")),
    ]
}

/// Sixty services on three hosts, in a night in which much goes wrong.
fn broken_night(size: (u16, u16), keys: &str) -> State {
    let mut state = state(broken_night::messages(), size, night());
    let actions = press(&mut state, keys);
    for action in actions {
        if let Action::ReadTimeline(span) = action {
            let messages = broken_night::messages();
            let messages = messages.iter().map(|message| (message.stamp.stored, message));
            let read = of_messages(messages, night() - TimeDelta::minutes(90), span);
            state.update(Event::Timeline(span, Ok(read)), night());
        }
    }
    state
}

fn shots_of_the_broken_night() -> Vec<(&'static str, &'static str, State)> {
    let mut shots = Vec::new();
    for (name, size) in [
        ("broken-80x24", (80, 24)),
        ("broken-120x40", (120, 40)),
        ("broken-160x50", (160, 50)),
        ("broken-220x60", (220, 60)),
    ] {
        shots.push((name, "sixty services on three hosts, a broken night", broken_night(size, "")));
    }
    for (name, theme) in [
        ("theme-night", ThemeName::Night),
        ("theme-contrast", ThemeName::Contrast),
        ("theme-colour-blind", ThemeName::ColourBlind),
    ] {
        let mut state = broken_night((220, 60), "");
        state.theme = theme;
        shots.push((name, "the same in another theme", state));
    }
    let mut hosts = broken_night((220, 60), "o");
    hosts.settle(night());
    shots.push(("hosts", "hosts side by side", hosts));
    shots.push(("timeline", "the last hour, a row each", broken_night((160, 50), "T")));
    shots.push(("timeline-220x60", "the last hour, a row each", broken_night((220, 60), "T")));
    shots
}

#[test]
fn they_are_what_the_program_shows() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../screenshots");
    let write = std::env::var_os("TCS_SCREENSHOTS").is_some_and(|value| value == "write");
    let mut stale = Vec::new();
    let pictures = shots().into_iter().chain(shots_of_the_broken_night());
    let pictures = pictures.map(|(name, title, state)| (name, picture(&buffer(&state), title)));
    for (name, now) in pictures.chain([("crash-why-restart", animation::film())]) {
        let path = folder.join(format!("{name}.svg"));
        if write {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, now).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != now {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "no longer what the program shows: {stale:?}; run `make screenshots`"
    );
}
