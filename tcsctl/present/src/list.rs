//! The list: one line a service, in a tree, with columns that line up.

use chrono::TimeDelta;
use tcs_fleet::{Counts, FleetView, HostView, ServiceView, Verdict, format_duration};
use tcs_wire::Status;

use super::table::{Column, Shorten, lay_out};
use super::{Line, Look, Role, symbols, text};
use crate::selection::{Row, Selection};

/// Hosts with a wrong clock that are named.
const SKEWED: usize = 5;
/// Cells of a launcher's name that tell it from others.
const LEAST_NAME: usize = 32;
/// Deeper levels are drawn at this one's indentation.
const MAX_INDENT: usize = 12;

const COLUMNS: [Column; 5] = [
    Column { dispensable: 0 }, // name
    Column { dispensable: 0 }, // verdict and liveness
    Column { dispensable: 1 }, // uptime
    Column { dispensable: 3 }, // pid
    Column { dispensable: 2 }, // host
];

/// The tree of what was selected.
pub fn list(view: &FleetView, selection: &Selection, look: &Look) -> Vec<Line> {
    let mut lines = above(view, look);
    lines.extend(rows(view, selection, look));
    lines.extend(below(view, look));
    lines
}

/// A line for each row.
pub(crate) fn rows(view: &FleetView, selection: &Selection, look: &Look) -> Vec<Line> {
    let indents = indents(&selection.rows);
    let name = |i: usize, room: usize| {
        let service = &view.services[selection.rows[i].service];
        let mut line = Line::new();
        line.push(Role::Dim, &indents[i]);
        line.push(Role::from(service.verdict), symbols::symbol(service.verdict));
        line.push(Role::Text, " ");
        let left = room.saturating_sub(line.width());
        let id = short_name(&text::shown(&service.id), left);
        line.push(if service.verdict.is_fault() { Role::Strong } else { Role::Text }, &id);
        line
    };
    let rows = selection
        .rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let service = &view.services[row.service];
            vec![
                name(i, usize::MAX),
                state(service, look.is_narrow()),
                uptime(service, view),
                Line::new().with(
                    Role::Dim,
                    &service
                        .pid
                        .filter(|_| service.phase.is_up())
                        .map_or_else(String::new, |pid| format!("pid {pid}")),
                ),
                Line::new().with(
                    Role::Dim,
                    &service.short_host().map_or_else(String::new, |host| format!("@{host}")),
                ),
                headline(view, service, &service.headline(), usize::MAX),
            ]
        })
        .collect();
    let last = |i: usize, room: usize| {
        let service = &view.services[selection.rows[i].service];
        headline(view, service, &service.headline(), room)
    };
    // a launcher's name is long, and its end the same in all
    let others = selection
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| !view.services[row.service].is_launcher);
    let first_to = others.map(|(i, _)| name(i, usize::MAX).width()).max().unwrap_or_default();
    let shorten = Shorten { first: name, first_to: first_to.max(LEAST_NAME), last };
    lay_out(rows, &COLUMNS, look.width, &shorten)
}

/// What concerns everything is said once, at the top.
pub(crate) fn above(view: &FleetView, look: &Look) -> Vec<Line> {
    if !view.heartbeats_missing {
        return Vec::new();
    }
    let text = "⚠ all heartbeats are missing at once: check the broker's streams first";
    vec![fit(Line::new().with(Role::Bad, text), look), Line::new()]
}

/// Hosts whose clocks are wrong.
pub(crate) fn below(view: &FleetView, look: &Look) -> Vec<Line> {
    view.hosts
        .iter()
        .filter_map(|(host, known)| {
            let text = format!("clock of {host} is {}", clock_error(known)?);
            Some(fit(Line::new().with(Role::Warn, &text), look))
        })
        .take(SKEWED)
        .collect()
}

/// `3 s ahead`: how wrong a host's clock is, told from one second on.
pub(crate) fn clock_error(host: &HostView) -> Option<String> {
    let skew = host.skew.filter(|skew| skew.abs() >= TimeDelta::seconds(1))?;
    let way = if skew < TimeDelta::zero() { "ahead" } else { "behind" };
    Some(format!("{} {way}", format_duration(skew.abs())))
}

fn fit(line: Line, look: &Look) -> Line {
    match look.width {
        Some(width) => line.cut(width),
        None => line,
    }
}

