//! All that is known of a service, what matters most first: sections of facts, which
//! `--detailed` and the dashboard's pane lay out.

mod parts;

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::transitions::Transition;
use tcs_fleet::{FleetView, IntervalSource, Liveness, Phase, Reason, ServiceView, format_duration};
use tcs_wire::{Limit, how_ended};

use super::selection::Selection;
use super::symbols;
use super::top::of_crash;
use super::{Line, Look, Role, Times, events, list, rhythm, text};

use parts::{components, metrics};

/// Cells before a value, with `--detailed` and in the pane.
const LABEL: (usize, usize) = (16, 12);
/// Lines that one fact takes at most.
const MAX_WRAPPED: usize = 4;
/// Heartbeats drawn.
const BEATS: usize = 24;

/// One fact; without a label in a section that has a title.
#[derive(Debug, Clone)]
pub struct Fact {
    /// In one or two words.
    pub label: &'static str,
    /// Its text.
    pub value: Line,
}

/// Facts that belong together.
#[derive(Debug, Clone)]
pub struct Section {
    /// Empty where each fact has a label.
    pub title: &'static str,
    /// In the order of telling.
    pub facts: Vec<Fact>,
}

impl Section {
    fn listed(title: &'static str, lines: Vec<Line>) -> Self {
        let facts = lines.into_iter().map(|value| Fact { label: "", value }).collect();
        Self { title, facts }
    }

    fn add(&mut self, label: &'static str, value: Line) {
        if !value.is_empty() {
            self.facts.push(Fact { label, value });
        }
    }

    fn add_text(&mut self, label: &'static str, value: &str) {
        self.add(label, Line::new().with(Role::Text, value));
    }
}

/// How the details are laid out.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// How times are written.
    pub times: Times,
    /// For a narrow pane, whose end may be out of sight: the events (newest first, right below the
    /// reasons), short times, and no codes of reasons. `None`: the newest of each event that the
    /// fleet holds, newest last.
    pub pane: Option<&'a [&'a Transition]>,
}

/// A block of lines for each service, with a blank one between.
pub fn detailed(view: &FleetView, selection: &Selection, look: &Look) -> Vec<Line> {
    let form = Form { times: look.times, pane: None };
    let mut lines = Vec::new();
    for service in selection.rows.iter().map(|row| &view.services[row.service]) {
        if !lines.is_empty() {
            lines.push(Line::new());
        }
        lines.push(head(service, usize::MAX));
        for Section { title, facts } in sections(view, service, form) {
            for (i, fact) in facts.into_iter().enumerate() {
                let label = if i == 0 { title.to_lowercase() } else { String::new() };
                let label = if title.is_empty() { fact.label } else { &label };
                let mut line = Line::new().with(Role::Dim, &format!("    {label}"));
                line.pad_to(LABEL.0).extend(fact.value);
                lines.push(line);
            }
        }
    }
    match look.width {
        Some(width) => {
            lines.into_iter().flat_map(|line| line.wrap(width, LABEL.0, MAX_WRAPPED)).collect()
        }
        None => lines,
    }
}

/// For a pane of `width` cells: sections under their titles, and first of all the headline.
pub fn pane(view: &FleetView, service: &ServiceView, form: Form<'_>, width: usize) -> Vec<Line> {
    let mut lines = vec![head(service, width)];
    let headline = Line::new().with(service.verdict.into(), &service.headline());
    for (i, Section { title, facts }) in sections(view, service, form).into_iter().enumerate() {
        if i > 0 {
            lines.push(Line::new());
        }
        if !title.is_empty() {
            lines.push(Line::new().with(Role::Title, title));
        }
        for Fact { label, value } in facts {
            let mut line = Line::new();
            let indent = match (i, title) {
                (0, _) => 0,
                (_, "") => LABEL.1,
                _ => 2,
            };
            if indent == LABEL.1 {
                line.push(Role::Dim, &format!("  {label}"));
            }
            line.pad_to(indent).extend(value);
            lines.extend(line.wrap(width, indent, MAX_WRAPPED));
        }
        if i == 0 && !headline.is_empty() {
            lines.extend(headline.clone().wrap(width, 0, MAX_WRAPPED));
        }
    }
    lines
}

