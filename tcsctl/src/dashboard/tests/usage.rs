//! What services use: asked for only while it is shown, and shown where it belongs.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tcs_core::wire::control::{PastFigures, ServiceFigures};
use tcs_present::columns::Column;
use tcs_present::top::Answer;

use super::fixture::{night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Action, Event, UsageNews};
use crate::dashboard::state::State;

const SRV01: &str = "launcher.Kx1xDO.srv01-process-launcher";

fn answer() -> Answer {
    let reply = json!({"services": [
        {"service_id": "guider.jk15", "scope": "processes", "cpu_percent": 12.5, "threads": 4,
         "rss_bytes": 48_000_000, "open_fds": 31, "fd_limit": 1024},
        {"service_id": "camera.jk15", "scope": "processes", "cpu_percent": 98.0, "threads": 61,
         "rss_bytes": 3_800_000_000_u64, "open_fds": 1000, "fd_limit": 1024},
        {"service_id": "focuser.jk15", "scope": "task", "rss_bytes": "much"},
    ]});
    let Value::Object(reply) = reply else { unreachable!() };
    Answer::new(SRV01.to_owned(), "srv01".to_owned(), &reply)
}

fn news(of: &str) -> UsageNews {
    let past = |i: u64| PastFigures {
        cpu_percent: Some(10.0),
        rss_bytes: Some(40_000_000 + i * 1_000_000),
        ..PastFigures::default()
    };
    let history = (0..9).map(past).collect();
    let figures = ServiceFigures { history, ..ServiceFigures::default() };
    let history = Some((Arc::from(of), figures));
    UsageNews { answers: vec![answer()], history, problems: Vec::new() }
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

/// With a service chosen, and its figures told.
fn told(size: (u16, u16)) -> State {
    let mut state = state(observatory(), size, night());
    press(&mut state, "/ g u i d e r . j Enter j");
    press(&mut state, "Esc");
    let actions = press(&mut state, "U");
    let [Action::AskUsage { launchers, history }] = &actions[..] else { panic!("{actions:?}") };
    // not the one that is lost
    assert_eq!(launchers.len(), 2, "{launchers:?}");
    assert_eq!(history, &Some((Arc::from("guider.jk15"), Arc::from(SRV01))));
    state.update(Event::Usage(Box::new(news("guider.jk15"))), night());
    state.settle(night());
    state
}

fn row<'a>(screen: &'a str, id: &str) -> &'a str {
    screen.lines().rfind(|line| line.contains(id)).unwrap_or_default()
}

#[test]
fn columns_of_what_services_use_stand_in_the_place_of_others() {
    let mut state = told((80, 24));
    press(&mut state, "P");
    let screen = shown(&state);
    let titles = screen.lines().find(|line| line.contains("VERDICT")).unwrap();
    let words: Vec<_> = titles.split_whitespace().collect();
    assert_eq!(words, ["VERDICT", "▾", "SERVICE", "CPU", "MEM", "FDS", "THR", "EXIT"]);
    press(&mut state, "/ j k 1 5 Enter");
    let screen = shown(&state);
    assert!(row(&screen, "camera.jk15").contains("98.0 %  3.8 GB   1000     61"), "{screen}");
    assert!(row(&screen, "focuser.jk15").contains("-       ?"), "{screen}");
    press(&mut state, "Esc / s o l v e r Enter");
    assert!(row(&shown(&state), "plate_solver.b").ends_with(" 1"), "{}", shown(&state));
    press(&mut state, "Esc U");
    let screen = shown(&state);
    assert!(!screen.contains("MEM") && screen.contains("MESSAGE"), "{screen}");
}

#[test]
fn no_launcher_speaks_for_the_services_of_another() {
    let mut state = told((160, 40));
    let mut forged = answer();
    forged.launcher = "launcher.b81QpL.srv02-process-launcher".to_owned();
    forged.reply.services.iter_mut().for_each(|it| it.cpu_percent = Some(666.0));
    let answers = vec![answer(), forged];
    let news = UsageNews { answers, ..UsageNews::default() };
    state.update(Event::Usage(Box::new(news)), night());
    state.settle(night());
    let screen = shown(&state);
    assert!(screen.contains("98.0 %") && !screen.contains("666"), "{screen}");
}

#[test]
fn they_are_sorted_by_and_the_order_goes_with_them() {
    let mut state = told((160, 40));
    press(&mut state, "s s s");
    assert_eq!(state.table.sort, Column::Cpu);
    let first = |state: &State| state.picture.services[state.table.rows[0].service].id.to_string();
    assert_eq!(first(&state), "camera.jk15");
    press(&mut state, "S");
    assert_ne!(first(&state), "camera.jk15");
    press(&mut state, "s");
    assert_eq!((state.table.sort, first(&state).as_str()), (Column::Memory, "camera.jk15"));
    press(&mut state, "s s s");
    assert_eq!(state.table.sort, Column::Exit);
    assert_eq!(first(&state), "tic_bridge.zb08", "a crash comes before an end in order");
    press(&mut state, "U");
    assert_eq!(state.table.sort, Column::Verdict);
}

#[test]
fn one_key_shows_the_memory_of_the_last_ten_minutes() {
    for size in [(80, 24), (160, 50)] {
        let state = told(size);
        let screen = shown(&state);
        assert!(screen.to_lowercase().contains("usage, last 10 min"), "{screen}");
        assert!(screen.contains("48 MB (40 MB to 48 MB)"), "{screen}");
        assert!(screen.contains('█'), "{screen}");
    }
}

#[test]
fn it_is_asked_every_two_seconds_at_most_and_only_while_it_is_shown() {
    let mut state = told((80, 24));
    let tick = |state: &mut State, seconds: i64| {
        let now = night() + TimeDelta::seconds(seconds);
        let actions = state.update(Event::Tick, now);
        state.settle(now);
        actions.len()
    };
    assert_eq!(tick(&mut state, 1), 0, "too early");
    assert_eq!(tick(&mut state, 2), 1);
    assert_eq!(tick(&mut state, 9), 0, "not before it has answered");
    state.update(Event::Usage(Box::new(news("guider.jk15"))), night() + TimeDelta::seconds(9));
    press(&mut state, "e");
    assert_eq!(tick(&mut state, 10), 0, "another page");
    press(&mut state, "e [");
    assert_eq!(tick(&mut state, 12), 0, "the past");
    assert!(!shown(&state).contains("12.5 %"), "figures of now are none of then");
    assert!(shown(&state).contains("known only for the present"), "{}", shown(&state));
    press(&mut state, "Esc");
    assert_eq!(tick(&mut state, 14), 1);
    press(&mut state, "U");
    assert_eq!(tick(&mut state, 20), 0);
    // an answer that comes late shows nothing
    state.update(Event::Usage(Box::new(news("guider.jk15"))), night() + TimeDelta::seconds(20));
    assert!(!shown(&state).contains("MEM"));
}

#[test]
fn who_may_not_ask_is_told_why() {
    let mut state = told((100, 30));
    let problems = vec![(Arc::from(SRV01), "not allowed to publish".to_owned())];
    let denied = UsageNews { problems, ..UsageNews::default() };
    state.update(Event::Usage(Box::new(denied.clone())), night());
    state.settle(night());
    let screen = shown(&state);
    assert!(screen.contains("not known: not allowed to publish"), "{screen}");
    assert!(screen.contains("resource usage is not known"), "{screen}");
    press(&mut state, "Esc");
    state.update(Event::Usage(Box::new(denied)), night());
    assert!(!shown(&state).contains("nothing is known of what"), "once");
}
