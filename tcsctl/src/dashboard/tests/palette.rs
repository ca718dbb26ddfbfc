//! Commands by their names, with what stands behind them.

use tcs_present::by_host::Order;
use tcs_present::columns::Column;

use super::fixture::{night, observatory, state};
use super::{buffer, press, text, type_in};
use crate::dashboard::event::{Action, Operation};
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::{Page, State};
use crate::dashboard::theme::ThemeName;

fn fleet() -> State {
    state(observatory(), (100, 30), night())
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

fn typed(state: &State) -> &str {
    match &state.overlay {
        Some(Overlay::Palette { line, .. }) => line.text(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_and_what_stands_behind_them_are_completed() {
    let mut state = fleet();
    type_in(&mut state, ":them");
    press(&mut state, "Tab");
    assert_eq!(typed(&state), "theme ");
    assert!(shown(&state).contains("colour-blind"), "{}", shown(&state));
    type_in(&mut state, "ni");
    press(&mut state, "Tab");
    assert_eq!(typed(&state), "theme night");
    press(&mut state, "Enter");
    assert_eq!(state.theme, ThemeName::Night);
    assert!(state.overlay.is_none());
    // the chosen line counts, the worst is the first
    type_in(&mut state, ":why guider");
    press(&mut state, "Down Tab");
    assert_eq!(typed(&state), "why guider.jk15");
    // a command without anything behind it
    press(&mut state, "Esc");
    type_in(&mut state, ":red");
    press(&mut state, "Tab");
    assert_eq!(typed(&state), "redraw");
}

#[test]
fn a_service_is_named_whatever_is_marked() {
    let mut state = fleet();
    press(&mut state, "/ c a m e r a Enter M Esc");
    type_in(&mut state, ":restart focuser");
    press(&mut state, "Enter");
    let Some(Overlay::Confirm(question)) = &state.overlay else { panic!("{}", shown(&state)) };
    assert_eq!((question.operation, question.requests.len()), (Operation::Restart, 1));
    assert_eq!(&*question.requests[0].service, "focuser.jk15");
    let actions = press(&mut state, "y");
    assert!(matches!(&actions[..], [Action::Request(it)] if &*it.service == "focuser.jk15"));
    // a page is opened for it, from any page, and it is selected
    press(&mut state, "e");
    type_in(&mut state, ":logs weather");
    let actions = press(&mut state, "Enter");
    assert!(matches!(actions.last(), Some(Action::FetchLogs { service, .. })
        if &**service == "weather.main"));
    assert_eq!(state.page, Page::Logs);
    assert_eq!(&**state.table.chosen().unwrap(), "weather.main");
}

#[test]
fn order_view_and_filter_are_named() {
    let mut state = fleet();
    type_in(&mut state, ":sort host");
    press(&mut state, "Enter");
    assert_eq!(state.table.sort, Column::Host);
    type_in(&mut state, ":view host");
    press(&mut state, "Enter");
    assert_eq!(state.table.view, Order::Host);
    type_in(&mut state, ":filter host:srv02 !is:fault");
    press(&mut state, "Enter");
    assert_eq!(state.table.filter.text(), "host:srv02 !is:fault");
}

#[test]
fn what_there_is_not_is_said_and_stays_typed() {
    let mut state = fleet();
    for (line, why) in [
        ("restart guidr.jk15", "`guidr.jk15` is not a service; did you mean guider.jk15?"),
        ("theme pink", "`pink` is not a theme"),
        ("filter verdict:faild", "`faild` is not a verdict"),
        ("at noon", "`noon` is not a time"),
    ] {
        type_in(&mut state, &format!(":{line}"));
        assert_eq!(press(&mut state, "Enter"), []);
        assert_eq!(typed(&state), line);
        assert!(shown(&state).contains(why), "{}", shown(&state));
        press(&mut state, "Esc Esc");
    }
    state.options.read_only = true;
    type_in(&mut state, ":stop guider.j");
    press(&mut state, "Enter");
    assert!(shown(&state).contains("read-only"), "{}", shown(&state));
}

#[test]
fn services_are_offered_with_how_they_are() {
    let mut state = fleet();
    type_in(&mut state, ":restart a");
    insta::assert_snapshot!("palette_services", shown(&state));
}

#[test]
fn what_stands_behind_a_command_fits_the_smallest_terminal() {
    for size in [(40, 10), (44, 12), (48, 12)] {
        let mut state = state(observatory(), size, night());
        press(&mut state, "@");
        assert!(shown(&state).contains(":at"), "{}", shown(&state));
        press(&mut state, "Esc");
        type_in(&mut state, ":restart guider");
        assert!(shown(&state).contains("guider"), "{}", shown(&state));
    }
}
