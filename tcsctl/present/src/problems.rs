//! What is wrong, over all hosts: a line for each service in trouble, the worst first.

use std::cmp::Reverse;

use tcs_fleet::{FleetView, Reason, ServiceView, format_duration};

use super::columns::{is_consequence, short};
use super::table::{Column, Shorten, lay_out};
use super::{Line, Look, Role, list, symbols, text};

/// Cells of a verdict on a narrow line, `restart 2/5`, and on one of middle width,
/// `restarting (2/5)`.
const VERDICT: [usize; 2] = [11, 16];
/// From so many cells on it is told since when, and how long that is.
const WIDE: usize = 140;
/// The fewest lines that a block has, where it has that much to tell.
pub const LEAST: usize = 3;

const COLUMNS: [Column; 4] = [
    Column { dispensable: 0 }, // name
    Column { dispensable: 0 }, // verdict
    Column { dispensable: 2 }, // host
    Column { dispensable: 1 }, // since when
];

/// The services in trouble among these (indices into [`FleetView::services`]): the worst first, of
/// the same verdict the newest. Those that are down only because their launcher is come last.
pub fn in_trouble(view: &FleetView, among: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let is_wrong = |i: &usize| view.services[*i].verdict.is_fault();
    let mut wrong: Vec<usize> = among.into_iter().filter(is_wrong).collect();
    wrong.sort_by_key(|i| {
        let service = &view.services[*i];
        (is_consequence(service), service.verdict, Reverse(service.since), *i)
    });
    wrong
}

/// How many lines a block has room for: a third of so many, [`LEAST`] at least.
pub const fn third(lines: usize) -> usize {
    if lines / 3 > LEAST { lines / 3 } else { LEAST }
}

/// A line for each of these services: sign and name, verdict, host, since when, cause.
pub fn lines(view: &FleetView, services: &[usize], look: &Look) -> Vec<Line> {
    let service = |i: usize| &view.services[services[i]];
    let name = |i: usize, room: usize| {
        let service = service(i);
        let id = list::short_name(&text::shown(&service.id), room.saturating_sub(2));
        let is_loud = service.verdict.is_fault() && !is_consequence(service);
        let role = if is_loud { Role::Strong } else { Role::Dim };
        let sign = format!("{} ", symbols::symbol(service.verdict));
        Line::new().with(service.verdict.into(), &sign).with(role, &id)
    };
    let verdict_room = match look.width {
        Some(_) if look.is_narrow() => VERDICT[0],
        Some(width) if width < WIDE => VERDICT[1],
        _ => usize::MAX,
    };
    let row = |i: usize| {
        let host = service(i).short_host().map_or_else(String::new, |host| format!("@{host}"));
        vec![
            name(i, usize::MAX),
            list::verdict(service(i), verdict_room),
            Line::new().with(Role::Dim, &host),
            since(view, service(i), look),
            cause(service(i), look.is_narrow()),
        ]
    };
    let rows = (0..services.len()).map(row).collect();
    let last = |i: usize, room: usize| cause(service(i), look.is_narrow()).cut(room);
    lay_out(rows, &COLUMNS, look.width, &Shorten { first: name, first_to: usize::MAX, last })
}

/// The lines of all of these that are in trouble, `most` at most, of which the last then counts
/// those left out.
pub fn block(
    view: &FleetView,
    among: impl IntoIterator<Item = usize>,
    most: Option<usize>,
    look: &Look,
) -> Vec<Line> {
    let wrong = in_trouble(view, among);
    let kept = match most {
        Some(most) if wrong.len() > most => most.saturating_sub(1),
        _ => wrong.len(),
    };
    let mut lines = lines(view, &wrong[..kept], look);
    if wrong.len() > kept {
        lines.push(Line::new().with(Role::Dim, &format!("and {} more", wrong.len() - kept)));
    }
    lines
}

/// `since 02:07:00 (10 min)`, in fewer cells `since 02:07:00`, in few `10m00`.
fn since(view: &FleetView, service: &ServiceView, look: &Look) -> Line {
    let Some(since) = service.since else { return Line::new() };
    let lasted = view.now - since;
    if look.is_narrow() {
        return Line::new().with(Role::Dim, &short(lasted));
    }
    let point = look.times.short(since, view.now);
    let line = Line::new().with(Role::Dim, &format!("since {point}"));
    if look.width.is_some_and(|width| width < WIDE) {
        return line;
    }
    line.with(Role::Dim, &format!(" ({})", format_duration(lasted)))
}

/// Why, without the times that stand beside it; first that it flaps.
fn cause(service: &ServiceView, narrow: bool) -> Line {
    if is_consequence(service) {
        return Line::new().with(Role::Dim, "lost with its launcher");
    }
    let crashes = service.reasons.iter().find_map(|reason| match reason {
        Reason::Flapping { crashes, .. } => Some(crashes),
        _ => None,
    });
    let mut line = Line::new();
    match crashes {
        Some(_) if narrow => line.push(Role::Warn, "flapping: "),
        Some(crashes) => {
            line.push(Role::Warn, &format!("flapping ({crashes} crashes in 10 min): "))
        }
        None => &mut line,
    };
    line.with(Role::Text, &service.cause().unwrap_or_else(|| service.headline()))
}
