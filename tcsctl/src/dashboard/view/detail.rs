//! All that is known of the chosen service, what matters most first.

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use tcs_core::fleet::{IntervalSource, Liveness, ServiceView, format_duration};
use tcs_core::wire::{Component, Limit};
use tcs_present::{Line, Role, columns::ago, list, rhythm, symbols, text};

use super::pen::Pen;
use crate::dashboard::state::State;

type Parts = Vec<(String, Role)>;

/// Components shown at most; the rest is counted.
const MOST_COMPONENTS: usize = 200;
/// Metrics shown at most.
const MOST_METRICS: usize = 100;
/// Events of it shown.
const EVENTS: usize = 12;
/// Cells of the names before values.
const LABEL: usize = 10;

/// Draws it. `focus`: the keys that move, move here.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect, focus: bool) {
    let Some(service) = state.chosen() else {
        pen.put(area.x + 1, area.y, area.width.saturating_sub(1), "no service selected", Role::Dim);
        return;
    };
    let lines = lines(pen, state, service, area);
    let reach = reach(lines.len(), area);
    let height = usize::from(area.height).saturating_sub(usize::from(reach > 0));
    let from = state.scrolled.min(reach);
    for (i, parts) in lines.iter().skip(from).take(height).enumerate() {
        let line = parts.iter().fold(Line::new(), |line, (text, role)| line.with(*role, text));
        pen.line(area.x + 1, area.y + i as u16, area.width.saturating_sub(2), &line);
    }
    if reach > 0 {
        let more = reach - from;
        let hint = match (more, focus) {
            (0, _) => "k goes back up".to_owned(),
            (more, true) => format!("{more} more lines: j"),
            (more, false) => format!("{more} more lines: Enter"),
        };
        pen.put(area.x + 1, area.bottom() - 1, area.width, &hint, Role::Dim);
    }
}

/// How many lines there are of the chosen service, for this area.
pub fn length(state: &State, area: Rect) -> usize {
    let mut nothing = Buffer::empty(Rect::ZERO);
    let pen = Pen::new(state, &mut nothing);
    state.chosen().map_or(0, |service| lines(&pen, state, service, area).len())
}

/// How far so many lines can be scrolled in this area: what does not fit is counted on a line of
/// its own.
pub fn reach(lines: usize, area: Rect) -> usize {
    let height = usize::from(area.height);
    if lines > height { lines + 1 - height } else { 0 }
}

fn lines(pen: &Pen<'_>, state: &State, service: &ServiceView, area: Rect) -> Vec<Parts> {
    let width = usize::from(area.width.saturating_sub(2));
    let now = state.picture.now;
    let mut out: Vec<Parts> = Vec::new();
    title(&mut out, state, service, width);
    identity(&mut out, pen, state, service, now);
    why(&mut out, service, width);
    heart(&mut out, pen, service, now);
    status(&mut out, pen, state, service, now);
    metrics(&mut out, pen, service, width);
    happened(&mut out, pen, state, service);
    out
}

fn title(out: &mut Vec<Parts>, state: &State, service: &ServiceView, width: usize) {
    let now = state.picture.now;
    let role = Role::from(service.verdict);
    let id = text::shown(&service.id);
    out.push(vec![(text::cut_middle(&id, width), Role::Strong)]);
    let attempt = service.attempt.map_or_else(String::new, |attempt| format!(" {attempt}"));
    let mut parts =
        vec![(format!("{} {}{attempt}", symbols::symbol(service.verdict), service.verdict), role)];
    if let Some(status) = list::other_status(service) {
        parts.push((format!(" ({status})"), Role::Dim));
    }
    if let Some(since) = service.since {
        parts.push((
            format!(" for {}", format_duration((now - since).max(chrono::TimeDelta::zero()))),
            Role::Text,
        ));
    }
    if service.restarts > 0 && service.attempt.is_none() {
        parts.push((format!("  restarted {} times", service.restarts), Role::Moving));
    }
    out.push(parts);
    if let Some((verdict, below)) = list::below_in_words(&state.picture, service, usize::MAX) {
        wrap(out, &below, width, "", Role::from(verdict));
    }
    let headline = service.headline();
    if !headline.is_empty() {
        wrap(out, &headline, width, "", if service.verdict.is_fault() { role } else { Role::Text });
    }
}

