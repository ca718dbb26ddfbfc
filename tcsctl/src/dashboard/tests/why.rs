//! The page that explains a service.

use serde_json::json;
use tcs_core::fleet::why::Subject;
use tcs_present::why::Material;

use super::fixture::{Messages, night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Action, Event};
use crate::dashboard::state::{Page, State};

/// What is asked for.
fn asked(actions: &[Action]) -> Subject {
    let [Action::Explain(subject)] = actions else { panic!("{actions:?}") };
    (**subject).clone()
}

fn answer(state: &mut State, subject: Subject, read: Result<Box<Material>, String>) -> String {
    state.update(Event::Explained(Box::new(subject), read), night());
    text(&buffer(state))
}

#[test]
fn a_key_opens_it_scrolls_it_and_leaves_it() {
    let mut state = state(observatory(), (80, 24), night());
    let subject = asked(&press(&mut state, "n W"));
    assert_eq!(state.page, Page::Why);
    assert!(text(&buffer(&state)).contains("reading events, heartbeats and alarms"));
    assert_eq!(state.command_line(), format!("tcsctl why {}", subject.id));
    let screen = answer(&mut state, subject.clone(), Ok(Box::default()));
    assert!(screen.contains(&format!("why {} at ", subject.id)), "{screen}");
    assert!(screen.contains("Last end") && screen.contains("more lines: j"), "{screen}");
    press(&mut state, "G");
    let screen = text(&buffer(&state));
    assert!(screen.contains("Next") && !screen.contains("more lines"), "{screen}");
    press(&mut state, "W");
    assert_eq!(state.page, Page::Fleet);
    // what could not be read is said
    let subject = asked(&press(&mut state, "W"));
    let screen = answer(&mut state, subject, Err("not connected".to_owned()));
    assert!(screen.contains("not connected"), "{screen}");
    press(&mut state, "Esc");
    assert_eq!(state.page, Page::Fleet);
}

#[test]
fn it_is_of_the_moment_that_is_shown() {
    let mut state = state(observatory(), (120, 40), night());
    press(&mut state, "n [");
    state.settle(night());
    let subject = asked(&press(&mut state, "W"));
    assert!(subject.now < night() && subject.now == state.picture.now);
    let screen = answer(&mut state, subject.clone(), Ok(Box::default()));
    assert!(screen.contains("Last end"), "{screen}");
    // an answer about another moment, or service, is not taken for this one
    press(&mut state, "W");
    let other = asked(&press(&mut state, "[ W"));
    assert_ne!(other.now, subject.now);
    let screen = answer(&mut state, subject, Ok(Box::default()));
    assert!(screen.contains("reading events"), "{screen}");
}

#[test]
fn the_output_of_the_run_that_ended_is_proposed_where_another_runs() {
    let launcher = "launcher.Kx1xDO.srv01-process-launcher";
    let proposed = |is_again: bool| {
        let mut messages = Messages::default();
        let mut event = |ago: f64, event: &str, more: serde_json::Value| {
            let mut data = json!({"event": event, "service_id": "filterwheel.jk15",
                "parent": launcher, "hostname": "srv01.oca.lan"});
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            messages.send(ago, &format!("registry.{event}.filterwheel.jk15"), data);
        };
        event(40.0, "crashed", json!({"will_restart": is_again, "exit_code": 3}));
        if is_again {
            event(30.0, "start", json!({"pid": 8001}));
        }
        let mut all = observatory();
        all.retain(|message| !message.subject.ends_with("heartbeat.filterwheel.jk15"));
        all.extend(messages.take());
        let mut state = state(all, (110, 60), night());
        press(&mut state, "/ f i l t e r w h e e l Enter G");
        let subject = asked(&press(&mut state, "W"));
        answer(&mut state, subject, Ok(Box::default()))
    };
    let again = proposed(true);
    assert!(again.contains("tcsctl logs filterwheel.jk15 --run -1"), "{again}");
    let down = proposed(false);
    assert!(down.contains("tcsctl logs filterwheel.jk15") && !down.contains("--run"), "{down}");
}
