//! The block of what is wrong, and what stays chosen.

use chrono::TimeDelta;
use serde_json::json;

use super::fixture::{Messages, night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Event, Heard, Mouse, Spot};
use crate::dashboard::state::State;

fn fleet() -> State {
    state(observatory(), (80, 24), night())
}

fn chosen(state: &State) -> &str {
    state.table.chosen().map_or("", |id| id)
}

/// What `focuser.jk15` reports, so many seconds after the night's picture.
fn focuser(state: &mut State, after: i64, status: &str) {
    let mut messages = Messages::default();
    let data = json!({"name": "focuser.jk15", "status": status, "message": "stuck"});
    messages.send(-(after as f64), "status.focuser.jk15", data);
    let news = messages.take().into_iter().map(Heard::Message).collect();
    let now = night() + TimeDelta::seconds(after);
    state.update(Event::Heard(news), now);
    state.settle(now);
}

#[test]
fn a_chosen_service_that_recovers_stays_chosen_until_the_selection_moves() {
    // in the table that shows problems only, and in the block
    for keys in ["! G", "j j j"] {
        let mut state = fleet();
        focuser(&mut state, 1, "error");
        press(&mut state, keys);
        while chosen(&state) != "focuser.jk15" {
            press(&mut state, "k");
        }
        let in_block = state.problems.has_keys();
        assert_eq!(in_block, keys == "j j j");
        focuser(&mut state, 2, "ok");
        assert_eq!(chosen(&state), "focuser.jk15", "{keys}");
        let row = |state: &State| {
            let rows = &state.table.rows;
            rows.iter()
                .find(|row| &*state.picture.services[row.service].id == "focuser.jk15")
                .cloned()
        };
        assert_eq!(row(&state).unwrap().context, !in_block, "dimmed where it does not match");
        focuser(&mut state, 3, "error");
        press(&mut state, "r");
        let shown = text(&buffer(&state));
        assert!(shown.contains("restart?") && shown.contains("│ focuser.jk15"), "{keys}: {shown}");
        press(&mut state, "Esc");
        focuser(&mut state, 4, "ok");
        assert_eq!(chosen(&state), "focuser.jk15", "{keys}");
        press(&mut state, "g");
        assert_ne!(chosen(&state), "focuser.jk15", "{keys}");
        let block = state.problems.rows.iter().map(|row| &*state.picture.services[*row].id);
        assert!(!block.into_iter().any(|id| id == "focuser.jk15"), "{keys}");
        assert_eq!(row(&state).is_none(), !in_block, "{keys}");
    }
}

#[test]
fn the_cursor_goes_from_the_block_to_the_table_and_back() {
    let mut state = fleet();
    let problems = state.problems.rows.len();
    assert!(state.problems.has_keys());
    assert_eq!(chosen(&state), "plate_solver.b", "the worst");
    press(&mut state, "j j");
    assert_eq!(chosen(&state), "tic_bridge.zb08");
    let row = state.table.cursor;
    press(&mut state, "Enter");
    assert!(!state.problems.has_keys());
    assert_eq!((chosen(&state), state.table.cursor), ("tic_bridge.zb08", row));
    press(&mut state, "g");
    press(&mut state, &"j ".repeat(problems));
    assert!(!state.problems.has_keys());
    assert_eq!(state.table.cursor, 0, "below the block is the table");
    press(&mut state, "k");
    assert!(state.problems.has_keys());
    // what is folded away is shown when somebody goes there
    press(&mut state, "G h h g j j Enter");
    assert_eq!(chosen(&state), "tic_bridge.zb08");
    assert_eq!(
        &*state.picture.services[state.table.rows[state.table.cursor].service].id,
        "tic_bridge.zb08"
    );
    press(&mut state, "P g");
    assert!(!state.problems.has_keys(), "folded it takes no keys");
}

#[test]
fn a_line_of_the_block_is_clicked() {
    let mut state = fleet();
    let area = state.panes().problems.unwrap();
    let spot = state.hit(10, area.y + 1);
    assert_eq!(spot, Spot::Problem(1));
    state.update(Event::Mouse(Mouse::Click(spot)), night());
    assert_eq!(state.problem(1).as_ref(), state.table.chosen());
    state.update(Event::Mouse(Mouse::Click(spot)), night());
    assert!(!state.problems.has_keys(), "again: to the table");
    assert_eq!(state.hit(10, area.bottom() - 1), Spot::Nothing, "the line that counts");
}

#[test]
fn the_newest_event_of_the_chosen_is_seen_at_all_sizes() {
    for size in [(80, 24), (120, 30), (160, 50)] {
        let mut state = state(observatory(), size, night());
        for after in 1..20 {
            focuser(&mut state, after, if after % 2 == 1 { "error" } else { "warning" });
        }
        press(&mut state, "/ f o c u s e r Enter G");
        if size.0 < 120 {
            press(&mut state, "Enter");
        }
        let shown = text(&buffer(&state));
        assert!(shown.contains("warning → error"), "{shown}");
        assert!(shown.contains("02:13:26  warning → error"), "{shown}");
    }
}
