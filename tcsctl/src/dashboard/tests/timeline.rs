//! The page of the past.

use chrono::{DateTime, TimeDelta, Utc};

use super::fixture::{night, state};
use super::{broken_night, buffer, press, text};
use crate::dashboard::event::{Action, Event, Mouse, PeriodRead, Span, Spot};
use crate::dashboard::source::timeline::of_messages;
use crate::dashboard::state::{Moment, Page, State};

/// Heartbeats are held of so long.
const BEGAN: TimeDelta = TimeDelta::minutes(90);

fn read(span: Span) -> PeriodRead {
    let messages = broken_night::messages();
    let messages = messages.iter().map(|message| (message.stamp.stored, message));
    of_messages(messages, night() - BEGAN, span)
}

/// Answers what is asked for; returns the rest.
pub(super) fn answer(state: &mut State, actions: Vec<Action>) -> Vec<Action> {
    let mut rest = Vec::new();
    for action in actions {
        match action {
            Action::ReadTimeline(span) => {
                let more = state.update(Event::Timeline(span, Ok(read(span))), state.now);
                assert_eq!(more, [], "what was asked for is enough");
            }
            Action::FetchLogs { .. } | Action::DropLogs => {}
            other => rest.push(other),
        }
    }
    rest
}

fn go(state: &mut State, keys: &str) -> Vec<Action> {
    let actions = press(state, keys);
    answer(state, actions)
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

fn opened(size: (u16, u16)) -> State {
    let mut state = state(broken_night::messages(), size, night());
    go(&mut state, "T");
    state
}

fn ago(seconds: i64) -> DateTime<Utc> {
    night() - TimeDelta::seconds(seconds)
}

#[test]
fn at_all_sizes() {
    for size in [(80, 24), (160, 50), (220, 60)] {
        let mut state = opened(size);
        let name = format!("timeline_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name.clone(), shown(&state));
        go(&mut state, "{ {");
        insta::assert_snapshot!(format!("{name}_at_a_problem"), shown(&state));
    }
    let small = opened((40, 10));
    assert!(shown(&small).contains("timeline"), "{}", shown(&small));
}

#[test]
fn it_is_read_once_and_not_drawn_before() {
    let mut state = state(broken_night::messages(), (80, 24), night());
    let actions = press(&mut state, "T");
    let [Action::ReadTimeline(span)] = actions[..] else { panic!("{actions:?}") };
    assert!(span.since < ago(3600) && span.until == Some(night()));
    assert!(shown(&state).contains("reading events, statuses and heartbeats"));
    // an answer about another period is not taken
    let other = Span { since: ago(60), ..span };
    state.update(Event::Timeline(other, Ok(read(other))), night());
    assert!(shown(&state).contains("reading events"));
    answer(&mut state, actions);
    assert!(shown(&state).contains("guider.jk15"), "{}", shown(&state));
    // what was read is enough for shorter periods and small moves
    assert_eq!(press(&mut state, "+ + Left Left"), []);
    press(&mut state, "T");
    assert_eq!(state.page, Page::Fleet);
    assert_eq!(press(&mut state, "T"), [], "it is still held");
}

#[test]
fn what_cannot_be_read_is_said_and_tried_again_later() {
    let mut state = state(broken_night::messages(), (80, 24), night());
    let actions = press(&mut state, "T");
    let [Action::ReadTimeline(span)] = actions[..] else { panic!("{actions:?}") };
    state.update(Event::Timeline(span, Err("not connected".to_owned())), night());
    assert!(shown(&state).contains("the past could not be read: not connected"));
    assert_eq!(press(&mut state, "Left"), []);
    assert_eq!(state.update(Event::Tick, night() + TimeDelta::seconds(1)), []);
    let again = state.update(Event::Tick, night() + TimeDelta::seconds(11));
    assert!(matches!(again[..], [Action::ReadTimeline(_)]), "{again:?}");
}

#[test]
fn the_cursor_goes_by_columns_times_and_problems_and_opens_that_moment() {
    let mut state = opened((120, 40));
    assert_eq!(state.cursor(), night());
    go(&mut state, "Left Left");
    assert!(state.cursor() < ago(30) && state.cursor() > ago(150), "{}", state.cursor());
    go(&mut state, "Right Right Right");
    assert_eq!(state.cursor(), night(), "not over the end");
    go(&mut state, ",");
    assert_eq!(state.cursor(), ago(60));
    go(&mut state, "@ 1 0 0 s Enter");
    assert_eq!(state.cursor(), ago(100));
    // to the service that failed, and to when it did
    go(&mut state, "/ p l a t e _ s o l v e r . b Enter (");
    assert_eq!(state.timeline.rows.len(), 1);
    assert_eq!(state.cursor(), ago(2860));
    let screen = shown(&state);
    assert!(screen.contains("plate_solver.b  × failed since 01:25:27 UTC"), "{screen}");
    assert!(screen.contains("no index files in /data/index"), "{screen}");
    go(&mut state, "Enter");
    assert_eq!((state.page, state.picture.now), (Page::Fleet, ago(2860)));
    assert_eq!(&**state.table.chosen().unwrap(), "plate_solver.b");
}

#[test]
fn in_a_column_the_worst_of_the_selected_service_is_meant() {
    let mut state = opened((120, 40));
    go(&mut state, "/ p l a t e _ s o l v e r . b Enter");
    while state.cursor() > ago(2860) {
        go(&mut state, "Left");
    }
    assert!(state.cursor() > ago(2930), "the column in which it failed");
    go(&mut state, "Enter");
    assert_eq!(state.picture.now, ago(2860));
}

#[test]
fn it_begins_at_the_moment_that_is_shown() {
    let mut state = state(broken_night::messages(), (120, 40), night());
    press(&mut state, "[ [ [");
    assert!(matches!(state.moment, Moment::Past { .. }));
    go(&mut state, "T");
    assert_eq!(state.cursor(), ago(30));
    // back where one was
    go(&mut state, "Enter");
    assert_eq!((state.page, state.picture.now), (Page::Fleet, ago(30)));
    press(&mut state, "Esc");
    go(&mut state, "T");
    assert_eq!(state.cursor(), night());
    go(&mut state, "Enter");
    assert!(matches!(state.moment, Moment::Live));
}

#[test]
fn a_service_is_explained_as_it_was_at_the_cursor_and_one_returns() {
    let mut state = state(broken_night::messages(), (120, 40), night());
    go(&mut state, "T / d o m e _ f o l l o w e r . j Enter @ 2 0 s Enter");
    let explained = |actions: &[Action]| {
        let subject = actions.iter().find_map(|action| match action {
            Action::Explain(subject) => Some((subject.id.to_string(), subject.now)),
            _ => None,
        });
        subject.unwrap_or_else(|| panic!("{actions:?}"))
    };
    let actions = go(&mut state, "W");
    assert_eq!(explained(&actions), ("dome_follower.jk15".to_owned(), ago(20)));
    assert_eq!(state.page, Page::Why);
    press(&mut state, "Esc");
    assert_eq!((state.page, state.cursor()), (Page::Timeline, ago(20)));
    // another time has to be read first; if it cannot be, nothing is explained
    for is_read in [false, true] {
        go(&mut state, "@ 2 h Enter");
        let actions = go(&mut state, "W");
        let [Action::LoadHistory(span)] = actions[..] else { panic!("{actions:?}") };
        assert_eq!(state.page, Page::Fleet);
        if is_read {
            let read = Box::new(super::time::read_of(broken_night::messages(), span));
            let actions = state.update(Event::Past(span, Ok(read)), night());
            assert_eq!(explained(&actions), ("dome_follower.jk15".to_owned(), ago(7200)));
        } else {
            let failed = Event::Past(span, Err("not connected".to_owned()));
            assert_eq!(state.update(failed, night()), []);
            press(&mut state, "Esc Esc");
            go(&mut state, "T");
        }
    }
}

#[test]
fn problems_only_are_those_of_the_period_shown() {
    let mut state = opened((120, 40));
    let all = state.timeline.rows.len();
    go(&mut state, "!");
    let faulty = state.timeline.rows.len();
    assert!(faulty >= 6 && faulty < all, "{faulty} of {all}");
    assert!(state.timeline.rows.iter().any(|id| &**id == "tic_bridge.jk15"));
    assert!(shown(&state).contains(&format!("{faulty} services with problems")));
    // long before it all began
    go(&mut state, "@ 3 h Enter + +");
    assert_eq!(state.timeline.rows.len(), 0, "{}", shown(&state));
    assert!(shown(&state).contains("no problems in this period"));
    assert_eq!(
        state.command_line().split(" --since").next(),
        Some("tcsctl timeline"),
        "{}",
        state.command_line()
    );
}

#[test]
fn zooming_keeps_what_is_under_the_cursor_where_it_is() {
    let mut state = opened((120, 40));
    go(&mut state, "@ 3 0 m Enter");
    let place = |state: &State| {
        let (from, to) = state.timeline_period();
        (state.cursor() - from).num_milliseconds() * 100 / (to - from).num_milliseconds()
    };
    assert_eq!(place(&state), 50);
    for keys in ["+", "+", "- -"] {
        go(&mut state, keys);
        assert_eq!(state.cursor(), ago(1800));
        assert!((49..=51).contains(&place(&state)), "{keys}: {}", place(&state));
    }
    // not beyond the present
    go(&mut state, "- - -");
    assert_eq!((state.cursor(), state.timeline_period().1), (ago(1800), night()));
    go(&mut state, "+ + + + + + + +");
    let (from, to) = state.timeline_period();
    assert_eq!(to - from, TimeDelta::minutes(10));
    assert!(shown(&state).contains("10 min is the shortest period"), "{}", shown(&state));
}

#[test]
fn the_newest_stays_the_newest() {
    let mut state = opened((120, 40));
    let later = night() + TimeDelta::seconds(50);
    let actions = state.update(Event::Tick, later);
    assert!(actions.iter().any(|it| matches!(it, Action::ReadTimeline(_))), "{actions:?}");
    answer(&mut state, actions);
    assert_eq!(state.timeline_period().1, later);
    assert_eq!(state.cursor(), later);
    // in the past nothing is read again
    go(&mut state, "@ 3 0 m Enter");
    let (_, to) = state.timeline_period();
    assert!(to <= later);
}

#[test]
fn a_click_selects_a_service_and_a_moment() {
    let mut state = opened((120, 40));
    let panes = state.panes();
    let (names, columns) = state.timeline_widths();
    let x = (1 + names + 1 + columns / 2) as u16;
    let spot = state.hit(x, panes.page.y + 2 + 3);
    assert_eq!(spot, Spot::Moment(3, columns / 2));
    let actions = state.update(Event::Mouse(Mouse::Click(spot)), night());
    answer(&mut state, actions);
    assert_eq!(state.timeline.row, 3);
    assert!((ago(1800) - state.cursor()).abs() < TimeDelta::seconds(60), "{}", state.cursor());
}