/// A name in at most `room` cells. What is the same in all launchers' names goes first
/// (`launcher.`, once or twice, then `-launcher`), so that what tells them apart stays; of all others
/// both ends are kept.
pub fn short_name(id: &str, room: usize) -> String {
    let mut name = id;
    while text::width(name) > room
        && let Some(rest) = name.strip_prefix("launcher.")
    {
        name = rest;
    }
    if name.len() < id.len() && text::width(name) > room {
        name = name.strip_suffix("-launcher").unwrap_or(name);
    }
    text::cut_middle(name, room)
}

/// `├─ ` and the like before each row.
fn indents(rows: &[Row]) -> Vec<String> {
    let mut open: Vec<bool> = Vec::new(); // for each level: whether more come below
    rows.iter()
        .map(|row| {
            if row.depth == 0 {
                open.clear();
                return String::new();
            }
            open.truncate(row.depth - 1);
            let mut indent = String::from("  ");
            for more in open.iter().take(MAX_INDENT) {
                indent.push_str(if *more { "│  " } else { "   " });
            }
            indent.push_str(if row.last { "└─ " } else { "├─ " });
            open.push(!row.last);
            indent
        })
        .collect()
}

/// Whether it does well: the verdict, or what a service that is well reports; whether heartbeats
/// come, and how often it was restarted.
pub(crate) fn state(service: &ServiceView, narrow: bool) -> Line {
    let mut line = match (service.verdict, shown_status(service)) {
        (Verdict::Ok, Some(status)) => Line::new().with(Role::Good, status.as_str()),
        _ => verdict(service, usize::MAX),
    };
    let sign = symbols::liveness(service.liveness);
    if service.phase.is_up() && !sign.is_empty() {
        let sign = if narrow { sign.trim_matches(['(', ')']) } else { sign };
        line.push(Role::Text, " ").push(service.liveness.into(), sign);
    }
    if service.restarts > 0 && service.verdict != Verdict::Restarting {
        line.push(Role::Text, " ").push(Role::Moving, &restarts(service));
    }
    line
}

/// `failed (ok)`: the verdict, and the status that the service reports where that is another and
/// there is room for it; of one that is restarting, which attempt it is.
pub fn verdict(service: &ServiceView, room: usize) -> Line {
    let word = Line::new().with(service.verdict.into(), service.verdict.as_str());
    if let Some(attempt) = service.attempt {
        let whole = word.clone().with(service.verdict.into(), &format!(" {attempt}"));
        if whole.width() <= room {
            return whole;
        }
        let short = format!("restart {}", attempt.to_string().trim_matches(['(', ')']));
        return Line::new().with(service.verdict.into(), &short);
    }
    if let Some(status) = other_status(service) {
        let whole = word.clone().with(Role::Dim, &format!(" ({status})"));
        if whole.width() <= room {
            return whole;
        }
    }
    word
}

/// `↻2`
pub(crate) fn restarts(service: &ServiceView) -> String {
    if service.restarts == 0 { String::new() } else { format!("↻{}", service.restarts) }
}

/// The status that stands beside a service's name: of a launcher its own, since those of its
/// services stand at them.
fn shown_status(service: &ServiceView) -> Option<Status> {
    if service.is_launcher { service.own_status } else { service.status }
}

/// The status that a service in trouble reports, where its verdict is another.
fn other_status(service: &ServiceView) -> Option<Status> {
    let status = shown_status(service).filter(|_| service.verdict.is_fault())?;
    (status != Status::Unknown && status.as_str() != service.verdict.as_str()).then_some(status)
}

pub(crate) fn uptime(service: &ServiceView, view: &FleetView) -> Line {
    match service.uptime(view.now) {
        Some(up) => Line::new().with(Role::Text, &format!("up {}", format_duration(up))),
        None => Line::new(),
    }
}

/// Which services below it are in the worst trouble, then what is to be said of itself.
pub(crate) fn headline(view: &FleetView, service: &ServiceView, own: &str, room: usize) -> Line {
    let mut line = Line::new();
    if let Some((verdict, text)) = below_in_words(view, service, room) {
        line.push(Role::from(verdict), &text);
    }
    if !own.is_empty() {
        if !line.is_empty() {
            if !has_room_for(&line.plain(), own, room) || names_worst(view, service, own) {
                return line;
            }
            line.push(Role::Dim, SEPARATOR);
        }
        let role = match service.verdict {
            Verdict::Stopped => Role::Dim,
            _ => Role::Text,
        };
        line.push(role, own);
    }
    line
}

/// Between the summary of the services below and the service's own text.
const SEPARATOR: &str = " · ";

fn has_room_for(below: &str, own: &str, room: usize) -> bool {
    text::width(below) + text::width(SEPARATOR) + text::width(&text::shown(own)) <= room
}

