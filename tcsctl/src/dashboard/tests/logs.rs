//! The page of a log: searched, filtered, anchored, of the time that is shown.

use chrono::TimeDelta;
use tcs_core::wire::control::{LogLine, LogRun, Stream};
use tcs_core::wire::{Level, Timestamp};

use super::fixture::{night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Action, Event, LogNews};
use crate::dashboard::state::State;

fn line(ago: i64, run: u64, level: Level, stream: Stream, text: &str) -> LogLine {
    LogLine {
        timestamp: Some(Timestamp::new(night() - TimeDelta::seconds(ago))),
        stream: Some(stream),
        level,
        logger: None,
        run: Some(run),
        message: text.to_owned(),
    }
}

fn info(ago: i64, text: &str) -> LogLine {
    line(ago, 2, Level::INFO, Stream::Stdout, text)
}

fn news(state: &mut State, lines: Vec<LogLine>, whole: bool) {
    let service = state.logs.service.clone().unwrap();
    let runs = vec![LogRun {
        run: 1,
        ended_at: Some(Timestamp::new(night() - TimeDelta::seconds(100))),
        exit_code: Some(3),
        uptime_s: Some(6.0),
        crashed: true,
    }];
    state.update(Event::Logs(LogNews { service, outcome: Ok(lines), runs, whole }), state.now);
}

/// The page with forty lines of the present run, and one of the run before.
fn page(size: (u16, u16)) -> State {
    let mut state = state(observatory(), size, night());
    press(&mut state, "/ g u i d e r . j Enter G L");
    let mut lines = vec![line(101, 1, Level::ERROR, Stream::Stderr, "no disk")];
    lines.extend((0..40).map(|i| info(80 - i, &format!("slewing {i:02}"))));
    lines.push(line(
        30,
        2,
        Level::WARNING,
        Stream::Stderr,
        "slow \u{1b}[31mshutter\u{1b}[0m\u{1b}[2J",
    ));
    news(&mut state, lines, true);
    state
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

#[test]
fn new_lines_do_not_slide_what_is_looked_at() {
    let mut state = page((80, 24));
    assert!(shown(&state).contains("slewing 39"));
    press(&mut state, "k k k");
    let before = shown(&state);
    assert!(before.contains("3 newer below") && !before.contains("slow shutter"), "{before}");
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|it| it.contains("slewing")).map(str::to_owned).collect()
    };
    news(&mut state, vec![info(20, "later"), info(19, "later still")], false);
    assert!(shown(&state).contains("5 newer below"), "{}", shown(&state));
    assert_eq!(lines(&shown(&state)), lines(&before));
    press(&mut state, "G");
    assert!(shown(&state).contains("later still") && !shown(&state).contains("newer below"));
    press(&mut state, "g");
    let top = shown(&state);
    assert!(top.contains("no disk") && top.contains("slewing 00"), "{top}");
    press(&mut state, "j");
    assert!(!shown(&state).contains("no disk"), "{}", shown(&state));
}

#[test]
fn runs_are_separated_by_how_they_ended_and_stderr_is_marked() {
    let mut state = page((80, 60));
    let all = shown(&state);
    assert!(all.contains("── run 1 · exit 3 after 6 s · 02:11:27 ──"), "{all}");
    assert!(all.contains("err  no disk"), "{all}");
    // a colour is kept, everything else is text
    assert!(all.contains("err  slow shutter\\u{1b}[2J"), "{all}");
    press(&mut state, "S");
    let lines: Vec<_> = state.log_lines().collect();
    assert_eq!(lines[0], "2026-11-23T02:11:26.000Z err ERROR    no disk");
    assert_eq!(lines.len(), 42);
    let actions = press(&mut state, "S");
    let [Action::SaveLog(name)] = &actions[..] else { panic!("{actions:?}") };
    assert!(name.ends_with("-20261123-021307.log") && !name.contains('/'), "{name}");
}

#[test]
fn a_search_goes_from_match_to_match_and_round() {
    let mut state = page((80, 24));
    press(&mut state, "/ s l e w i n g Space 0 Enter");
    assert!(shown(&state).contains("match 10 of 10 for /slewing 0"), "{}", shown(&state));
    assert!(shown(&state).contains("slewing 09"));
    press(&mut state, "N N");
    assert!(shown(&state).contains("match 8 of 10"), "{}", shown(&state));
    press(&mut state, "n n n");
    let round = shown(&state);
    assert!(round.contains("match 1 of 10") && round.contains("slewing 00"), "{round}");
    // what comes is searched too
    news(&mut state, vec![info(1, "slewing 07 again")], false);
    assert!(shown(&state).contains("match 1 of 11"), "{}", shown(&state));
    // Esc takes back what is typed, and the place
    press(&mut state, "/ x y z");
    assert!(shown(&state).contains("no match for /xyz"), "{}", shown(&state));
    press(&mut state, "Esc");
    assert!(shown(&state).contains("match 1 of 11 for /slewing 0"), "{}", shown(&state));
    press(&mut state, "/ ( Enter");
    assert!(shown(&state).contains("no match for /("), "no expression is searched as it is");
    press(&mut state, "/ Enter");
    assert!(!shown(&state).contains("match"), "{}", shown(&state));
}

