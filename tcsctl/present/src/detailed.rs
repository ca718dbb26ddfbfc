//! All that is known of a service, in many lines.

use std::fmt::Write as _;

use serde_json::Value;
use tcs_fleet::{FleetView, IntervalSource, Liveness, Reason, ServiceView, format_duration};
use tcs_wire::Component;

use super::{Line, Role};
use super::{Look, json, list, symbols};
use crate::selection::Selection;

/// Cells before a value.
const LABEL: usize = 14;
/// From when on it is told how late a message was delivered.
const LATE: chrono::TimeDelta = chrono::TimeDelta::seconds(1);
/// Lines that one value takes at most.
const MAX_WRAPPED: usize = 4;
/// Components shown of one service; `--json` has them all.
const MAX_PARTS: usize = 200;

/// A block of lines for each service, with a blank one between.
pub fn detailed(view: &FleetView, selection: &Selection, look: &Look) -> Vec<Line> {
    let mut lines = Vec::new();
    for row in &selection.rows {
        if !lines.is_empty() {
            lines.push(Line::new());
        }
        block(view, &view.services[row.service], look, &mut lines);
    }
    match look.width {
        Some(width) => {
            lines.into_iter().flat_map(|line| line.wrap(width, LABEL + 2, MAX_WRAPPED)).collect()
        }
        None => lines,
    }
}

fn block(view: &FleetView, service: &ServiceView, look: &Look, lines: &mut Vec<Line>) {
    let at = |time| look.times.point_and_age(time, view.now);
    let role = Role::from(service.verdict);
    let mut head = Line::new();
    head.push(role, symbols::symbol(service.verdict))
        .push(Role::Text, " ")
        .push(Role::Strong, &service.id)
        .push(Role::Text, "  ")
        .extend(list::state(service, false));
    lines.push(head);

    let mut verdict = Line::new().with(role, service.verdict.as_str());
    if let Some(since) = service.since {
        verdict.push(Role::Text, &format!(" since {}", at(since)));
    }
    field(lines, "verdict", verdict);
    for (i, reason) in service.reasons.iter().enumerate() {
        let role = match reason {
            Reason::Skew { .. } => Role::Warn,
            _ if i == 0 && service.verdict.is_fault() => role,
            _ => Role::Text,
        };
        let mut line = Line::new().with(role, &reason.to_string());
        line.push(Role::Dim, &format!("  [{}]", reason.code()));
        field(lines, if i == 0 { "because" } else { "" }, line);
    }
    text(lines, "phase", &phase(service, &at));
    text(lines, "status", &status(view, service, &at));
    text(lines, "heartbeat", &heartbeat(view, service, &at));
    let mut process = Vec::new();
    process.extend(service.pid.map(|pid| format!("pid {pid}")));
    if service.pid.is_none() {
        process.extend(service.last_pid.map(|pid| format!("none; the last one was pid {pid}")));
    }
    process.extend(service.host.as_ref().map(|host| format!("on {host}")));
    if let Some(skew) = service
        .host
        .as_ref()
        .and_then(|host| view.hosts.get(host)?.skew)
        .filter(|skew| skew.num_milliseconds().abs() >= 1000)
    {
        let way = if skew.num_milliseconds() < 0 { "ahead" } else { "behind" };
        process.push(format!("(clock {} {way})", format_duration(skew.abs())));
    }
    text(lines, "process", &process.join(" "));
    let mut under = service.parent.as_deref().unwrap_or_default().to_owned();
    if !service.managed {
        under.push_str(if under.is_empty() { "ad hoc" } else { " (ad hoc)" });
    } else if !service.declared && !service.is_launcher {
        under.push_str(" (not declared)");
    }
    text(lines, if service.managed { "launcher" } else { "parent" }, &under);
    text(lines, "runner", service.runner_id().unwrap_or_default());
    if let Some(declared) = view.declared_at(service) {
        text(lines, "declared", &at(declared));
    }
    text(lines, "restarts", &restarts(service));
    last_end(view, service, lines, &at);
    let components = service.record.status().map(|kept| &kept.message.details.components[..]);
    parts(lines, components.unwrap_or_default());
    for (i, (name, value)) in json::metrics(service).iter().enumerate() {
        let mut line = Line::new().with(Role::Text, name);
        line.push(Role::Dim, " = ").push(Role::Text, &plain(value));
        field(lines, if i == 0 { "metrics" } else { "" }, line);
    }
    for (i, kept) in service.record.events().iter().rev().enumerate() {
        let message = &kept.message;
        let happened = view.happened(kept);
        let mut line = Line::new().with(Role::Dim, &look.times.stamp(happened.at, view.now));
        line.push(Role::Text, &format!("  {}", super::events::event(&message.event, None)));
        if let Some(by) = &message.requested_by {
            line.push(Role::Dim, &format!("  by {by}"));
        }
        if happened.late >= LATE {
            line.push(Role::Dim, &format!("  delivered {} late", format_duration(happened.late)));
        }
        field(lines, if i == 0 { "history" } else { "" }, line);
    }
}

