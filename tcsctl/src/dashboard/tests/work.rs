//! Planned work: a stop with a reason, the maintenance of a host, and its end.

use chrono::TimeDelta;
use serde_json::json;
use tcs_alarms::Record;

use super::fixture::{Messages, night, observatory, state};
use super::{buffer, press, text, type_in};
use crate::dashboard::event::{Action, AlarmNews, Event, Heard, Operation, Reply, Request};
use crate::dashboard::state::State;
use crate::dashboard::state::overlay::Overlay;

const SRV02: &str = "launcher.b81QpL.srv02-process-launcher";

/// `plate_solver.a` is started after `weather.main`.
fn fleet(size: (u16, u16)) -> State {
    let mut messages = Messages::default();
    messages.send(
        11_000.0,
        "registry.declared.plate_solver.a",
        json!({"event": "declared", "service_id": "plate_solver.a", "parent": SRV02,
            "declared": {"enabled": true, "after": ["weather.main"]}}),
    );
    let mut all = observatory();
    all.extend(messages.take());
    state(all, size, night())
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

fn requests(actions: &[Action]) -> Vec<Request> {
    let requests = actions.iter().filter_map(|action| match action {
        Action::Request(request) => Some(request.clone()),
        _ => None,
    });
    requests.collect()
}

fn ids(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| &*request.service).collect()
}

fn reply(request: &Request) -> Event {
    let took = TimeDelta::milliseconds(80);
    Event::Reply(Reply { request: request.clone(), outcome: Ok("stopped".to_owned()), took })
}

#[test]
fn a_stop_for_planned_work_asks_why_and_then_as_any_stop() {
    let mut state = fleet((80, 24));
    press(&mut state, "/ w e a t h e r Enter G X");
    let asked = shown(&state);
    assert!(asked.contains("stop weather.main for planned work"), "{asked}");
    assert!(asked.contains("why: mirror washing"), "{asked}");
    press(&mut state, "Enter");
    assert!(shown(&state).contains("type why: mirror washing"), "{}", shown(&state));
    type_in(&mut state, "mirror washing");
    assert_eq!(press(&mut state, "Enter"), [], "not before it is confirmed");
    let asked = shown(&state);
    assert!(asked.contains("stop for planned work?"), "{asked}");
    assert!(asked.contains("for planned work: mirror washing"), "{asked}");
    assert!(asked.contains("plate_solver.a is started after it and keeps running"), "{asked}");
    assert!(asked.contains("also when its launcher starts again"), "{asked}");
    let asked = requests(&press(&mut state, "y"));
    assert_eq!(ids(&asked), ["weather.main"]);
    assert_eq!(asked[0].operation, Operation::Stop);
    assert_eq!(asked[0].parameters.comment.as_deref(), Some("mirror washing"));
    assert!(!asked[0].parameters.when_idle);
}

#[test]
fn the_marked_are_stopped_for_one_reason_and_a_service_can_be_named() {
    let mut state = fleet((100, 30));
    press(&mut state, "/ p l a t e Enter M X");
    type_in(&mut state, "new index");
    press(&mut state, "Enter");
    assert!(shown(&state).contains("stop 2 services for planned work?"), "{}", shown(&state));
    let asked = requests(&press(&mut state, "y"));
    assert_eq!(ids(&asked), ["plate_solver.a", "plate_solver.b"]);
    assert!(asked.iter().all(|it| it.parameters.comment.as_deref() == Some("new index")));

    let mut state = fleet((100, 30));
    type_in(&mut state, ":stop-for-work camera.j");
    press(&mut state, "Enter");
    type_in(&mut state, "new camera");
    press(&mut state, "Enter");
    assert_eq!(ids(&requests(&press(&mut state, "y"))), ["camera.jk15"]);
    // Esc ends it, and nothing is done
    press(&mut state, "X Esc");
    assert!(state.overlay.is_none() && shown(&state).contains("nothing was done"));
}

/// Opens the question about maintenance of srv02.
fn asked_for_maintenance(state: &mut State) -> String {
    type_in(state, ":maintenance srv02");
    press(state, "Enter");
    type_in(state, "30m new disk");
    press(state, "Enter");
    shown(state)
}

#[test]
fn maintenance_of_a_host_lists_what_it_stops_and_goes_in_the_reverse_of_the_order() {
    let mut state = fleet((120, 40));
    let asked = asked_for_maintenance(&mut state);
    assert!(asked.contains("maintenance of srv02.oca.lan: stop 3 services?"), "{asked}");
    assert!(asked.contains("comment: maintenance of host:srv02: new disk"), "{asked}");
    assert!(asked.contains("no alarms are shelved: there is no stream of alarms"), "{asked}");
    for id in ["weather.main", "plate_solver.a", "allsky.cam1"] {
        assert!(asked.contains(&format!("{id} ")), "{asked}");
    }
    let Some(Overlay::Confirm(question)) = &state.overlay else { panic!("{asked}") };
    assert_eq!(question.requests.len(), 3, "what has failed is not among them");
    let first = requests(&press(&mut state, "y"));
    assert_eq!(ids(&first), ["plate_solver.a"], "what is after others stops before them");
    for request in &first {
        assert!(request.parameters.when_idle, "{request:?}");
        let comment = request.parameters.comment.as_deref();
        assert_eq!(comment, Some("maintenance of host:srv02: new disk"));
    }
    let then = requests(&state.update(reply(&first[0]), night()));
    assert_eq!(ids(&then), ["allsky.cam1", "weather.main"]);
    let results = shown(&state);
    assert!(
        results.contains("maintenance of srv02.oca.lan, stop: 1 done, 2 under way"),
        "{results}"
    );
}