/// Its sign and its name.
fn head(service: &ServiceView, width: usize) -> Line {
    let id = text::cut_middle(&text::shown(&service.id), width.saturating_sub(2));
    let sign = symbols::symbol(service.verdict);
    Line::new().with(service.verdict.into(), &format!("{sign} ")).with(Role::Strong, &id)
}

/// All that is known of a service.
pub fn sections(view: &FleetView, service: &ServiceView, form: Form<'_>) -> Vec<Section> {
    let told = Told { view, service, form };
    let mut top = Section { title: "", facts: Vec::new() };
    top.add("verdict", told.verdict());
    if let Some((verdict, below)) = list::below_in_words(view, service, usize::MAX) {
        top.add("below", Line::new().with(verdict.into(), &below));
    }
    let output = view.last_end(service).map(|end| end.last_lines).unwrap_or_default();
    let output = output.iter().map(|line| Line::new().with(Role::Text, line)).collect();
    let rest = [
        told.state(),
        Section::listed("Output", output),
        Section::listed("Components", components(service)),
        Section::listed("Metrics", metrics(service)),
    ];
    let why = Section::listed("Why", told.reasons());
    let mut all = vec![top, why];
    all.extend(rest);
    let events = Section::listed("Events", told.events());
    let at = if form.pane.is_some() { 2 } else { all.len() };
    all.insert(at, events);
    let all = all.into_iter();
    all.filter(|section| !section.facts.is_empty()).collect()
}

struct Told<'a> {
    view: &'a FleetView,
    service: &'a ServiceView,
    form: Form<'a>,
}

