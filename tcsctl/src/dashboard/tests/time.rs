//! Going to a moment of the past, from problem to problem, and back.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Europe::Warsaw;
use tcs_core::fleet::transitions::Transitions;
use tcs_core::fleet::{Fleet, Link};
use tcs_core::observer::Observed;

use super::fixture::{night, observatory, state};
use super::{buffer, press, text, type_in};
use crate::dashboard::event::{Action, Event, Heard, PastRead, Span};
use crate::dashboard::source::live::happened;
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::{Moment, Moments, State};

fn fleet() -> State {
    state(observatory(), (80, 24), night())
}

fn ago(seconds: i64) -> DateTime<Utc> {
    night() - TimeDelta::seconds(seconds)
}

/// What the streams hold of this part of the night.
fn read(span: Span) -> PastRead {
    read_of(observatory(), span)
}

/// What of these messages was stored in it.
pub(super) fn read_of(messages: Vec<Arc<Observed>>, span: Span) -> PastRead {
    let until = span.until.unwrap_or(night());
    let mut before = Fleet::new();
    let mut within = Vec::new();
    for message in messages {
        if message.stamp.stored <= span.since {
            before.apply(&message.subject, message.decoded.clone(), message.stamp);
        } else if message.stamp.stored <= until {
            within.push(Heard::Message(message));
        }
    }
    let mut transitions = Transitions::heard_from(Some(span.since));
    transitions.begin(&before, span.since, Link::Steady);
    let transitions = happened(before.clone(), &within, transitions, until);
    PastRead { since: span.since, before, messages: within, transitions, problems: Vec::new() }
}

/// Answers what is asked for, until nothing is.
fn answer(state: &mut State, actions: Vec<Action>) {
    let mut actions = actions;
    while let Some(action) = actions.pop() {
        let span = match action {
            Action::LoadHistory(span) => span,
            Action::FetchLogs { .. } | Action::DropLogs => continue,
            other => panic!("{other:?}"),
        };
        let event = Event::Past(span, Ok(Box::new(read(span))));
        actions.extend(state.update(event, night()));
        state.settle(night());
    }
}

