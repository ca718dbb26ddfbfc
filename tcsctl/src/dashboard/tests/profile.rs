//! Moving to another profile: which are offered, what would change, and in what order it is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tcs_core::wire::control::{ChangeKind, Consequence, ProfilesReply, ReloadReply, ServiceChange};

use super::fixture::{night, observatory, state};
use super::{buffer, press, text, type_in};
use crate::dashboard::event::{Action, Event, Operation, ProfilePlan, Reply, Request};
use crate::dashboard::state::State;

const SRV01: &str = "launcher.Kx1xDO.srv01-process-launcher";
const SRV02: &str = "launcher.b81QpL.srv02-process-launcher";

fn shown(state: &State) -> String {
    text(&buffer(state))
}

/// srv01 has the profiles night and day, and is in day; srv02 has night alone.
fn read(state: &mut State) -> Vec<Action> {
    let reply = |current: Option<&str>, names: &[&str]| {
        let set = |name: &&str| ((*name).to_owned(), vec!["a.x".to_owned(), "b.x".to_owned()]);
        let profiles: BTreeMap<_, _> = names.iter().map(set).collect();
        Ok(ProfilesReply { current: current.map(str::to_owned), profiles })
    };
    let answers = vec![
        (Arc::from(SRV01), reply(Some("day"), &["night", "day"])),
        (Arc::from(SRV02), reply(None, &["night"])),
    ];
    state.update(Event::Profiles(answers), night())
}

fn change(id: &str, then: Consequence) -> ServiceChange {
    ServiceChange {
        service_id: id.to_owned(),
        change: Some(ChangeKind::Changed),
        then: Some(then),
        ..ServiceChange::default()
    }
}

fn plan(changes: Vec<ServiceChange>) -> ReloadReply {
    ReloadReply { changed: true, dry_run: true, services: changes, ..ReloadReply::default() }
}

/// What would change: a stop on srv01, a start on srv02.
fn planned(busy: bool) -> Event {
    let stop = ServiceChange { busy, ..change("flat_lamp.jk15", Consequence::Stops) };
    Event::ProfilePlan(ProfilePlan {
        name: Some("night".into()),
        plans: vec![
            (SRV01.into(), Ok(plan(vec![stop]))),
            (SRV02.into(), Ok(plan(vec![change("archiver.main", Consequence::Starts)]))),
        ],
    })
}

