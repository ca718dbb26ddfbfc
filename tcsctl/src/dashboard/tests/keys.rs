//! (fleet, keys, what comes of it).

use chrono::TimeDelta;

use super::fixture::{Messages, night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Action, Event, Heard, LogNews, Mouse, Operation, Reply, Spot};
use crate::dashboard::state::{Moment, Page, State};
use serde_json::json;
use tcs_present::columns::Column;

fn fleet() -> State {
    state(observatory(), (80, 24), night())
}

fn chosen(state: &State) -> &str {
    state.table.chosen().map_or("", |id| id)
}

#[test]
fn the_choice_stays_on_its_service_while_rows_move() {
    let mut state = fleet();
    press(&mut state, "/ g u i d e r . j Enter j");
    assert_eq!(chosen(&state), "guider.jk15");
    press(&mut state, "Esc");
    assert_eq!(chosen(&state), "guider.jk15");
    // something else fails, and is sorted to the top
    let mut messages = Messages::default();
    messages.send(
        0.0,
        "status.focuser.jk15",
        json!({"name": "focuser.jk15", "status": "failed",
        "message": "stuck"}),
    );
    let news = messages.take().into_iter().map(Heard::Message).collect();
    state.update(Event::Heard(news), night() + TimeDelta::seconds(1));
    state.settle(night() + TimeDelta::seconds(1));
    assert_eq!(state.picture.get("focuser.jk15").unwrap().verdict.as_str(), "failed");
    assert_eq!(chosen(&state), "guider.jk15");
    let seen = state.table.offset..state.table.offset + state.rows();
    assert!(seen.contains(&state.table.cursor), "and on the screen");
    press(&mut state, "s s s S");
    assert_eq!((chosen(&state), state.table.sort), ("guider.jk15", Column::Heard));
    assert!(state.table.reverse);
}