/// Whether its own words name the service below it that is in the worst trouble.
fn names_worst(view: &FleetView, service: &ServiceView, own: &str) -> bool {
    worst_below(view, service).is_some_and(|(_, worst, _)| own.contains(worst))
}

/// The headline as plain text.
pub fn headline_text(view: &FleetView, service: &ServiceView, room: usize) -> String {
    headline(view, service, &service.headline(), room).plain()
}

/// The worst fault below a service in words, where it is worse than its own verdict:
/// `worst below: failed (archive.main and 2 more)`; in fewer cells `× archive.main +2`, so that the
/// name is told.
pub fn below_in_words(
    view: &FleetView,
    service: &ServiceView,
    room: usize,
) -> Option<(Verdict, String)> {
    let (verdict, first, count) = worst_below(view, service)?;
    let first = text::shown(first);
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let whole = format!("worst below: {verdict} ({first}{more})");
    if text::width(&whole) <= room {
        return Some((verdict, whole));
    }
    let more = if count > 1 { format!(" +{}", count - 1) } else { String::new() };
    let left = room.saturating_sub(2 + text::width(&more));
    let name = text::cut_middle(&first, left);
    Some((verdict, format!("{} {name}{more}", symbols::symbol(verdict))))
}

/// The worst fault below a service, where it is worse than its own verdict: the first service that
/// has it, by name, and how many have it.
fn worst_below<'a>(
    view: &'a FleetView,
    service: &ServiceView,
) -> Option<(Verdict, &'a str, usize)> {
    let worst = service.worst_below.filter(|w| w.is_fault() && *w < service.verdict)?;
    let (count, first) = service.worst_ones;
    Some((worst, &*view.services.get(first)?.id, count))
}

/// The last lines: how many of what, what is hidden, and `from`: how fresh, from where. That there
/// are no problems is said only of a picture that is `whole`.
pub fn footer(
    view: &FleetView,
    selection: &Selection,
    filtered: bool,
    (from, whole): (&str, bool),
    look: &Look,
) -> Vec<Line> {
    let counts = selection.counts(view);
    let mut shown = counted(counts);
    if counts.total() == 0 {
        shown.push(Role::Text, if filtered { "no match" } else { "none running" });
    }
    if filtered {
        shown.push(Role::Dim, &format!(" of {} known", view.services.len()));
    }
    let is_known = whole && !view.heartbeats_missing && counts.total() > 0;
    if is_known && !counts.present().any(|(verdict, _)| verdict.is_fault()) {
        shown.push(Role::Dim, ", ").push(Role::Good, "no problems");
    }
    if let Some(profiles) = text::profiles(view) {
        shown.push(Role::Dim, &format!(", {profiles}"));
    }
    let left_out = hidden(selection.hidden);
    flow(
        [
            (", ", shown),
            (", ", Line::new().with(Role::Dim, &left_out)),
            ("   ", Line::new().with(Role::Dim, from)),
        ],
        look,
    )
}

/// `1 failed, 12 running`
pub(crate) fn counted(counts: Counts) -> Line {
    let mut line = Line::new();
    for (verdict, n) in counts.present() {
        comma(&mut line);
        line.push(Role::from(verdict), &format!("{n} {}", count_word(verdict)));
    }
    line
}

/// Puts parts, each behind its separator, on as few lines as have room for them.
pub(crate) fn flow<'a>(parts: impl IntoIterator<Item = (&'a str, Line)>, look: &Look) -> Vec<Line> {
    let width = look.width;
    let mut lines: Vec<Line> = Vec::new();
    for (separator, part) in parts {
        match lines.last_mut() {
            _ if part.is_empty() => {}
            Some(line)
                if width.is_none_or(|w| line.width() + separator.len() + part.width() <= w) =>
            {
                line.push(Role::Dim, separator).extend(part);
            }
            _ => lines.push(fit(part, look)),
        }
    }
    lines
}

fn comma(line: &mut Line) {
    if !line.is_empty() {
        line.push(Role::Dim, ", ");
    }
}

/// `3 stopped hidden (--all)`
fn hidden(counts: Counts) -> String {
    if counts.total() == 0 {
        return String::new();
    }
    let parts: Vec<_> =
        counts.present().map(|(verdict, n)| format!("{n} {}", count_word(verdict))).collect();
    format!("{} hidden (--all)", parts.join(" and "))
}

/// A verdict's word where things are counted.
const fn count_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "running",
        other => other.as_str(),
    }
}