fn identity(
    out: &mut Vec<Parts>,
    pen: &Pen<'_>,
    state: &State,
    service: &ServiceView,
    now: DateTime<Utc>,
) {
    out.push(Vec::new());
    let mut host = service.host.as_deref().unwrap_or("not known").to_owned();
    if let Some(pid) = service.pid.filter(|_| service.phase.is_up()) {
        let _ = write!(host, "  pid {pid}");
    }
    out.push(fact("host", host));
    let skew = service.host.as_ref().and_then(|host| state.picture.hosts.get(host)?.skew);
    if let Some(skew) = skew.filter(|skew| skew.abs() >= chrono::TimeDelta::seconds(1)) {
        let direction = if skew < chrono::TimeDelta::zero() { "ahead" } else { "behind" };
        out.push(vec![
            label("clock"),
            (format!("{} {direction}", format_duration(skew.abs())), Role::Warn),
        ]);
    }
    out.push(fact(if service.is_launcher { "role" } else { "launcher" }, launcher(service)));
    if let Some(policy) = policy(service) {
        out.push(fact("restart", policy));
    }
    match (service.uptime(now), service.started_at) {
        (Some(uptime), Some(at)) => {
            out.push(fact(
                "up",
                format!("{}, since {}", format_duration(uptime), pen.times.short(at, now)),
            ));
        }
        _ => out.push(fact("phase", service.phase.to_string())),
    }
}

fn launcher(service: &ServiceView) -> String {
    match (&service.parent, service.is_launcher, service.managed) {
        (_, true, _) => match service.children.len() {
            1 => "launcher of 1 service".to_owned(),
            n => format!("launcher of {n} services"),
        },
        (Some(parent), false, _) => parent.to_string(),
        (None, false, true) => "not known".to_owned(),
        (None, false, false) => "none: not started by a launcher".to_owned(),
    }
}

fn policy(service: &ServiceView) -> Option<String> {
    let mut text = service.restart_policy.clone()?;
    // limits of what is never done would only confuse
    let declared = service.record.declaration().filter(|_| text != "no");
    if let Some(declared) = declared {
        match declared.restart_max {
            Some(Limit::Times(times)) => {
                let _ = write!(text, ", {times} times");
            }
            Some(Limit::Unlimited) => text.push_str(", without limit"),
            None => {}
        }
        if let Some(window) = declared.restart_window {
            let _ = write!(text, " in {window} s");
        }
    }
    Some(text)
}

fn why(out: &mut Vec<Parts>, service: &ServiceView, width: usize) {
    if service.reasons.is_empty() {
        return;
    }
    heading(out, "Why");
    for reason in &service.reasons {
        wrap(out, &reason.to_string(), width, "  ", Role::Text);
    }
}

fn heart(out: &mut Vec<Parts>, pen: &Pen<'_>, service: &ServiceView, now: DateTime<Utc>) {
    heading(out, "Heartbeat");
    let Some(age) = service.heartbeat_age(now) else {
        out.push(vec![("  none stored since it was started".to_owned(), Role::Dim)]);
        return;
    };
    let rhythm = rhythm::read(service, now);
    let (word, role) = match service.liveness {
        Liveness::Live => ("live", Role::Good),
        Liveness::Late => ("late", Role::Warn),
        Liveness::Lost => ("lost", Role::Bad),
        Liveness::None => ("none", Role::Dim),
    };
    out.push(vec![
        label("last"),
        (ago(age), Role::Text),
        ("  ".to_owned(), Role::Text),
        (if service.phase.is_up() { word.to_owned() } else { String::new() }, role),
    ]);
    let from = match service.interval_source {
        IntervalSource::Said => "reported",
        IntervalSource::Learned => "learned",
        IntervalSource::Assumed => "assumed",
    };
    let mut every = format!("{} ({from})", format_duration(service.interval));
    if let Some(jitter) = rhythm.jitter {
        let _ = write!(every, ", jitter {}", format_duration(jitter));
    }
    out.push(fact("every", every));
    if service.phase.is_up() {
        let mut strip = vec![label("beats")];
        for came in rhythm.marks.iter().skip(rhythm.marks.len().saturating_sub(24)) {
            let role = if *came { Role::Good } else { Role::Bad };
            strip.push((symbols::beat(*came).to_owned(), role));
        }
        let role = if rhythm.missed > 0 { Role::Warn } else { Role::Dim };
        strip.push((format!("  {} missed", rhythm.missed), role));
        out.push(strip);
    }
}

fn status(
    out: &mut Vec<Parts>,
    pen: &Pen<'_>,
    state: &State,
    service: &ServiceView,
    now: DateTime<Utc>,
) {
    let Some(held) = service.record.status() else { return };
    heading(out, "Status");
    let message = &held.message;
    let word = message.raw_status.clone().unwrap_or_else(|| message.status.to_string());
    let mut parts = vec![("  ".to_owned(), Role::Text), (word, Role::from(message.status))];
    parts.push((format!(", reported {}", ago(now - state.picture.happened(held).at)), Role::Dim));
    if held.partial {
        parts.push((", cut".to_owned(), Role::Warn));
    }
    out.push(parts);
    if let Some(text) = message.message.as_ref().filter(|text| !text.is_empty()) {
        out.push(vec![(format!("  {text}"), Role::Text)]);
    }
    components(out, pen, &message.details.components);
}

