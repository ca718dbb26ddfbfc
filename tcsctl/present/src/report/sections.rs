//! What a report says, in its order.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::history::{Availability, Change, Happening, Sum};
use tcs_fleet::{Verdict, format_duration};

use super::document::{Block, Table};
use super::{Entry, Report};
use crate::{Line, Look, Role, events, symbols, text, timeline};

/// Services of an incident that are named.
const NAMED: usize = 12;

/// The whole report.
pub(super) fn document(report: &Report<'_>, look: &Look) -> Vec<Block> {
    // ages would be told from the end of the period, which is nobody's now
    let look = Look { width: None, ..*look };
    let mut blocks = head(report, &look);
    blocks.extend(incidents(report, &look));
    blocks.extend(open(report, &look));
    blocks.extend(changes(report, &look));
    blocks.extend(availability(report));
    blocks.push(Block::Heading("Timeline".to_owned()));
    blocks.push(Block::Timeline);
    blocks
}

fn text(text: &str) -> Line {
    Line::new().with(Role::Text, text)
}

/// `2026-11-22 20:00:00 UTC`
fn date(at: DateTime<Utc>, look: &Look) -> String {
    format!("{}{}", look.times.wall(at).format("%Y-%m-%d %H:%M:%S"), look.times.zone())
}