impl Told<'_> {
    fn point(&self, at: DateTime<Utc>) -> String {
        let now = self.view.now;
        if self.form.pane.is_some() {
            self.form.times.short(at, now)
        } else {
            self.form.times.point(at, now)
        }
    }

    /// `02:13:05 UTC (4 min 12 s ago)`
    fn at(&self, at: DateTime<Utc>) -> String {
        let (point, age) = (self.point(at), super::ago(self.view.now - at));
        if point == age { age } else { format!("{point} ({age})") }
    }

    /// `failed (ok) for 10 min (since 02:07:00 UTC)`
    fn verdict(&self) -> Line {
        let line = list::verdict(self.service, usize::MAX);
        let Some(since) = self.service.since else { return line };
        let lasted = format_duration((self.view.now - since).max(TimeDelta::zero()));
        line.with(Role::Text, &format!(" for {lasted} (since {})", self.point(since)))
    }

    fn reasons(&self) -> Vec<Line> {
        let service = self.service;
        let line = |(i, reason): (usize, &Reason)| {
            let role = match reason {
                Reason::Skew { .. } => Role::Warn,
                _ if i == 0 && service.verdict.is_fault() => service.verdict.into(),
                _ => Role::Text,
            };
            let line = Line::new().with(role, &reason.to_string());
            match self.form.pane {
                Some(_) => line,
                None => line.with(Role::Dim, &format!("  [{}]", reason.code())),
            }
        };
        service.reasons.iter().enumerate().map(line).collect()
    }

    /// Process, status, heartbeat, launcher.
    fn state(&self) -> Section {
        let (view, service) = (self.view, self.service);
        let mut section = Section { title: "", facts: Vec::new() };
        let started = service.started_at.map(|at| format!(", started {}", self.at(at)));
        section.add_text("phase", &format!("{}{}", service.phase, started.unwrap_or_default()));
        section.add("status", self.status());
        section.add("heartbeat", self.heartbeat());
        section.add("beats", beats(service, view.now));
        section.add("host", host(view, service));
        match (service.pid.filter(|_| service.phase.is_up()), service.last_pid) {
            (Some(pid), _) => section.add_text("pid", &pid.to_string()),
            (None, Some(last)) => section.add_text("pid", &format!("none (last: {last})")),
            (None, None) => {}
        }
        let (label, launcher) = launcher(service);
        section.add_text(label, &launcher);
        section.add_text("runner", service.runner_id().unwrap_or_default());
        if let Some(declared) = view.declared_at(service) {
            section.add_text("declared", &self.at(declared));
        }
        section.add_text("schedule", &self.schedule());
        section.add_text("restart", &restart(service));
        section.add_text("last end", &self.last_end());
        section.add_text("it used", &self.last_use());
        section
    }

    /// The newest status message.
    fn status(&self) -> Line {
        let service = self.service;
        let Some(kept) = service.record.status() else {
            let Some(status) = service.status else { return Line::new() };
            let line = Line::new().with(status.into(), status.as_str());
            return line.with(Role::Text, " (from its heartbeat; no status message)");
        };
        let message = &kept.message;
        let word = message.raw_status.clone().unwrap_or_else(|| message.status.to_string());
        let mut line = Line::new().with(message.status.into(), &word);
        let mut text = String::new();
        if let Some(words) = message.message.as_ref().filter(|words| !words.is_empty()) {
            let _ = write!(text, ": {words}");
        }
        let own = message.own_status();
        if own != message.status {
            let whose = if service.is_launcher { "services" } else { "components" };
            let _ = write!(text, " (worst of its {whose}; its own status is {own})");
        }
        let _ = write!(text, ", reported {}", self.at(self.view.happened(kept).at));
        if message.by_launcher() {
            text.push_str(" by its launcher");
        }
        if service.status.is_none() {
            text.push_str(", in an earlier run");
        }
        line.push(Role::Text, &text);
        if kept.partial {
            line.push(Role::Warn, ", cut");
        }
        line
    }

    fn heartbeat(&self) -> Line {
        let service = self.service;
        let Some(last) = service.last_heartbeat.filter(|_| service.liveness != Liveness::None)
        else {
            let held = service.record.last_beat().map(|beat| self.at(beat.stamp.stored));
            let held = held.map_or_else(String::new, |when| format!(" (last: {when})"));
            return Line::new().with(Role::Dim, &format!("none in this run{held}"));
        };
        let source = match service.interval_source {
            IntervalSource::Said => "reported",
            IntervalSource::Learned => "learned",
            IntervalSource::Assumed => "assumed",
        };
        let interval = format_duration(service.interval);
        let jitter = rhythm::read(service, self.view.now).jitter.map(format_duration);
        let jitter = jitter.map_or_else(String::new, |jitter| format!(", jitter {jitter}"));
        let mut line = Line::new();
        if service.phase.is_up() {
            line.push(service.liveness.into(), service.liveness.as_str()).push(Role::Text, ", ");
        }
        let told = format!("last {}, every {interval} ({source}){jitter}", self.at(last));
        line.with(Role::Text, &told)
    }

    /// `30 7 * * * Europe/Warsaw, next run 05:30:00 UTC (in 6 h)`
    fn schedule(&self) -> String {
        let Some(schedule) = self.service.schedule() else { return String::new() };
        let Some(next) = schedule.next_at.map(tcs_wire::Timestamp::time) else {
            return schedule.rule.clone();
        };
        let left = next - self.view.now;
        let when = match self.service.phase {
            Phase::Stopped => "not run while it is stopped".to_owned(),
            _ if left > TimeDelta::zero() => {
                let point = self.form.times.stamp(next, self.view.now);
                format!("next run {point} (in {})", format_duration(left))
            }
            _ => "next run is due".to_owned(),
        };
        format!("{}, {when}", schedule.rule)
    }

    /// How its last process ended.
    fn last_end(&self) -> String {
        let Some(end) = self.view.last_end(self.service) else { return String::new() };
        let mut told = end.reason.replace('_', " ");
        if let Some(uptime) = end.uptime {
            let _ = write!(told, " after {}", format_duration(uptime));
        }
        if let Some(how) = end.signal.or_else(|| end.exit_code.map(how_ended)) {
            let _ = write!(told, ": {how}");
        }
        if end.core_dumped == Some(true) {
            told.push_str(", core dumped");
        }
        if let Some(by) = end.requested_by {
            let _ = write!(told, ", requested by {by}");
        }
        format!("{told}, {}", self.at(end.at))
    }

    /// What the run had used that crashed last.
    fn last_use(&self) -> String {
        let end = self.view.last_end(self.service);
        end.and_then(|end| of_crash(end.resources.as_deref()?)).unwrap_or_default()
    }

    fn events(&self) -> Vec<Line> {
        let now = self.view.now;
        let line = |at: String, words: Line| {
            let mut line = Line::new().with(Role::Dim, &at).with(Role::Text, "  ");
            line.extend(words);
            line
        };
        match self.form.pane {
            Some(told) => {
                let told = told.iter();
                told.map(|it| line(self.form.times.short(it.at, now), events::words(it))).collect()
            }
            None => events::held(self.view, self.service)
                .into_iter()
                .map(|(at, words)| line(self.form.times.stamp(at, now), words))
                .collect(),
        }
    }
}

