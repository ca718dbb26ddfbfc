//! What is asked before a service is operated, and again if it has changed meanwhile.

use chrono::TimeDelta;
use serde_json::json;

use super::fixture::{Messages, night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Action, Event, Heard};
use crate::dashboard::state::State;

const LAUNCHER: &str = "launcher.Kx1xDO.srv01-process-launcher";

/// Guider and focuser are started after the camera.
fn ordered() -> State {
    let mut messages = Messages::default();
    for id in ["guider.jk15", "focuser.jk15"] {
        messages.send(
            11_500.0,
            &format!("registry.declared.{id}"),
            json!({"event": "declared", "service_id": id, "restart_policy": "on-failure",
                "parent": LAUNCHER, "declared": {"enabled": true, "after": ["camera.jk15"]}}),
        );
    }
    let mut all = observatory();
    all.extend(messages.take());
    state(all, (120, 40), night())
}

fn hear(state: &mut State, event: &str, id: &str, more: &serde_json::Value) {
    let mut messages = Messages::default();
    let mut data = json!({"event": event, "service_id": id, "parent": LAUNCHER});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    messages.send(-1.0, &format!("registry.{event}.{id}"), data);
    let news = messages.take().into_iter().map(Heard::Message).collect();
    state.update(Event::Heard(news), night() + TimeDelta::seconds(1));
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

#[test]
fn what_is_started_after_it_is_told_of_one_and_of_many() {
    let mut state = ordered();
    press(&mut state, "/ c a m e r a . j Enter G x");
    let asked = shown(&state);
    assert!(asked.contains("stop?"), "{asked}");
    assert!(asked.contains("focuser.jk15, guider.jk15 are started after it"), "{asked}");
    press(&mut state, "n m x");
    let asked = shown(&state);
    assert!(asked.contains("stop 1 services?") || asked.contains("stop?"), "{asked}");
    assert!(asked.contains("focuser.jk15, guider.jk15 are started after it"), "{asked}");
    // a start ends nothing
    press(&mut state, "n a j j Enter");
    let asked = shown(&state);
    assert!(asked.contains("start?") && !asked.contains("are started after it"), "{asked}");
}

#[test]
fn it_is_asked_anew_if_something_has_changed() {
    let mut state = ordered();
    press(&mut state, "/ c a m e r a . j Enter G r");
    hear(&mut state, "stop", "camera.jk15", &json!({"reason": "terminated", "exit_code": 0}));
    assert_eq!(press(&mut state, "y"), [], "nothing is done yet");
    let asked = shown(&state);
    assert!(asked.contains("changed: camera.jk15 was busy, is stopped now"), "{asked}");
    assert!(asked.contains("restart?"), "{asked}");
    let actions = press(&mut state, "y");
    assert!(matches!(actions[..], [Action::Request(_)]), "{actions:?}");
}

#[test]
fn many_are_asked_anew_too_and_news_of_others_change_nothing() {
    let mut state = ordered();
    press(&mut state, "/ j k 1 5 Enter M r");
    hear(&mut state, "stop", "weather.main", &json!({"reason": "terminated", "exit_code": 0}));
    let stopped = json!({"reason": "terminated", "exit_code": 0});
    hear(&mut state, "stop", "filterwheel.jk15", &stopped);
    assert_eq!(press(&mut state, "y"), []);
    let asked = shown(&state);
    assert!(asked.contains("changed: filterwheel.jk15 was running, is stopped now"), "{asked}");
    assert_eq!(asked.matches("changed: ").count(), 1, "{asked}");
    assert!(!press(&mut state, "y").is_empty());
}