fn field(lines: &mut Vec<Line>, label: &str, value: Line) {
    if value.is_empty() {
        return;
    }
    let mut line = Line::new().with(Role::Dim, &format!("    {label}"));
    line.pad_to(LABEL + 2).extend(value);
    lines.push(line);
}

fn text(lines: &mut Vec<Line>, label: &str, value: &str) {
    field(lines, label, Line::new().with(Role::Text, value));
}

fn phase(service: &ServiceView, at: &impl Fn(chrono::DateTime<chrono::Utc>) -> String) -> String {
    match service.started_at {
        Some(started) => format!("{}, started {}", service.phase, at(started)),
        None => service.phase.to_string(),
    }
}

fn status(
    view: &FleetView,
    service: &ServiceView,
    at: &impl Fn(chrono::DateTime<chrono::Utc>) -> String,
) -> String {
    let Some(kept) = service.record.status() else {
        return service.status.map_or_else(
            || "none held".to_owned(),
            |status| format!("{status}, from its heartbeat; no status message held"),
        );
    };
    let message = &kept.message;
    let mut text = message.raw_status.clone().unwrap_or_else(|| message.status.to_string());
    if let Some(words) = &message.message {
        text.push_str(": ");
        text.push_str(words);
    }
    let own = message.own_status();
    if own != message.status {
        let whose = if service.is_launcher { "services" } else { "components" };
        let _ = write!(text, " (worst of its {whose}; its own status is {own})");
    }
    let _ = write!(text, ", reported {}", at(view.happened(kept).at));
    if message.by_launcher() {
        text.push_str(" by its launcher");
    }
    if service.status.is_none() {
        text.push_str("; of an earlier run");
    }
    text
}

fn heartbeat(
    view: &FleetView,
    service: &ServiceView,
    at: &impl Fn(chrono::DateTime<chrono::Utc>) -> String,
) -> String {
    let source = match service.interval_source {
        IntervalSource::Said => "reported",
        IntervalSource::Learned => "learned",
        IntervalSource::Assumed => "assumed",
    };
    let every = format!("every {} ({source})", format_duration(service.interval));
    match (service.liveness, service.heartbeat_age(view.now), service.last_heartbeat) {
        (Liveness::None, _, _) | (_, None, _) | (_, _, None) => {
            let held = service.record.last_beat().map(|beat| at(beat.stamp.stored));
            match held {
                Some(when) => format!("none of the present run; the last one {when}"),
                None => "none held".to_owned(),
            }
        }
        (liveness, Some(_), Some(last)) => format!("{liveness}, last {}, {every}", at(last)),
    }
}

/// How its last process ended, with its last lines of output.
fn last_end(
    view: &FleetView,
    service: &ServiceView,
    lines: &mut Vec<Line>,
    at: &impl Fn(chrono::DateTime<chrono::Utc>) -> String,
) {
    let Some(end) = view.last_end(service) else { return };
    let mut told = end.reason.replace('_', " ");
    let how = end.signal.or_else(|| end.exit_code.map(|code| format!("exit code {code}")));
    for fact in
        how.into_iter().chain(end.core_dumped.filter(|it| *it).map(|_| "core dumped".into()))
    {
        told.push_str(", ");
        told.push_str(&fact);
    }
    if let Some(uptime) = end.uptime {
        let _ = write!(told, ", after {}", format_duration(uptime));
    }
    if let Some(by) = end.requested_by {
        let _ = write!(told, ", by {by}");
    }
    let _ = write!(told, ", {}", at(end.at));
    text(lines, "last end", &told);
    for (i, line) in end.last_lines.iter().enumerate() {
        field(lines, if i == 0 { "output" } else { "" }, Line::new().with(Role::Text, line));
    }
}

fn restarts(service: &ServiceView) -> String {
    let mut parts = Vec::new();
    if service.restarts > 0 {
        parts.push(format!("{} recently", service.restarts));
    }
    if let Some(attempt) = service.attempt {
        parts.push(format!("attempt {attempt}"));
    }
    if let Some(policy) = &service.restart_policy {
        parts.push(format!("policy {policy}"));
    }
    parts.join(", ")
}

/// Submonitors, as a small tree.
fn parts(lines: &mut Vec<Line>, components: &[Component]) {
    let mut first = true;
    let mut stack: Vec<(&Component, usize)> = components.iter().rev().map(|c| (c, 0)).collect();
    let mut shown = 0;
    while let Some((component, depth)) = stack.pop() {
        if shown == MAX_PARTS {
            text(lines, "", &format!("… and {} more (--json has them)", stack.len() + 1));
            return;
        }
        shown += 1;
        let mut line = Line::new().with(Role::Text, &"  ".repeat(depth));
        line.push(Role::Text, &component.name)
            .push(Role::Text, "  ")
            .push(Role::from(component.status), component.status.as_str());
        if let Some(message) = &component.message {
            line.push(Role::Text, &format!("  {message}"));
        }
        for (name, value) in &component.details.metrics {
            line.push(Role::Dim, &format!("  {name} = {}", plain(value)));
        }
        field(lines, if first { "components" } else { "" }, line);
        first = false;
        stack.extend(component.details.components.iter().rev().map(|c| (c, depth + 1)));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