/// Heartbeats that came, and those that did not.
fn beats(service: &ServiceView, now: DateTime<Utc>) -> Line {
    let rhythm = rhythm::read(service, now);
    if !service.phase.is_up() || rhythm.marks.is_empty() {
        return Line::new();
    }
    let role = if rhythm.missed > 0 { Role::Warn } else { Role::Dim };
    rhythm.strip(BEATS).with(role, &format!("  {} missed", rhythm.missed))
}

fn host(view: &FleetView, service: &ServiceView) -> Line {
    let Some(host) = &service.host else { return Line::new() };
    let line = Line::new().with(Role::Text, host);
    match view.hosts.get(host).and_then(list::clock_error) {
        Some(error) => line.with(Role::Warn, &format!(" (clock {error})")),
        None => line,
    }
}

/// What started it, and what that is called.
fn launcher(service: &ServiceView) -> (&'static str, String) {
    let ServiceView { parent, is_launcher, managed, declared, children, .. } = service;
    match (parent, managed) {
        _ if *is_launcher => ("services", text::count(children.len(), "service")),
        (Some(parent), true) if *declared => ("launcher", parent.to_string()),
        (Some(parent), true) => ("launcher", format!("{parent} (no longer declared)")),
        (None, true) => ("launcher", "not known".to_owned()),
        (Some(parent), false) => ("parent", format!("{parent} (not started by a launcher)")),
        (None, false) => ("launcher", "none: not started by a launcher".to_owned()),
    }
}

/// `3 times recently; on-failure, 5 times in 1 min`
fn restart(service: &ServiceView) -> String {
    let mut parts = Vec::new();
    if service.restarts > 0 {
        let s = if service.restarts == 1 { "" } else { "s" };
        parts.push(format!("{} time{s} recently", service.restarts));
    }
    if let Some(policy) = &service.restart_policy {
        // limits of what is never done would only confuse
        let declared = service.record.declaration().filter(|_| policy != "no");
        let limit = declared.and_then(|it| it.restart_max).map(|limit| match limit {
            Limit::Times(times) => format!(", {times} times"),
            Limit::Unlimited => ", without limit".to_owned(),
        });
        let window = declared.and_then(|it| it.restart_window);
        let window = window.map(|s| TimeDelta::milliseconds((s * 1000.0) as i64));
        let window = window.map(|window| format!(" in {}", format_duration(window)));
        let limits: String = [limit, window].into_iter().flatten().collect();
        parts.push(format!("{policy}{limits}"));
    }
    parts.join("; ")
}
