//! Many at once: marks, the one question, results as they come.

use chrono::TimeDelta;
use serde_json::json;

use super::fixture::{Messages, night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Action, Event, Heard, Operation, Reply, Request};
use crate::dashboard::state::State;
use crate::dashboard::state::overlay::Overlay;

/// A night on which three services of srv02 have failed, and one of srv01.
fn broken_night(size: (u16, u16)) -> State {
    let mut messages = Messages::default();
    for (id, launcher) in [
        ("stacker.main", "launcher.b81QpL.srv02-process-launcher"),
        ("archiver.main", "launcher.b81QpL.srv02-process-launcher"),
        ("rotator.jk15", "launcher.Kx1xDO.srv01-process-launcher"),
    ] {
        let host = if launcher.contains("srv02") { "srv02.oca.lan" } else { "srv01.oca.lan" };
        messages.send(
            30.0,
            &format!("registry.start.{id}"),
            json!({"event": "start", "service_id": id, "hostname": host, "parent": launcher}),
        );
        messages.send(
            20.0,
            &format!("registry.failed.{id}"),
            json!({"event": "failed", "service_id": id, "reason": "restart_limit_reached",
                "restart_count": 5, "parent": launcher}),
        );
    }
    let mut all = observatory();
    all.extend(messages.take());
    state(all, size, night())
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

fn requests<'a>(actions: &'a [Action]) -> Vec<&'a Request> {
    let request = |action: &'a Action| match action {
        Action::Request(request) => request,
        other => panic!("{other:?}"),
    };
    actions.iter().map(request).collect()
}

fn reply(request: &Request, outcome: Result<&str, &str>) -> Event {
    let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
    Event::Reply(Reply { request: request.clone(), outcome, took: TimeDelta::milliseconds(800) })
}

/// Selects a service of srv02 that has failed: the worst is selected to begin with.
fn on_srv02(state: &mut State) {
    while !state.chosen().unwrap().host.as_deref().is_some_and(|host| host.starts_with("srv02")) {
        press(state, "n");
    }
}

#[test]
fn all_failed_of_one_host_are_restarted_with_three_keys() {
    let mut state = broken_night((120, 40));
    on_srv02(&mut state);
    press(&mut state, "F");
    assert_eq!(state.marks.len(), 3);
    assert!(shown(&state).contains("3 marked"), "{}", shown(&state));
    assert_eq!(press(&mut state, "r"), []);
    let question = shown(&state);
    assert!(question.contains("restart 3 services?"), "{question}");
    for id in ["archiver.main", "plate_solver.b", "stacker.main"] {
        assert!(question.contains(&format!("{id}  ")), "{question}");
    }
    let actions = press(&mut state, "y");
    let asked = requests(&actions);
    let ids: Vec<_> = asked.iter().map(|request| &*request.service).collect();
    assert_eq!(ids, ["archiver.main", "plate_solver.b", "stacker.main"]);
    assert!(asked.iter().all(|request| request.operation == Operation::Restart));
    // results as they come
    state.update(reply(asked[0], Ok("restarted, pid 4711")), night());
    let results = shown(&state);
    assert!(results.contains("restart: 1 done, 2 under way"), "{results}");
    assert!(results.contains("restarted, pid 4711  in 0.8 s"), "{results}");
    state.update(reply(asked[2], Ok("restarted, pid 4712")), night());
    state.update(reply(asked[1], Err("no index files")), night());
    assert!(shown(&state).contains("restart: 2 done, 1 failed"), "{}", shown(&state));
    press(&mut state, "Esc");
    // what was not done keeps its mark
    let left = shown(&state);
    assert!(left.contains("restart: 2 done, 1 failed: plate_solver.b (no index files)"), "{left}");
    assert!(state.marks.contains("plate_solver.b") && state.marks.len() == 1);
}

