//! What has changed since a past time: a summary line, and a line for each service, those that
//! became worse first.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::{FleetView, ServiceView, Verdict, format_duration};

use super::{Line, Role, Times, list, symbols, text};

/// Starts of one run that differ by less are one: a status and an event tell of it.
const SAME_START: TimeDelta = TimeDelta::seconds(1);
/// Cells of a name.
const NAME: usize = 32;

/// What has become of a service, in the order of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Worse,
    Gone,
    Stopped,
    Better,
    Restarted,
    Started,
    New,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Worse,
        Self::Gone,
        Self::Stopped,
        Self::Better,
        Self::Restarted,
        Self::Started,
        Self::New,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Gone => "no longer listed",
            Self::Stopped => "stopped",
            Self::Better => "better",
            Self::Restarted => "restarted",
            Self::Started => "started",
            Self::New => "new",
        }
    }

    const fn role(self) -> Role {
        match self {
            Self::Worse => Role::Bad,
            Self::Better => Role::Good,
            Self::Restarted => Role::Moving,
            Self::Gone | Self::Stopped | Self::Started | Self::New => Role::Text,
        }
    }
}

#[derive(Debug, Clone)]
struct Change {
    kind: Kind,
    id: Arc<str>,
    before: Option<Verdict>,
    after: Option<Verdict>,
    /// Why it is so now.
    cause: String,
}

/// What has changed since a past time, service by service.
#[derive(Debug, Clone)]
pub struct Difference {
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    changes: Vec<Change>,
}

impl Difference {
    /// Of the services that either picture lists by default.
    pub fn between(before: &FleetView, after: &FleetView) -> Self {
        let is_listed = |service: &&ServiceView| service.in_default;
        let now = after.services.iter().filter_map(|service| {
            let old = before.get(&service.id);
            let is_shown = service.in_default || old.is_some_and(|old| old.in_default);
            is_shown.then(|| change(old, service)).flatten()
        });
        let is_gone = |old: &&ServiceView| after.get(&old.id).is_none();
        let gone = before.services.iter().filter(is_listed).filter(is_gone).map(|old| Change {
            kind: Kind::Gone,
            id: Arc::clone(&old.id),
            before: Some(old.verdict),
            after: None,
            cause: String::new(),
        });
        let mut changes: Vec<Change> = now.chain(gone).collect();
        changes.sort_by(|a, b| (a.kind, a.after, &a.id).cmp(&(b.kind, b.after, &b.id)));
        Self { since: before.now, now: after.now, changes }
    }

    /// `since 02:13:04 UTC (1 h 2 min): 2 worse, 1 restarted`
    pub fn summary(&self, times: Times) -> Line {
        let since = match times {
            Times::Relative => String::new(),
            Times::Utc | Times::Local(_) => format!(" {}", times.point(self.since, self.now)),
        };
        let lasted = TimeDelta::seconds((self.now - self.since).num_seconds());
        let lasted = format_duration(lasted);
        let mut line = Line::new().with(Role::Text, &format!("since{since} ({lasted}): "));
        if self.changes.is_empty() {
            return line.with(Role::Good, "no service has changed");
        }
        let counts = Kind::ALL.into_iter().filter_map(|kind| {
            let n = self.changes.iter().filter(|change| change.kind == kind).count();
            (n > 0).then(|| (kind.role(), format!("{n} {}", kind.word())))
        });
        for (i, (role, count)) in counts.enumerate() {
            line.push(Role::Text, if i > 0 { ", " } else { "" }).push(role, &count);
        }
        line
    }

    /// A line for each service, `most` at most; the last then counts the rest.
    pub fn lines(&self, most: usize) -> Vec<Line> {
        let all = self.changes.len();
        let shown = if all > most { most.saturating_sub(1) } else { all };
        let name = |change: &Change| list::short_name(&text::shown(&change.id), NAME);
        let names: Vec<String> = self.changes[..shown].iter().map(name).collect();
        let widest = names.iter().map(|name| text::width(name)).max().unwrap_or_default();
        let mut lines: Vec<Line> = Vec::with_capacity(shown + 1);
        for (change, name) in self.changes.iter().zip(&names) {
            let verdict = change.after.or(change.before).unwrap_or(Verdict::Unknown);
            let mut line = Line::new().with(verdict.into(), symbols::symbol(verdict));
            line.push(Role::Text, " ").push(Role::Strong, name);
            line.pad_to(2 + widest).push(Role::Text, "  ").extend(told(change));
            lines.push(line);
        }
        if shown < all && most > 0 {
            lines.push(Line::new().with(Role::Dim, &format!("and {} more", all - shown)));
        }
        lines
    }
}

fn told(change: &Change) -> Line {
    let mut line = Line::new();
    match (change.kind, change.before, change.after) {
        (Kind::Restarted | Kind::New | Kind::Gone, ..) | (_, None, _) | (_, _, None) => {
            line.push(change.kind.role(), change.kind.word());
        }
        (_, Some(before), Some(after)) => {
            line.push(Role::Dim, &format!("{before} → ")).push(after.into(), after.as_str());
        }
    }
    if !change.cause.is_empty() {
        line.push(Role::Text, &format!(": {}", change.cause));
    }
    line
}

/// How a service has changed; `None`: not worth a line.
fn change(old: Option<&ServiceView>, new: &ServiceView) -> Option<Change> {
    let before = old.map(|old| old.verdict);
    let kind = match before {
        None => Kind::New,
        Some(before) if new.verdict.is_fault() && new.verdict < before => Kind::Worse,
        Some(before) if before.is_fault() && new.verdict > before => Kind::Better,
        Some(Verdict::Stopped | Verdict::Unknown) if new.verdict == Verdict::Ok => Kind::Started,
        Some(before) if new.verdict == Verdict::Stopped && before != Verdict::Stopped => {
            Kind::Stopped
        }
        Some(_) if has_restarted(old?, new) => Kind::Restarted,
        Some(_) => return None,
    };
    let is_wrong = new.verdict.is_fault();
    let cause =
        if is_wrong { new.cause().unwrap_or_else(|| new.headline()) } else { String::new() };
    Some(Change { kind, id: Arc::clone(&new.id), before, after: Some(new.verdict), cause })
}

fn has_restarted(old: &ServiceView, new: &ServiceView) -> bool {
    let starts = old.started_at.zip(new.started_at);
    new.phase.is_up() && starts.is_some_and(|(old, new)| (new - old).abs() >= SAME_START)
}