/// The components below it, in their tree. Not recursive: the network decides how deep it is.
fn components(out: &mut Vec<Parts>, pen: &Pen<'_>, components: &[Component]) {
    let [fork, last, pass] = symbols::TREE;
    let mut open = vec![(components.iter().peekable(), String::new())];
    let mut shown = 0;
    while let Some((level, indent)) = open.last_mut() {
        let Some(component) = level.next() else {
            open.pop();
            continue;
        };
        if shown == MOST_COMPONENTS {
            out.push(vec![("  ... and more".to_owned(), Role::Dim)]);
            return;
        }
        shown += 1;
        let is_last = level.peek().is_none();
        let sign = if is_last { last } else { fork };
        let own = component.message.clone().unwrap_or_default();
        out.push(vec![
            (format!("  {indent}{sign}{} ", symbols::RULE), Role::Border),
            (format!("{}  ", component.name), Role::Text),
            (component.status.to_string(), Role::from(component.status)),
            (format!("  {own}"), Role::Dim),
        ]);
        let below = &component.details.components;
        if !below.is_empty() {
            let indent = format!("{indent}{}  ", if is_last { " " } else { pass });
            open.push((below.iter().peekable(), indent));
        }
    }
}

fn metrics(out: &mut Vec<Parts>, pen: &Pen<'_>, service: &ServiceView, width: usize) {
    let empty = Map::new();
    let said = service.record.status().map_or(&empty, |held| &held.message.details.metrics);
    let last = service.record.last_beat().and_then(|beat| beat.metrics.as_deref());
    let mut all: Map<String, Value> = said.clone();
    all.extend(last.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    if all.is_empty() {
        return;
    }
    heading(out, "Metrics");
    let longest = all.keys().map(|name| text::width(&text::shown(name))).max().unwrap_or(0);
    let column = longest.min(width / 2);
    for (name, value) in all.iter().take(MOST_METRICS) {
        let name = text::cut_middle(&text::shown(name), column);
        let pad = " ".repeat(column - text::width(&name) + 2);
        let values: Vec<f64> = service
            .beats()
            .iter()
            .filter_map(|beat| beat.metrics.as_ref()?.get(&*name)?.as_f64())
            .collect();
        out.push(vec![
            (format!("  {name}{pad}"), Role::Dim),
            (format!("{:<10}", number(value)), Role::Text),
            (format!(" {}", curve(&values, symbols::HEIGHTS)), Role::Moving),
        ]);
    }
    if all.len() > MOST_METRICS {
        out.push(vec![(format!("  and {} more", all.len() - MOST_METRICS), Role::Dim)]);
    }
}

fn happened(out: &mut Vec<Parts>, pen: &Pen<'_>, state: &State, service: &ServiceView) {
    let now = state.picture.now;
    let mine: Vec<_> = state
        .history
        .until(now)
        .iter()
        .rev()
        .filter(|entry| entry.id == service.id && state.shown_events.shows(entry))
        .take(EVENTS)
        .collect();
    if mine.is_empty() {
        return;
    }
    heading(out, "Events");
    for entry in mine.into_iter().rev() {
        out.push(vec![
            (format!("  {}  ", pen.times.short(entry.at, now)), Role::Dim),
            (tcs_present::events::words(entry).plain(), Role::from(entry.severity())),
        ]);
    }
}

fn heading(out: &mut Vec<Parts>, title: &str) {
    out.push(Vec::new());
    out.push(vec![(title.to_owned(), Role::Title)]);
}

fn label(name: &str) -> (String, Role) {
    (format!("  {name:<LABEL$}"), Role::Dim)
}

fn fact(name: &str, value: String) -> Parts {
    vec![label(name), (value, Role::Text)]
}

/// Breaks a text into lines at blanks.
fn wrap(out: &mut Vec<Parts>, long: &str, width: usize, indent: &str, role: Role) {
    const MOST_LINES: usize = 6;
    let shown = text::shown(long);
    let room = width.saturating_sub(indent.len()).max(8);
    let mut rest = shown.trim();
    for i in 0..MOST_LINES {
        if rest.is_empty() {
            return;
        }
        let mut line = text::head(rest, room);
        if line.len() < rest.len() && i + 1 < MOST_LINES {
            if let Some(blank) = line.rfind(' ').filter(|blank| *blank > line.len() / 2) {
                line = &line[..blank];
            }
            out.push(vec![(format!("{indent}{line}"), role)]);
            rest = rest[line.len()..].trim_start();
        } else {
            out.push(vec![(format!("{indent}{rest}"), role)]);
            return;
        }
    }
}

fn number(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(float)) if float.abs() >= 1e6 || float.abs() < 1e-3 && float != 0.0 => {
                format!("{float:.3e}")
            }
            (None, Some(float)) => {
                let text = format!("{float:.3}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            (None, None) => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A small curve of the last values; empty where there are fewer than three.
fn curve(values: &[f64], heights: [&str; 8]) -> String {
    if values.len() < 3 {
        return String::new();
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = most - least;
    values
        .iter()
        .map(|value| {
            let height = if span > 0.0 { (value - least) / span * 7.0 } else { 3.0 };
            heights[(height.round() as usize).min(7)]
        })
        .collect()
}