#[test]
fn a_large_log_is_searched_in_slices_the_newest_lines_first() {
    let mut state = page((110, 24));
    let many = |from: i64, to: i64| {
        (from..to).map(|i| info(20, &format!("line {i} of many, {}", "and so on ".repeat(40))))
    };
    news(&mut state, many(0, 4000).collect(), false);
    press(&mut state, "/ l i n e Space 3 9 9 8");
    assert!(state.logs.is_searching(), "it was held up until all was searched");
    assert!(shown(&state).contains("searching /line 3998: 1 so far"), "{}", shown(&state));
    press(&mut state, "Enter / l i n e Space 1 2 Space o f Enter");
    assert!(!shown(&state).contains("line 12 of many"), "found later");
    let mut slices = 0;
    while state.logs.is_searching() {
        state.search_on();
        slices += 1;
        if slices == 3 {
            // what comes meanwhile is searched too
            news(&mut state, many(4000, 4100).chain([info(1, "line 12 of 13")]).collect(), false);
        }
    }
    assert!(slices > 20, "{slices}");
    let found = shown(&state);
    assert!(found.contains("of 2 for /line 12 of"), "{found}");
    press(&mut state, "N");
    assert!(shown(&state).contains("line 12 of many"), "{}", shown(&state));
    // what is not there is said at the end
    press(&mut state, "/ n o w h e r e Enter n");
    assert!(shown(&state).contains("searching /nowhere: 0 so far"), "{}", shown(&state));
    while state.logs.is_searching() {
        state.search_on();
    }
    assert!(shown(&state).contains("no match for /nowhere"), "{}", shown(&state));
}

#[test]
fn a_launcher_that_becomes_known_is_asked() {
    let mut state = page((80, 24));
    assert_eq!(state.update(Event::Tick, night()), []);
    state.logs.whom = None;
    let actions = state.update(Event::Tick, night());
    assert!(
        matches!(&actions[..], [Action::FetchLogs { launcher: Some(_), lines: 1000, .. }]),
        "{actions:?}"
    );
    assert_eq!(state.update(Event::Tick, night()), []);
}

#[test]
fn level_and_output_are_chosen_and_the_command_line_says_so() {
    let mut state = page((80, 24));
    press(&mut state, "l l");
    let warnings = shown(&state);
    assert!(warnings.contains("WARNING and above") && warnings.contains("slow shutter"));
    assert!(warnings.contains("no disk") && !warnings.contains("slewing"), "{warnings}");
    let Some(Action::Copy(line)) = press(&mut state, "Y").pop() else { panic!() };
    assert!(line.ends_with(" -f --level warning"), "{line}");
    press(&mut state, "l l");
    assert!(shown(&state).contains("no line of this level and output"), "{}", shown(&state));
    press(&mut state, "l s s");
    let stdout = shown(&state);
    assert!(stdout.contains("standard output") && stdout.contains("slewing 38"), "{stdout}");
    assert!(!stdout.contains("shutter"), "{stdout}");
}

#[test]
fn in_the_past_it_shows_what_was_written_until_then() {
    let mut state = page((80, 24));
    press(&mut state, "[ [ [ [ [ [");
    let past = shown(&state);
    assert!(past.contains("slewing 20") && !past.contains("slewing 21"), "{past}");
    press(&mut state, "[ [ [ [ [ [");
    assert!(shown(&state).contains("output from that time is no longer held"), "{}", shown(&state));
    press(&mut state, "] ] ] ] ] ] ] ] ] ] ] ] Esc");
    assert!(shown(&state).contains("slow shutter"), "{}", shown(&state));
    // a display that is frozen shows nothing newer
    press(&mut state, "Space");
    news(&mut state, vec![info(-10, "later")], false);
    assert!(!shown(&state).contains("later"), "{}", shown(&state));
    press(&mut state, "Space");
    state.update(Event::Tick, night() + TimeDelta::seconds(11));
    assert!(shown(&state).contains("later"), "{}", shown(&state));
}

#[test]
fn beside_the_detail_stands_the_end_of_the_output() {
    let mut state = state(observatory(), (160, 50), night());
    press(&mut state, "/ g u i d e r Enter G");
    let fetched = |state: &mut State, seconds| {
        let actions = state.update(Event::Tick, night() + TimeDelta::seconds(seconds));
        let id = &state.chosen().unwrap().id;
        assert!(
            matches!(&actions[..], [Action::FetchLogs { service, lines: 50, .. }] if service == id),
            "{actions:?}"
        );
    };
    fetched(&mut state, 1);
    news(&mut state, (0..40).map(|i| info(80 - i, &format!("slewing {i:02}"))).collect(), true);
    let beside = shown(&state);
    assert!(beside.contains("log (L)") && beside.contains("slewing 39"), "{beside}");
    // another is asked for when the selection rests
    press(&mut state, "Esc n");
    assert!(!shown(&state).contains("slewing 39"), "not shown for another");
    while state.chosen().unwrap().is_launcher {
        press(&mut state, "n");
    }
    fetched(&mut state, 2);
    // on a narrow screen nothing is read that is not shown
    let actions = state.update(Event::Resize(80, 24), night() + TimeDelta::seconds(2));
    assert_eq!(actions, [Action::DropLogs]);
}