/// `02:13:05`, of a period of many days with the day.
fn time(at: DateTime<Utc>, report: &Report<'_>, look: &Look) -> String {
    let history = &report.sources.chronicle.history;
    let is_night = history.to - history.from < TimeDelta::hours(24) && at >= history.from;
    let form = if is_night { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
    look.times.wall(at).format(form).to_string()
}

/// `3 incidents, 1 still open`
pub(super) fn result(report: &Report<'_>) -> String {
    let incidents = text::count(report.entries.len(), "incident");
    let open = report.open().count();
    let still = if open > 0 { format!(", {open} still open") } else { String::new() };
    format!("{incidents}{still}")
}

fn head(report: &Report<'_>, look: &Look) -> Vec<Block> {
    let chronicle = report.sources.chronicle;
    let history = &chronicle.history;
    let (from, to) = (date(history.from, look), date(history.to, look));
    let lasted = format_duration(history.to - history.from);
    let watched: usize = report.hosts.iter().map(|host| host.services).sum();
    let mut lines = vec![
        text(&format!("Period: {from} to {to} ({lasted})")),
        text(&format!(
            "Watched: {} of {} on {} (prefix {} at {})",
            text::count(watched, "service"),
            text::count(report.launchers.len(), "launcher"),
            text::count(report.hosts.len(), "host"),
            report.sources.prefix,
            report.sources.server
        )),
        text(&format!("Result: {}", result(report))),
    ];
    if let Some(profiles) = text::profiles(&report.sources.chronicle.view) {
        lines.push(text(&format!("At the end: {profiles}")));
    }
    let gaps = history.gaps.iter().map(|gap| timeline::gap_text(gap, history.to, look));
    let gaps = gaps.chain(report.sources.problems.iter().cloned());
    lines.extend(gaps.map(|gap| Line::new().with(Role::Warn, &format!("Record: {gap}"))));
    if report.sources.alarms.is_none() {
        lines.push(Line::new().with(Role::Dim, "Alarms: none are stored here (no sentinel)"));
    }
    vec![Block::Title(format!("Report {from} to {to}")), Block::List(lines)]
}

fn incidents(report: &Report<'_>, look: &Look) -> Vec<Block> {
    let mut blocks = vec![Block::Heading("Incidents".to_owned())];
    if report.entries.is_empty() {
        blocks.push(Block::Paragraph(text("None.")));
    }
    for (i, entry) in report.entries.iter().enumerate() {
        blocks.push(Block::Entry(title(i + 1, entry)));
        blocks.push(Block::List(facts(entry, report, look)));
    }
    blocks
}

/// `3. × camera.main: crashed after 6 s: exit code 3`
fn title(number: usize, entry: &Entry<'_>) -> Line {
    let worst = entry.incident.worst();
    let mut line = text(&format!("{number}. "));
    line.push(worst.into(), &format!("{} ", symbols::symbol(worst)));
    line.push(Role::Strong, &entry.cause);
    line
}

fn period(entry: &Entry<'_>, report: &Report<'_>, look: &Look) -> String {
    let history = &report.sources.chronicle.history;
    let incident = &entry.incident;
    let lasted = format_duration(incident.lasted(history));
    let from = time(incident.from, report, look);
    match incident.until {
        Some(until) => format!("{from} to {} ({lasted})", time(until, report, look)),
        None => format!("{from}, still open ({lasted} so far)"),
    }
}

fn facts(entry: &Entry<'_>, report: &Report<'_>, look: &Look) -> Vec<Line> {
    let mut lines = vec![text(&period(entry, report, look))];
    let services = entry.incident.services();
    if services.len() > 1 {
        let names: Vec<&str> = services.iter().take(NAMED).map(|id| &***id).collect();
        let more = services.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(text(&format!("Services: {}{more}", names.join(", "))));
    }
    let worst = entry.incident.worst();
    if !entry.incident.episodes.is_empty() {
        let mut line = text("Worst: ");
        line.push(worst.into(), worst.as_str());
        lines.push(line);
    }
    let requests = entry.requests.iter().map(|it| (it.at, change_line(it, report, look)));
    let alarms = entry.alarms.iter().map(|event| {
        let at = time(event.at, report, look);
        let line = Line::new().with(Role::Dim, &format!("{at} "));
        (event.at, line.with(Role::Text, &event.text()))
    });
    let mut actions: Vec<_> = requests.chain(alarms).collect();
    actions.sort_by_key(|(at, _)| *at);
    lines.extend(actions.into_iter().map(|(_, line)| line));
    lines
}

fn change_line(change: &Change, report: &Report<'_>, look: &Look) -> Line {
    let at = time(change.at, report, look);
    Line::new().with(Role::Dim, &format!("{at} ")).with(Role::Text, &happening(&change.what))
}

/// A change in words.
pub(super) fn happening(what: &Happening) -> String {
    let list = |what: &str, ids: &[Arc<str>]| {
        let names: Vec<&str> = ids.iter().map(|id| &**id).collect();
        (!ids.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    match what {
        Happening::Reloaded { launcher, added, removed, changed } => {
            let parts = [list("added", added), list("removed", removed), list("changed", changed)];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{launcher} reloaded its configuration: {}", parts.join("; "))
        }
        Happening::Rebooted { host } => format!("host {host} rebooted"),
        Happening::Profile { launcher, name, before, by } => {
            let by = by.as_ref().map_or_else(String::new, |by| format!(", requested by {by}"));
            let moved = events::profile(name.as_deref(), before.as_deref());
            format!("{launcher} {moved}{by}")
        }
        Happening::Started { service, by } => format!("{service} started by {by}"),
        Happening::Stopped { service, by } => format!("{service} stopped by {by}"),
        Happening::Restarted { service, by } => format!("{service} restarted by {by}"),
        _ => "changed".to_owned(),
    }
}

fn open(report: &Report<'_>, look: &Look) -> Vec<Block> {
    let now = report.sources.chronicle.history.to;
    let mut lines: Vec<Line> = report
        .open()
        .map(|entry| {
            let since = time(entry.incident.from, report, look);
            let worst = entry.incident.worst();
            let mut line = Line::new().with(worst.into(), &format!("{} ", symbols::symbol(worst)));
            line.push(Role::Text, &format!("{}, since {since}", entry.cause));
            line
        })
        .collect();
    lines.extend(report.open_alarms.iter().map(|alarm| {
        let by = alarm.acked.as_ref().map(|ack| format!(", acknowledged by {}", ack.record.by));
        let state = by.unwrap_or_else(|| ", not acknowledged".to_owned());
        text(&format!("alarm {} {}{state}", alarm.id, alarm.record().severity.as_str()))
    }));
    lines.extend(report.shelves.iter().map(|(id, shelf)| {
        let until = look.times.point(shelf.end(), now);
        let record = &shelf.held.record;
        text(&format!("shelf {id} of {} until {until}: {}", record.by, record.reason))
    }));
    lines.extend(report.stopped_by_hand().map(|(service, by, at)| {
        let work = report.planned(service);
        let work = work.map_or_else(String::new, |work| format!(": {work}"));
        text(&format!("{service} stopped by {by} at {}{work}", time(at, report, look)))
    }));
    let mut blocks = vec![Block::Heading("Still open".to_owned())];
    blocks.push(if lines.is_empty() {
        Block::Paragraph(text("Nothing."))
    } else {
        Block::List(lines)
    });
    blocks
}

fn changes(report: &Report<'_>, look: &Look) -> Vec<Block> {
    let chronicle = report.sources.chronicle;
    let changes = chronicle.changes.iter().map(|it| (it.at, change_line(it, report, look)));
    let outages = chronicle.history.outages().map(|gap| {
        let lasted = format_duration(gap.lasted());
        let at = time(gap.from, report, look);
        let line = Line::new().with(Role::Dim, &format!("{at} "));
        (gap.from, line.with(Role::Text, &format!("broker or network down for {lasted}")))
    });
    let mut lines: Vec<_> = changes.chain(outages).collect();
    lines.sort_by_key(|(at, _)| *at);
    let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    let mut blocks = vec![Block::Heading("Changes".to_owned())];
    blocks.push(if lines.is_empty() {
        Block::Paragraph(text("None."))
    } else {
        Block::List(lines)
    });
    blocks
}

/// `99.42 %`, never 100 for less.
fn percent(share: Option<f64>) -> Line {
    let Some(share) = share else { return Line::new().with(Role::Dim, "-") };
    let floor = (share * 10_000.0).floor() / 100.0;
    let role = if floor < 99.0 { Role::Bad } else { Role::Text };
    Line::new().with(role, &format!("{floor:.2} %"))
}

fn span(span: TimeDelta) -> Line {
    if span.is_zero() {
        return Line::new().with(Role::Dim, "-");
    }
    // it would round to none
    if span < TimeDelta::milliseconds(50) {
        return text("< 0.1 s");
    }
    text(&format_duration(span))
}

/// The verdicts that have a column of their own; all are in the JSON.
const COLUMNS: [Verdict; 5] =
    [Verdict::Failed, Verdict::Lost, Verdict::Error, Verdict::Degraded, Verdict::Stopped];

fn figures(sum: &Availability) -> Vec<Line> {
    let restarts = match sum.restarts {
        0 => Line::new().with(Role::Dim, "-"),
        n => text(&n.to_string()),
    };
    let times = COLUMNS.map(|verdict| span(sum.time(verdict)));
    let mut cells = vec![percent(sum.share()), restarts, span(sum.longest)];
    cells.extend(times);
    cells
}

fn table(first: &'static str, rows: Vec<Vec<Line>>) -> Block {
    let mut head = vec![first, "available", "restarts", "longest outage"];
    head.extend(COLUMNS.map(Verdict::as_str));
    let right = (0..head.len()).map(|column| column > 0).collect();
    Block::Table(Table { head, right, rows })
}

fn availability(report: &Report<'_>) -> Vec<Block> {
    let chronicle = report.sources.chronicle;
    let is_service = |id: &str| !chronicle.view.get(id).is_some_and(|it| it.is_launcher);
    let row = |(id, sum): &(Arc<str>, Availability)| {
        let mut cells = vec![text(id)];
        cells.extend(figures(sum));
        cells
    };
    let rows = report.availability.iter().filter(|(id, _)| is_service(id)).map(row).collect();
    let sum = |sum: &Sum| {
        let mut cells = vec![text(&format!("{} ({})", sum.name, sum.services))];
        cells.extend(figures(&sum.sum));
        cells
    };
    vec![
        Block::Heading("Availability".to_owned()),
        Block::Paragraph(text(
            "Available: the part of the time for which a service was meant to run, and its state is \
             known, in which it was ok or degraded.",
        )),
        table("service", rows),
        table("launcher", report.launchers.iter().map(sum).collect()),
        table("host", report.hosts.iter().map(sum).collect()),
    ]
}