#[test]
fn its_alarms_are_shelved_for_that_long_and_no_longer_than_it_lasts() {
    let mut state = fleet((120, 40));
    state.update(Event::Alarms(vec![AlarmNews::Current]), night());
    let asked = asked_for_maintenance(&mut state);
    assert!(asked.contains("alarms are shelved until 02:43:07 UTC"), "{asked}");
    let actions = press(&mut state, "y");
    let Action::Alarm(shelf) = &actions[0] else { panic!("{actions:?}") };
    let [Record::Shelf(shelf)] = &shelf.records[..] else { panic!("{shelf:?}") };
    assert_eq!(shelf.covers.filter.as_deref(), Some("host:srv02"));
    assert_eq!(shelf.reason, "maintenance of host:srv02: new disk");
    assert_eq!(shelf.until.time(), night() + TimeDelta::minutes(30));
    assert_eq!(shelf.by, "anna@console");
}

#[test]
fn what_was_stopped_for_a_maintenance_is_started_in_order() {
    let mut state = fleet((120, 40));
    press(&mut state, ": e n d - m Enter");
    let none = shown(&state);
    assert!(none.contains("no service is stopped for a maintenance"), "{none}");
    press(&mut state, "Esc");
    let mut messages = Messages::default();
    for (ago, id) in [(3.0, "plate_solver.a"), (2.0, "weather.main")] {
        let planned = json!({"comment": "maintenance of host:srv02: new disk", "by": "anna",
            "since": "2026-11-23T02:13:00Z"});
        messages.send(
            ago,
            &format!("registry.stop.{id}"),
            json!({"event": "stop", "service_id": id, "reason": "terminated", "exit_code": 0,
                "planned": planned, "parent": SRV02}),
        );
    }
    let news = messages.take().into_iter().map(Heard::Message).collect();
    state.update(Event::Heard(news), night());
    state.settle(night());
    type_in(&mut state, ":end-maintenance ");
    let offered = shown(&state);
    assert!(offered.contains("host:srv02") && offered.contains("2 services stopped"), "{offered}");
    press(&mut state, "Enter");
    let asked = shown(&state);
    assert!(asked.contains("end the maintenance of host:srv02: start 2 services?"), "{asked}");
    let first = requests(&press(&mut state, "y"));
    assert_eq!(ids(&first), ["weather.main"]);
    assert_eq!(first[0].operation, Operation::Start);
    assert_eq!(ids(&requests(&state.update(reply(&first[0]), night()))), ["plate_solver.a"]);
}

#[test]
fn what_is_typed_wrongly_stays_typed_with_the_reason() {
    let mut state = fleet((100, 30));
    for (typed, why) in [
        ("30x new disk", "`30x` is not a duration: write 30m or 2h"),
        ("30m", "type the reason after the duration: 30m new disk"),
        ("8d new disk", "the duration must be more than 0 and at most 7 days"),
    ] {
        type_in(&mut state, ":maintenance srv02");
        press(&mut state, "Enter");
        type_in(&mut state, typed);
        press(&mut state, "Enter");
        let told = shown(&state);
        assert!(told.contains(why) && told.contains(&format!(">{typed}")), "{told}");
        press(&mut state, "Esc");
    }
    type_in(&mut state, ":maintenance srv09");
    press(&mut state, "Enter");
    assert!(shown(&state).contains("`srv09` is not a host"), "{}", shown(&state));
}

#[test]
fn a_host_whose_name_is_part_of_another_is_named_in_full_and_stopped_alone() {
    let mut messages = Messages::default();
    for (id, host) in [("a.x", "srv1.lan"), ("b.x", "srv10.lan"), ("c.x", "big")] {
        let launcher = format!("launcher.{host}");
        messages.runs(500.0, id, (&launcher, host), ("ok", ""));
        messages.declared(id, &launcher);
    }
    messages.runs(500.0, "d.x", ("launcher.bigger", "bigger"), ("ok", ""));
    let mut state = state(messages.take(), (120, 40), night());
    let ask = |state: &mut State, host: &str| {
        type_in(state, &format!(":maintenance {host}"));
        press(state, "Enter");
        type_in(state, "30m new disk");
        press(state, "Enter");
        shown(state)
    };
    let asked = ask(&mut state, "srv1.lan");
    assert!(asked.contains("stop 1 service?") && asked.contains("host:srv1.lan:"), "{asked}");
    press(&mut state, "Esc");
    state.update(Event::Alarms(vec![AlarmNews::Current]), night());
    let asked = ask(&mut state, "big");
    assert!(asked.contains("stop 1 service?"), "{asked}");
    assert!(asked.contains("alarms of bigger are shelved too"), "{asked}");
}

#[test]
fn what_waits_for_its_first_start_does_not_start_during_a_maintenance() {
    let mut messages = Messages::default();
    messages.send(
        5.0,
        "registry.waiting.stacker.main",
        json!({"event": "waiting", "service_id": "stacker.main", "waiting_for": ["weather.main"],
            "parent": SRV02}),
    );
    let mut all = observatory();
    all.extend(messages.take());
    let mut state = state(all, (120, 40), night());
    let asked = asked_for_maintenance(&mut state);
    assert!(asked.contains("stop 4 services?") && asked.contains("stacker.main"), "{asked}");
}

#[test]
fn read_only_and_the_past_refuse_all_of_it() {
    for line in ["stop-for-work camera.j", "maintenance srv02", "end-maintenance", "profile"] {
        let mut state = fleet((100, 30));
        state.options.read_only = true;
        type_in(&mut state, &format!(":{line}"));
        assert_eq!(press(&mut state, "Enter"), []);
        assert!(shown(&state).contains("read-only"), "{line}: {}", shown(&state));
        assert!(!matches!(state.overlay, Some(Overlay::Work(_) | Overlay::Confirm(_))), "{line}");
    }
}
