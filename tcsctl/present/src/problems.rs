//! What is wrong, over all hosts: a line for each service in trouble, the worst first.

use std::cmp::Reverse;

use tcs_fleet::{FleetView, Reason, ServiceView, format_duration};

use super::columns::{is_consequence, short};
use super::table::{Column, Shorten, lay_out};
use super::{Line, Look, Role, list, symbols, text};

/// Cells of a restart on a narrow line, `restart 2/5`.
const RESTART: usize = 11;
/// From this width on, in cells, the start and the duration of a problem are shown.
const WIDE: usize = 140;
/// The fewest lines that a block has, where it has that much to tell.
pub const LEAST: usize = 3;

/// In fewer cells a host and a time are left out for the cause.
const SMALL: usize = 60;
/// Cells of a launcher's name that tell it from others.
const LEAST_NAME: usize = 20;

/// Cells of a host's name.
const HOST: usize = 16;

const fn columns(is_small: bool) -> [Column; 4] {
    let (host, since) = if is_small { (2, 1) } else { (0, 0) };
    [
        Column { dispensable: 0 }, // name
        Column { dispensable: 0 }, // verdict
        Column { dispensable: host },
        Column { dispensable: since },
    ]
}

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
    let row = |i: usize| {
        let host = service(i).short_host().map_or_else(String::new, |host| {
            format!("@{}", text::cut_middle(&text::shown(host), HOST))
        });
        vec![
            name(i, usize::MAX),
            verdict(service(i), look),
            Line::new().with(Role::Dim, &host),
            since(view, service(i), look),
            cause(service(i), look.is_narrow()),
        ]
    };
    let rows = (0..services.len()).map(row).collect();
    let last = |i: usize, room: usize| cause(service(i), look.is_narrow()).cut(room);
    let others = (0..services.len()).filter(|i| !service(*i).is_launcher);
    let longest = others.map(|i| name(i, usize::MAX).width()).max().unwrap_or_default();
    let shorten = Shorten { first: name, first_to: longest.max(LEAST_NAME), last };
    let is_small = look.width.is_some_and(|width| width < SMALL);
    lay_out(rows, &columns(is_small), look.width, &shorten)
}

/// The verdict; what it reports itself beside it only where there is room.
fn verdict(service: &ServiceView, look: &Look) -> Line {
    let room = match (look.width, service.attempt) {
        (Some(_), Some(_)) if look.is_narrow() => RESTART,
        (Some(width), None) if width < WIDE => service.verdict.as_str().len(),
        _ => usize::MAX,
    };
    list::verdict(service, room)
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
