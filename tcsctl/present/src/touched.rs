//! What a command would touch, a line a service: for who is to agree to it.

use tcs_fleet::{FleetView, ServiceView};

use super::list::{headline, short_name, state, uptime};
use super::table::{Column, Shorten, lay_out};
use super::{Line, Role};
use super::{Look, text};

const COLUMNS: [Column; 3] = [
    Column { dispensable: 0 }, // name
    Column { dispensable: 0 }, // verdict and liveness
    Column { dispensable: 1 }, // uptime
];

/// Each service with how it is now: what is busy and what is stopped is seen before it is agreed to.
pub fn lines(view: &FleetView, services: &[&ServiceView], look: &Look) -> Vec<Line> {
    let name = |i: usize, room: usize| {
        let id = short_name(&text::shown(&services[i].id), room.saturating_sub(2));
        Line::new().with(Role::Text, "  ").with(Role::Strong, &id)
    };
    let told = |i: usize, room: usize| headline(view, services[i], &services[i].headline(), room);
    let row = |(i, service): (usize, &&ServiceView)| {
        let state = state(service, look.is_narrow());
        vec![name(i, usize::MAX), state, uptime(service, view), told(i, usize::MAX)]
    };
    let rows = services.iter().enumerate().map(row).collect();
    let shorten = Shorten { first: name, first_to: usize::MAX, last: told };
    lay_out(rows, &COLUMNS, look.width, &shorten)
}