#[test]
fn until_somebody_chooses_it_is_the_first_that_is_wrong() {
    let mut state = state(Vec::new(), (80, 24), night());
    for message in observatory() {
        state.update(Event::Heard(vec![Heard::Message(message)]), night());
        state.settle(night());
    }
    assert!(state.chosen().unwrap().verdict.is_fault());
    let before = &state.table.rows[..state.table.cursor];
    assert!(before.iter().all(|row| !state.picture.services[row.service].verdict.is_fault()));
    let order: Vec<_> = state
        .table
        .rows
        .iter()
        .filter(|row| row.depth == 0)
        .map(|row| &state.picture.services[row.service])
        .map(|service| service.worst_below.map_or(service.verdict, |w| w.min(service.verdict)))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn two_keys_lead_from_what_is_wrong_to_its_log() {
    let mut state = fleet();
    let actions = press(&mut state, "n L");
    let id = chosen(&state).to_owned();
    assert!(state.picture.get(&id).unwrap().verdict.is_fault());
    assert!(
        matches!(&actions[..], [Action::FetchLogs { service, launcher: Some(_), .. }] if **service == *id)
    );
    let news = |text: &str| LogNews {
        service: id.as_str().into(),
        outcome: Err(text.to_owned()),
        runs: Vec::new(),
        whole: true,
    };
    state.update(Event::Logs(news("no launcher answers")), night());
    assert!(text(&buffer(&state)).contains("no launcher answers"));
    assert_eq!(press(&mut state, "Esc"), [Action::DropLogs]);
    assert_eq!(state.page, Page::Fleet);
}

#[test]
fn what_is_looked_at_stays_though_nobody_chose_it() {
    for keys in ["L", "Enter", "a", "r"] {
        let mut state = state(Vec::new(), (80, 24), night());
        let (mut later, first): (Vec<_>, Vec<_>) =
            observatory().into_iter().partition(|message| message.subject.contains("guider"));
        let heard =
            |messages: Vec<_>| Event::Heard(messages.into_iter().map(Heard::Message).collect());
        state.update(heard(first), night());
        state.settle(night());
        let id = chosen(&state).to_owned();
        press(&mut state, keys);
        // something comes that is sorted before it
        let mut messages = Messages::default();
        for id in ["aaa.first", "launcher.aaa"] {
            messages.send(0.0, &format!("status.{id}"), json!({"name": id, "status": "failed"}));
        }
        later.extend(messages.take());
        state.update(heard(later), night());
        state.settle(night());
        assert_eq!(chosen(&state), id, "{keys}");
    }
}

#[test]
fn what_is_routine_is_shown_on_request() {
    let mut state = fleet();
    let mut messages = Messages::default();
    for (ago, status) in [(3.0, "busy"), (2.0, "idle"), (1.0, "error")] {
        let data = json!({"name": "focuser.jk15", "status": status, "message": status});
        messages.send(ago, "status.focuser.jk15", data);
    }
    let news = messages.take().into_iter().map(Heard::Message).collect();
    state.update(Event::Heard(news), night());
    state.settle(night());
    let shown = text(&buffer(&state));
    assert!(shown.contains("idle → error after"), "{shown}");
    assert!(!shown.contains("busy → idle after"), "{shown}");
    let page = |state: &mut State, key: &str| {
        press(state, key);
        let shown = text(&buffer(state));
        (shown.contains("busy → idle after"), shown.contains("idle → error after"), shown)
    };
    for (key, routine, problem) in
        [("e", false, true), ("A", true, true), ("!", false, true), ("!", false, true)]
    {
        let (is_routine, is_problem, shown) = page(&mut state, key);
        assert_eq!((is_routine, is_problem), (routine, problem), "{key}: {shown}");
        assert_eq!(state.page, Page::Events, "{key}");
    }
}

#[test]
fn next_fault_goes_round_and_passes_over_what_is_well() {
    let mut state = fleet();
    let faults = state
        .table
        .rows
        .iter()
        .filter(|row| state.picture.services[row.service].verdict.is_fault());
    let count = faults.count();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..count {
        press(&mut state, "n");
        assert!(state.picture.get(chosen(&state)).unwrap().verdict.is_fault());
        seen.insert(chosen(&state).to_owned());
    }
    assert_eq!(seen.len(), count);
}

#[test]
fn an_action_asks_says_what_it_touches_and_tells_its_result() {
    let mut state = fleet();
    press(&mut state, "/ c a m e r a . j Enter j");
    assert_eq!(press(&mut state, "x"), []);
    let shown = text(&buffer(&state));
    assert!(shown.contains("it is busy: exposing 12 of 40"), "{shown}");
    assert!(shown.contains("asks launcher.Kx1xDO.srv01-process-launcher"), "{shown}");
    assert_eq!(press(&mut state, "n"), [], "any key but y cancels");
    let actions = press(&mut state, "x y");
    let [Action::Request(request)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((request.operation, &*request.service), (Operation::Stop, "camera.jk15"));
    let reply = Reply {
        request: request.clone(),
        outcome: Err("no launcher answers".to_owned()),
        took: TimeDelta::milliseconds(20),
    };
    state.update(Event::Reply(reply), night());
    let shown = text(&buffer(&state));
    assert!(shown.contains("! stop camera.jk15: no launcher answers"), "{shown}");
}

#[test]
fn read_only_takes_the_actions_away() {
    let mut state = fleet();
    state.options.read_only = true;
    assert_eq!(press(&mut state, "n r"), []);
    assert!(state.overlay.is_none());
    let shown = text(&buffer(&state));
    assert!(shown.contains("read-only: start, stop and restart are disabled"), "{shown}");
    assert!(!shown.lines().last().unwrap().contains("act"), "{shown}");
}

#[test]
fn nothing_is_operated_from_the_past() {
    let mut state = fleet();
    press(&mut state, "n {");
    assert!(matches!(state.moment, Moment::Past { .. }));
    assert_eq!(press(&mut state, "r"), []);
    assert!(state.overlay.is_none());
    press(&mut state, "Esc Esc");
    assert!(matches!(state.moment, Moment::Live));
}

#[test]
fn the_past_is_what_was_so_then() {
    let mut state = fleet();
    let verdict = |state: &State| state.picture.get("dome_follower.main").unwrap().verdict;
    assert_eq!(verdict(&state).as_str(), "degraded");
    // 90 s back it had not complained yet
    let actions = press(&mut state, "[ [ [ [ [ [ [ [ [");
    assert!(matches!(actions[..], [Action::LoadHistory(_)]), "asked for once: {actions:?}");
    assert_eq!(verdict(&state).as_str(), "ok");
    assert!(text(&buffer(&state)).contains("THE PAST  02:11:37 UTC, 1 min 30 s ago"));
    press(&mut state, "] ] ] ] ] ] ] ] ]");
    assert!(matches!(state.moment, Moment::Live));
    assert_eq!(verdict(&state).as_str(), "degraded");
    press(&mut state, "{");
    assert_eq!(state.picture.now, night() - TimeDelta::seconds(22), "to the last problem");
}

#[test]
fn held_it_goes_on_collecting_and_says_how_much_waits() {
    let mut state = fleet();
    press(&mut state, "Space");
    let mut messages = Messages::default();
    messages.send(0.0, "status.focuser.jk15", json!({"name": "focuser.jk15", "status": "error"}));
    let news: Vec<_> = messages.take().into_iter().map(Heard::Message).collect();
    let later = night() + TimeDelta::seconds(5);
    state.update(Event::Heard(news), later);
    state.settle(later);
    let verdict = |state: &State| state.picture.get("focuser.jk15").unwrap().verdict.as_str();
    assert_eq!(verdict(&state), "ok");
    assert!(text(&buffer(&state)).contains("PAUSED for 5 s, 1 message waiting"));
    press(&mut state, "Space");
    assert_eq!(verdict(&state), "error");
}

#[test]
fn what_y_copies_shows_the_same_again() {
    let mut state = fleet();
    state.options.connection = vec!["--context".to_owned(), "my site".to_owned()];
    let copied = |state: &mut State, keys: &str| match press(state, keys).pop() {
        Some(Action::Copy(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(copied(&mut state, "Y"), "tcsctl --context 'my site'");
    assert_eq!(copied(&mut state, "A Y"), "tcsctl --context 'my site' --all");
    assert_eq!(
        copied(&mut state, "A ! / h o s t : s r v 0 1 Enter Y"),
        "tcsctl --context 'my site' list 'host:srv01 is:fault'"
    );
    press(&mut state, "Esc n n Enter");
    let id = chosen(&state).to_owned();
    assert_eq!(copied(&mut state, "Y"), format!("tcsctl --context 'my site' --detailed {id}"));
    assert!(copied(&mut state, "y").starts_with(&id));
}

#[test]
fn folding_hides_what_is_below_and_says_how_much() {
    let mut state = fleet();
    let before = state.table.rows.len();
    press(&mut state, "P g h");
    assert!(state.table.rows.len() < before);
    let shown = text(&buffer(&state));
    assert!(shown.contains("below, worst"), "{shown}");
    press(&mut state, "l");
    assert_eq!(state.table.rows.len(), before);
    press(&mut state, "l");
    assert_eq!(state.table.cursor, 1, "unfolded, it goes in");
    press(&mut state, "h");
    assert_eq!(state.table.cursor, 0, "and out again");
}

#[test]
fn esc_and_a_key_that_come_together_are_both() {
    let mut state = fleet();
    press(&mut state, "n Enter");
    assert_eq!(press(&mut state, "alt-q"), [Action::Quit]);
    assert_eq!(state.page, Page::Fleet);
    // the second one finds what the first one made
    let last = state.table.rows.len() - 1;
    press(&mut state, "/ g u i d e r Enter alt-G");
    assert_eq!(state.table.cursor, last);
}

#[test]
fn clicks_do_what_stands_there() {
    let mut state = fleet();
    let footer = state.size.1 - 1;
    let shown = text(&buffer(&state));
    let column = shown.lines().last().unwrap().find("? help").unwrap() as u16;
    let spot = state.hit(column, footer);
    state.update(Event::Mouse(Mouse::Click(spot)), night());
    assert!(text(&buffer(&state)).contains("any other key closes it"));
    state.update(Event::Mouse(Mouse::Click(Spot::Nothing)), night());
    assert!(state.overlay.is_none());
    let panes = state.panes();
    let spot = state.hit(20, panes.rows.y + 2);
    assert_eq!(spot, Spot::Row(2));
    state.update(Event::Mouse(Mouse::Click(spot)), night());
    assert_eq!(state.table.cursor, 2);
    state.update(Event::Mouse(Mouse::Click(spot)), night());
    assert_eq!(state.page, Page::Detail);
}

#[test]
fn history_tells_changes_once_and_with_how_long_it_lasted() {
    let mut state = fleet();
    let again = observatory().into_iter().map(Heard::Message).collect();
    let count = state.history.until(night()).len();
    state.update(Event::Heard(again), night());
    assert_eq!(state.history.until(night()).len(), count, "nothing twice");
    let words: Vec<String> = state
        .history
        .until(night())
        .iter()
        .filter(|entry| &*entry.id == "dome_follower.main")
        .map(|entry| tcs_present::events::words(entry).plain())
        .collect();
    let last = words.last().unwrap();
    assert!(last.starts_with("ok → warning after 3 h 8 min: shutter slower"), "{last}");
}

#[test]
fn what_a_launcher_says_for_a_service_is_its_event_and_not_the_services_word() {
    let mut state = fleet();
    let count = |state: &State| state.history.until(night()).len();
    let before = count(&state);
    let said = |ago: f64, by: &str| {
        let mut messages = Messages::default();
        messages.send(
            ago,
            "status.focuser.jk15",
            json!({"name": "focuser.jk15", "status": "failed", "details": {"reported_by": by}}),
        );
        messages.take().into_iter().map(Heard::Message).collect()
    };
    state.update(Event::Heard(said(1.0, "launcher")), night());
    assert_eq!(count(&state), before);
    state.update(Event::Heard(said(0.5, "itself")), night());
    assert_eq!(count(&state), before + 1);
}

#[test]
fn the_detail_is_scrolled_to_its_end_and_no_further() {
    for size in [(80, 24), (160, 20)] {
        let mut state = state(observatory(), size, night());
        press(&mut state, "n Enter Enter");
        let mut seen = text(&buffer(&state));
        let mut steps = 0;
        loop {
            press(&mut state, "j");
            let now = text(&buffer(&state));
            if now == seen {
                break;
            }
            steps += 1;
            seen = now;
        }
        assert!(steps > 0, "{size:?}: there is something to scroll");
        assert!(seen.contains("k goes back up"), "{seen}");
        press(&mut state, "G j j j PgDn G");
        assert_eq!(text(&buffer(&state)), seen);
        // one key up shows at once
        press(&mut state, "k");
        assert_ne!(text(&buffer(&state)), seen, "{size:?}");
        press(&mut state, &"k ".repeat(steps - 1));
        assert_eq!(state.scrolled, 0);
    }
}

#[test]
fn the_state_is_written_down_for_a_report() {
    let mut state = fleet();
    press(&mut state, "/ g u i d e r Enter");
    let actions = press(&mut state, ": d u m p Enter");
    let [Action::Save(text)] = &actions[..] else { panic!("{actions:?}") };
    let dump: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(dump["schema"], "tcsctl.state.v1");
    assert_eq!(dump["table"]["filter"], "guider");
    assert_eq!(dump["table"]["chosen"], chosen(&state));
    assert_eq!(dump["size"], json!([80, 24]));
    let services = dump["services"].as_array().unwrap();
    assert_eq!(services.len(), state.picture.services.len());
    assert!(services.iter().any(|s| s["id"] == "tic_bridge.zb08" && s["verdict"] == "restarting"));
    assert!(!dump["events"].as_array().unwrap().is_empty());
    state.update(Event::Saved(Ok("/tmp/x.json".to_owned())), night());
    assert!(text_of(&state).contains("written: /tmp/x.json"));
    state.update(Event::Saved(Err("disk full".to_owned())), night());
    assert!(text_of(&state).contains("not written: disk full"));
}

fn text_of(state: &State) -> String {
    text(&buffer(state))
}

#[test]
fn events_that_are_in_no_stream_are_told_at_the_top() {
    const LAUNCHER: &str = "launcher.a1b2c3.srv01-process-launcher";
    let mut state = state(Vec::new(), (80, 24), night());
    assert!(!text(&buffer(&state)).contains("missing"));
    let mut messages = Messages::default();
    let beat = json!({"service_id": LAUNCHER, "status": "ok", "outbox": {"lost_events": 3}});
    messages.send(0.0, &format!("heartbeat.{LAUNCHER}"), beat);
    let known = messages.take().into_iter().map(Heard::Message).collect();
    state.update(Event::Known(known), night() + TimeDelta::seconds(1));
    state.settle(night() + TimeDelta::seconds(2));
    let told = format!("3 events of {LAUNCHER} are missing");
    assert!(text(&buffer(&state)).contains(&told), "{}", text(&buffer(&state)));
}