#[test]
fn marks_stay_on_services_and_are_counted_whatever_is_shown() {
    let mut state = broken_night((120, 40));
    press(&mut state, "/ g u i d e r Enter M G m");
    assert_eq!(state.marks.len(), 1, "one of the two again");
    press(&mut state, "G m");
    assert_eq!(state.marks.len(), 2);
    press(&mut state, "/ ctrl-u c a m e r a Enter");
    let text = shown(&state);
    assert!(text.contains("2 marked (2 not in view)"), "{text}");
    press(&mut state, "M");
    assert_eq!(state.marks.len(), 4, "those that are shown too, without their launchers");
    press(&mut state, "Esc");
    assert_eq!(state.marks.len(), 4, "of all");
    assert!(shown(&state).matches('▌').count() >= 4, "{}", shown(&state));
    press(&mut state, "r");
    let Some(Overlay::Confirm(question)) = &state.overlay else { panic!() };
    assert_eq!(question.requests.len(), 4);
    let asked = shown(&state);
    assert!(asked.contains("busy") && asked.contains("guiding on HD 12345"), "{asked}");
    assert_eq!(press(&mut state, "x"), [], "any key but y cancels");
    press(&mut state, "u");
    assert!(state.marks.is_empty() && !shown(&state).contains("marked:"));
}

#[test]
fn a_launcher_and_a_read_only_dashboard_mark_nothing() {
    let mut state = broken_night((80, 24));
    press(&mut state, "P g m");
    assert!(state.marks.is_empty());
    assert!(shown(&state).contains("is a launcher"), "{}", shown(&state));
    let mut state = broken_night((80, 24));
    state.options.read_only = true;
    press(&mut state, "m M F");
    assert!(state.marks.is_empty());
    assert!(shown(&state).contains("read-only"), "{}", shown(&state));
}

#[test]
fn many_are_asked_for_a_few_at_a_time_and_the_question_is_scrolled() {
    const LAUNCHER: &str = "launcher.Kx1xDO.srv01-process-launcher";
    let mut messages = Messages::default();
    for i in 0..40 {
        let id = format!("worker.n{i:02}");
        let said = json!({"event": "start", "service_id": id, "hostname": "srv01.oca.lan",
            "parent": LAUNCHER});
        messages.send(30.0, &format!("registry.start.{id}"), said);
    }
    let mut state = broken_night((80, 24));
    let news = messages.take().into_iter().map(Heard::Message).collect();
    state.update(Event::Heard(news), night());
    state.settle(night());
    press(&mut state, "/ w o r k e r Enter M x");
    assert_eq!(state.marks.len(), 40);
    let first = shown(&state);
    assert!(first.contains("stop 40 services?") && first.contains("more: j"), "{first}");
    press(&mut state, "j j");
    assert_ne!(shown(&state), first);
    let actions = press(&mut state, "y");
    let mut asked: Vec<Request> = requests(&actions).into_iter().cloned().collect();
    assert_eq!(asked.len(), 16, "as many as a launcher works on");
    let mut all = 0;
    while let Some(request) = asked.pop() {
        let next = state.update(reply(&request, Ok("stopped")), night());
        asked.extend(requests(&next).into_iter().cloned());
        assert!(asked.len() <= 16);
        all += 1;
    }
    assert_eq!((all, state.pending), (40, 0));
    assert!(state.marks.is_empty());
    press(&mut state, "Esc");
    assert!(shown(&state).contains("stop: all 40 done"), "{}", shown(&state));
}

#[test]
fn what_is_not_known_any_more_is_left_out_and_told() {
    let mut state = broken_night((120, 40));
    on_srv02(&mut state);
    press(&mut state, "F");
    state.picture.services.retain(|service| &*service.id != "archiver.main");
    state.update(Event::Key("r".parse().unwrap()), night());
    let Some(Overlay::Confirm(question)) = &state.overlay else { panic!() };
    assert_eq!(question.requests.len(), 2);
    let last = question.lines.last().unwrap().plain();
    assert_eq!(last.trim(), "left out: archiver.main is no longer known");
}