fn go(state: &mut State, keys: &str) {
    let actions = press(state, keys);
    answer(state, actions);
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

#[test]
fn steps_are_ten_seconds_a_minute_ten_minutes_and_an_hour() {
    let mut state = fleet();
    for (keys, back) in [("[", 10), (",", 70), ("<", 670), ("[", 680), (">", 80), (".", 20)] {
        go(&mut state, keys);
        assert_eq!(state.picture.now, ago(back), "{keys}");
    }
    go(&mut state, "b");
    assert_eq!(state.picture.now, ago(3620));
    go(&mut state, "b");
    assert_eq!(state.picture.now, ago(7220));
    go(&mut state, "f f ]");
    assert_eq!(state.picture.now, ago(10));
    go(&mut state, "]");
    assert!(matches!(state.moment, Moment::Live));
}

#[test]
fn a_time_is_typed_and_what_is_not_held_of_it_is_read() {
    let mut state = fleet();
    go(&mut state, "@ 0 2 : 1 2 : 3 0 Enter");
    assert_eq!(state.picture.now, ago(37), "of the last hour at once");
    press(&mut state, "Esc Esc");
    let keys = "@ 0 2 : 1 3 Enter";
    go(&mut state, keys);
    assert_eq!(state.picture.now, ago(7));
    assert!(keys.split(' ').count() <= 8, "few keys at night");
    press(&mut state, "Esc Esc");
    let actions = press(&mut state, ": a t Space 2 3 : 0 3 Enter");
    let at = "2026-11-22T23:03:00Z".parse::<DateTime<Utc>>().unwrap();
    let half = TimeDelta::minutes(30);
    let span = Span { since: at - half, until: Some(at + half) };
    assert_eq!(actions, [Action::LoadHistory(span)]);
    assert!(matches!(state.moment, Moment::Live), "nothing is shown that is not so");
    assert!(
        shown(&state).contains("reading 2026-11-22 23:03:00 UTC from the streams ... Esc cancels")
    );
    answer(&mut state, actions);
    assert_eq!(state.picture.now, at);
    let screen = shown(&state);
    assert!(screen.contains("THE PAST  2026-11-22 23:03:00 UTC, 3 h 10 min ago"), "{screen}");
    let guider = state.picture.get("guider.jk15").unwrap();
    assert_eq!(guider.verdict.as_str(), "stopped", "it was started 7 s later");
    // steps inside what was read ask for nothing
    assert_eq!(press(&mut state, ". . <"), []);
    assert_eq!(state.picture.now, at - TimeDelta::minutes(8));
}

#[test]
fn reading_is_cancelled_and_a_late_answer_changes_nothing() {
    let mut state = fleet();
    let actions = press(&mut state, "@ 3 h Enter");
    press(&mut state, "Esc");
    assert!(!shown(&state).contains("from the streams"));
    answer(&mut state, actions);
    assert!(matches!(state.moment, Moment::Live));
    // keys add up while it is read
    let first = press(&mut state, "@ 3 h Enter");
    let second = press(&mut state, "b");
    let ([Action::LoadHistory(_)], [Action::LoadHistory(_)]) = (&first[..], &second[..]) else {
        panic!("{first:?} {second:?}")
    };
    answer(&mut state, first);
    assert!(matches!(state.moment, Moment::Live), "it is the other that is wanted");
    answer(&mut state, second);
    assert_eq!(state.picture.now, ago(4 * 3600));
}

#[test]
fn what_is_no_past_time_is_told_and_stays_typed() {
    let mut state = fleet();
    for (typed, why) in [
        ("n o o n", "`noon` is not a time"),
        ("2 0 9 9 - 0 1 - 0 1 T 0 0 : 0 0 : 0 0 Z", "not in the past"),
    ] {
        assert_eq!(press(&mut state, &format!("@ {typed} Enter")), []);
        let screen = shown(&state);
        assert!(screen.contains(why) && screen.contains(":at "), "{screen}");
        press(&mut state, "Esc Esc");
    }
}

#[test]
fn from_problem_to_problem_of_the_fleet_and_of_a_service() {
    let mut state = fleet();
    let mut stops = Vec::new();
    loop {
        let before = state.picture.now;
        go(&mut state, "{");
        if state.picture.now == before || state.picture.now < ago(3600) {
            break;
        }
        stops.push((night() - state.picture.now).num_seconds());
    }
    // the crash loop, a degraded one, those that failed and went silent
    assert!(stops.contains(&22) && stops.contains(&84) && stops.contains(&254), "{stops:?}");
    assert!(!stops.contains(&4), "a crash of the same loop: {stops:?}");
    assert!(stops.len() <= 7, "{stops:?}");
    assert!(shown(&state).contains("no problem between"), "{}", shown(&state));
    go(&mut state, "@ 5 m Enter }");
    assert_eq!(state.picture.now, ago(254));
    let mut state = fleet();
    go(&mut state, "/ d o m e Enter n (");
    assert_eq!(&**state.table.chosen().unwrap(), "dome_follower.main");
    assert_eq!(state.picture.now, ago(84), "of the chosen service alone");
    press(&mut state, ")");
    assert!(matches!(state.moment, Moment::Live));
}

#[test]
fn problems_are_marked_on_the_line_of_time() {
    let mut state = state(observatory(), (120, 30), night());
    go(&mut state, "@ 3 0 m Enter");
    let screen = shown(&state);
    let bar = screen.lines().find(|line| line.contains("THE PAST")).unwrap();
    assert!(bar.contains("01:13 ─") && bar.contains("█"), "{bar}");
    assert!(bar.matches('│').count() >= 1, "{bar}");
}

#[test]
fn who_leaves_the_past_is_told_what_has_changed_since() {
    let mut state = state(observatory(), (80, 24), night());
    go(&mut state, "@ 1 0 0 s Enter Esc");
    let screen = shown(&state);
    assert!(screen.contains("since 02:11:27 UTC (1 min 40 s): "), "{screen}");
    assert!(screen.contains("dome_follower.main  ok → degraded: shutter slower"), "{screen}");
    assert!(screen.lines().last().unwrap().contains("? help"), "{screen}");
    press(&mut state, "Esc");
    assert!(!shown(&state).contains("since 02:11:27"));
    go(&mut state, "[ Esc");
    assert!(shown(&state).contains("no service has changed"), "{}", shown(&state));
    state.update(Event::Tick, night() + TimeDelta::seconds(31));
    assert!(!shown(&state).contains("no service has changed"), "it goes by itself");
}

#[test]
fn it_begins_in_the_past_where_that_was_wanted() {
    let mut state = super::fixture::state(Vec::new(), (80, 24), night());
    state.options.at = Some(crate::cli::moment::moment("2h").unwrap());
    let actions = state.update(Event::Settled, night());
    answer(&mut state, actions);
    assert_eq!(state.picture.now, ago(7200));
    assert!(state.picture.get("guider.jk15").is_some());
}

/// On 2026-10-25 clocks in Warsaw showed 02:00 to 03:00 twice, on 2026-03-29 never.
#[test]
fn an_hour_that_came_twice_is_told_and_one_that_never_came_is_refused() {
    let go_at = |now: &str, line: &str| {
        let now = now.parse::<DateTime<Utc>>().unwrap();
        let mut state = super::fixture::state(Vec::new(), (80, 24), now);
        state.options.moments = Moments(|moment, now| moment.past_in(&Warsaw, now));
        let actions = type_in(&mut state, line);
        assert_eq!(actions, []);
        let actions = press(&mut state, "Enter");
        (actions, shown(&state), state)
    };
    let (actions, told, _) = go_at("2026-10-25T12:00:00Z", ":at 02:30");
    let second = "2026-10-25T01:30:00Z".parse::<DateTime<Utc>>().unwrap();
    let reads = |action: &Action| {
        matches!(action, Action::LoadHistory(span)
            if span.since <= second && span.until.is_none_or(|until| second <= until))
    };
    assert!(actions.iter().any(reads), "{actions:?}");
    let note = "02:30 occurred twice on 2026-10-25: using the second, 2026-10-25T01:30:00Z";
    assert!(told.contains(note), "{told}");
    let (actions, told, state) = go_at("2026-03-29T12:00:00Z", ":at 02:30");
    assert_eq!(actions, []);
    let why = "02:30 did not exist on 2026-03-29: clocks went from 02:00 to 03:00; write";
    assert!(told.contains(why), "{told}");
    assert!(matches!(state.overlay, Some(Overlay::Palette { .. })), "what was typed stays");
}
