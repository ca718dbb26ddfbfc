//! The tree of launchers, hosts side by side, flat.

use serde_json::json;
use tcs_present::by_host::Order;

use super::fixture::{Messages, night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Event, Heard, Spot};
use crate::dashboard::state::State;

const SRV01: &str = "launcher.Kx1xDO.srv01-process-launcher";

/// The night, with the figures of one host.
fn fleet(size: (u16, u16)) -> State {
    let mut state = state(observatory(), size, night());
    let mut messages = Messages::default();
    let booted = night().timestamp() - 6 * 3600;
    let metrics = json!({"host_load1": 0.61, "host_mem_total_bytes": 24_000_000_000_u64,
        "host_mem_available_bytes": 20_900_000_000_u64, "host_boot_at": booted});
    let beat = json!({"service_id": SRV01, "status": "ok", "interval_seconds": 10.0,
        "metrics": metrics});
    messages.send(0.0, &format!("heartbeat.{SRV01}"), beat);
    let news = messages.take().into_iter().map(Heard::Message).collect();
    state.update(Event::Heard(news), night());
    state.settle(night());
    state
}

fn chosen(state: &State) -> &str {
    state.table.chosen().map_or("", |id| id)
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

#[test]
fn one_key_shows_hosts_side_by_side() {
    let mut state = fleet((80, 24));
    press(&mut state, "o");
    let screen = shown(&state);
    let lines: Vec<&str> =
        screen.lines().skip_while(|line| !line.contains("LOAD")).take(5).collect();
    assert!(lines[0].contains("LOAD  MEMORY") && lines[0].contains("SERVICES"), "{screen}");
    assert!(lines[1].starts_with(" ⟳ srv01  0.61  3.1 GB of 24 GB  6h00"), "{screen}");
    assert!(lines[1].contains("1 restarting, 1 degraded"), "{screen}");
    assert!(lines[2].starts_with(" × srv02  -     -"), "{screen}");
    assert!(lines[3].starts_with(" ⚠ srv03") && lines[3].contains("3 lost"), "{screen}");
    assert!(lines[4].contains("VERDICT"), "{screen}");
    assert!(screen.contains("\n─ srv02 ──"), "{screen}");
    assert!(screen.contains("hosts"), "{screen}");
}

#[test]
fn the_chosen_service_stays_so_in_each_view() {
    let mut state = fleet((120, 40));
    press(&mut state, "/ w e a t h e r Enter n");
    press(&mut state, "G Esc");
    assert_eq!(chosen(&state), "weather.main");
    for view in [Order::Host, Order::Flat, Order::Launcher] {
        press(&mut state, "o");
        assert_eq!((state.table.view, chosen(&state)), (view, "weather.main"));
        let row = &state.table.rows[state.table.cursor];
        assert_eq!(&*state.picture.services[row.service].id, "weather.main");
        assert!(row.heading.is_none());
    }
    // in the block too, before anybody has chosen
    let mut state = fleet((80, 24));
    press(&mut state, "o");
    assert!(state.problems.has_keys());
    assert_eq!(chosen(&state), "plate_solver.b");
}

#[test]
fn headings_are_passed_over_and_seen_with_the_first_service() {
    let mut state = fleet((80, 24));
    press(&mut state, "P o g");
    assert_eq!(state.table.offset, 0, "the name of the first host is seen");
    let services = state.table.rows.iter().filter(|row| row.heading.is_none()).count();
    for _ in 0..services {
        let row = &state.table.rows[state.table.cursor];
        assert!(row.heading.is_none());
        press(&mut state, "j");
    }
    assert_eq!(state.table.cursor, state.table.rows.len() - 1);
    press(&mut state, "g");
    let first = state.table.rows.iter().position(|row| row.heading.is_none());
    assert_eq!(Some(state.table.cursor), first);
    let rows = state.panes().rows;
    assert_eq!(state.hit(5, rows.y), Spot::Nothing, "a heading is no service");
    assert!(matches!(state.hit(5, rows.y + state.table.cursor as u16), Spot::Row(_)));
    // sorted and filtered like any other view
    press(&mut state, "s s s S ! o o");
    press(&mut state, "/ n o t h i n g Enter o");
    assert!(shown(&state).contains("No problems with /nothing"), "{}", shown(&state));
}

#[test]
fn flat_has_the_worst_first_and_is_copied_as_such() {
    let mut state = fleet((80, 24));
    press(&mut state, "P o o");
    assert!(state.table.rows.iter().all(|row| row.depth == 0 && !row.parent));
    let screen = shown(&state);
    assert!(screen.contains("× failed"), "{screen}");
    assert_eq!(state.command_line(), "tcsctl --by flat");
    press(&mut state, "A / s r v Enter");
    assert_eq!(state.command_line(), "tcsctl --all list srv --by flat");
}

#[test]
fn the_name_of_a_host_is_no_marked_service() {
    let mut state = fleet((80, 24));
    press(&mut state, "P o g n m");
    assert_eq!(state.marked_unseen(), 0);
    press(&mut state, "/ n o t h i n g Enter");
    assert_eq!(state.marked_unseen(), 1);
}