/// Types `:profile night`, as far as the launchers have to be asked what would change.
fn begun(size: (u16, u16)) -> State {
    let mut state = state(observatory(), size, night());
    let asked = type_in(&mut state, ":profile n");
    let asks = |it: &Action| matches!(it, Action::AskProfiles(launchers) if launchers.len() == 2);
    assert_eq!(asked.iter().filter(|it| asks(it)).count(), 1, "once, those that live: {asked:?}");
    let waits = shown(&state);
    assert!(waits.contains("asking the launchers which profiles they have"), "{waits}");
    read(&mut state);
    let offered = shown(&state);
    assert!(offered.contains("4 services on 2 launchers"), "{offered}");
    let actions = press(&mut state, "Enter");
    let [Action::PlanProfile { name, launchers }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((name.as_deref(), launchers.len()), (Some("night"), 2));
    state
}

fn requests(actions: &[Action]) -> Vec<(Operation, String)> {
    let requests = actions.iter().map(|action| match action {
        Action::Request(Request { operation, service, .. }) => (*operation, service.to_string()),
        other => panic!("{other:?}"),
    });
    requests.collect()
}

fn answer(state: &mut State, actions: &[Action], outcome: Result<&str, &str>) -> Vec<Action> {
    let mut then = Vec::new();
    for action in actions {
        let Action::Request(request) = action else { panic!("{action:?}") };
        let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
        let took = TimeDelta::milliseconds(80);
        let reply = Event::Reply(Reply { request: request.clone(), outcome, took });
        then.extend(state.update(reply, night()));
    }
    then
}

#[test]
fn what_would_change_is_shown_and_stops_come_before_starts() {
    let mut state = begun((80, 24));
    let asking = shown(&state);
    assert!(asking.contains("move to profile night?"), "{asking}");
    assert!(asking.contains("asking 2 launchers what would change"), "{asking}");
    assert_eq!(press(&mut state, "y"), [], "nobody knows yet to what they would agree");
    state.update(planned(false), night());
    let told = shown(&state);
    for line in ["flat_lamp.jk15  stops", "archiver.main  starts", "on all launchers; then"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    // it is looked at once more, and then done
    let again = press(&mut state, "y");
    assert!(matches!(&again[..], [Action::PlanProfile { .. }]), "{again:?}");
    let first = state.update(planned(false), night());
    assert_eq!(requests(&first), [(Operation::Stop, "flat_lamp.jk15".to_owned())]);
    let then = answer(&mut state, &first, Ok("stopped"));
    let profile = |launcher: &str| (Operation::Profile, launcher.to_owned());
    assert_eq!(requests(&then), [profile(SRV01), profile(SRV02)]);
    let results = shown(&state);
    assert!(results.contains("profile night: 1 done, 2 under way"), "{results}");
    answer(&mut state, &then, Ok("moved: 1 service changed"));
    press(&mut state, "Esc");
    assert!(shown(&state).contains("profile night: all 3 done"), "{}", shown(&state));
    assert_eq!(state.pending, 0);
}

#[test]
fn what_is_typed_before_the_launchers_answer_is_done_then() {
    let mut state = state(observatory(), (80, 24), night());
    type_in(&mut state, ":profile night");
    assert_eq!(press(&mut state, "Enter"), []);
    let actions = read(&mut state);
    assert!(matches!(&actions[..], [Action::PlanProfile { .. }]), "{actions:?}");
    // unless something else was typed meanwhile
    press(&mut state, "Esc");
    type_in(&mut state, ":profile night");
    press(&mut state, "Enter x");
    assert_eq!(read(&mut state), []);
}

#[test]
fn if_something_does_not_stop_nothing_starts() {
    let mut state = begun((120, 40));
    state.update(planned(false), night());
    press(&mut state, "y");
    let first = state.update(planned(false), night());
    assert!(answer(&mut state, &first, Err("no launcher answers")).is_empty());
    let results = shown(&state);
    assert!(results.contains("profile night: 0 done, 3 failed"), "{results}");
    assert_eq!(results.matches("not asked: see above").count(), 2, "{results}");
}

#[test]
fn another_difference_is_asked_anew_and_a_refusal_cannot_be_agreed_to() {
    let mut state = begun((120, 40));
    state.update(planned(false), night());
    press(&mut state, "y");
    assert_eq!(state.update(planned(true), night()), []);
    let told = shown(&state);
    assert!(told.contains("changed: this would change now") && told.contains("BUSY now"), "{told}");
    let refused = ProfilePlan {
        name: Some("night".into()),
        plans: vec![(SRV01.into(), Err("services.yaml:3:1: unknown key".to_owned()))],
    };
    let mut state = begun((120, 40));
    state.update(Event::ProfilePlan(refused), night());
    let told = shown(&state);
    assert!(told.contains("cannot move there: services.yaml:3:1: unknown key"), "{told}");
    assert_eq!(press(&mut state, "y"), []);
    assert_eq!(press(&mut state, "Esc"), []);
    // an answer that comes when nobody waits for it any more opens nothing
    state.update(planned(false), night());
    assert!(state.overlay.is_none());
}

#[test]
fn a_profile_is_left_where_there_is_one_and_others_are_named() {
    let mut state = state(observatory(), (120, 40), night());
    type_in(&mut state, ":profile --c");
    read(&mut state);
    let actions = press(&mut state, "Enter");
    let [Action::PlanProfile { name: None, launchers }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(launchers[..], [Arc::from(SRV01)]);
    assert!(shown(&state).contains("leave the profile?"), "{}", shown(&state));
    press(&mut state, "Esc");
    type_in(&mut state, ":profile day");
    read(&mut state);
    press(&mut state, "Enter");
    let told = shown(&state);
    let other = format!("{SRV02} has no profile day, and stays as it is");
    assert!(told.contains(&other), "{told}");
}
