//! What a command would touch: for who is to agree to it, and what has changed meanwhile.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_fleet::graph::{Graph, affected};
use tcs_fleet::{FleetView, ServiceView, Verdict};
use tcs_wire::Status;

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

/// Lines for services that will end: below each, the other services affected.
pub fn lines_of_end(view: &FleetView, services: &[&ServiceView], look: &Look) -> Vec<Line> {
    let graph = Graph::of(view);
    let mut out = Vec::new();
    for (service, line) in services.iter().zip(lines(view, services, look)) {
        out.push(line);
        for text in consequences(view, &graph, service, services) {
            let line = Line::new().with(Role::Warn, &format!("      {text}"));
            out.push(look.width.map_or(line.clone(), |width| line.cut(width)));
        }
    }
    out
}

/// What the end of a service affects beside those that are `meant` to end, in words.
pub fn consequences(
    view: &FleetView,
    graph: &Graph,
    service: &ServiceView,
    meant: &[&ServiceView],
) -> Vec<String> {
    let name = |at: &usize| &*view.services[*at].id;
    let is_other = |at: &&usize| meant.iter().all(|it| *it.id != *name(at));
    let (below, after) = affected(view, graph, service);
    let of =
        |services: &[usize]| -> Vec<&str> { services.iter().filter(is_other).map(name).collect() };
    let (below, after) = (of(&below), of(&after));
    let mut out = Vec::new();
    if !below.is_empty() {
        out.push(format!("touches {}", few(&below)));
    }
    if !after.is_empty() {
        let verb = if after.len() == 1 {
            "is started after it and keeps"
        } else {
            "are started after it and keep"
        };
        out.push(format!("{} {verb} running", few(&after)));
    }
    out
}

/// `a, b and 3 more`
fn few(names: &[&str]) -> String {
    match names {
        [] | [_] | [_, _] | [_, _, _] => names.join(", "),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
    }
}

/// What somebody agrees to about one service. If it is another one by then, they are asked anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    id: Arc<str>,
    state: State,
    /// What else would be affected.
    consequences: Vec<String>,
    /// Who would be asked.
    launcher: Option<String>,
}

/// How a service is, as far as it matters for who operates it: a crash loop goes through its verdicts
/// faster than anybody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It runs, since then.
    Runs { busy: bool, since: Option<DateTime<Utc>> },
    /// It is not well.
    Trouble,
    /// It is not running, and not meant to.
    Stopped,
}

impl State {
    fn of(service: &ServiceView) -> Self {
        match service.verdict {
            Verdict::Failed
            | Verdict::Lost
            | Verdict::Error
            | Verdict::Restarting
            | Verdict::Late
            | Verdict::Starting
            | Verdict::Stopping => Self::Trouble,
            Verdict::Stopped => Self::Stopped,
            Verdict::Ok | Verdict::Degraded | Verdict::Unknown => Self::Runs {
                busy: service.own_status == Some(Status::Busy),
                since: service.started_at,
            },
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Runs { busy: true, .. } => "busy",
            Self::Runs { busy: false, .. } => "running",
            Self::Trouble => "not well",
            Self::Stopped => "stopped",
        }
    }
}

impl Standing {
    /// Of services that are to be started, or (`ends`) stopped or restarted.
    pub fn of(view: &FleetView, services: &[&ServiceView], ends: bool) -> Vec<Self> {
        let graph = Graph::of(view);
        let one = |service: &&ServiceView| Self {
            id: Arc::clone(&service.id),
            state: State::of(service),
            consequences: if ends {
                consequences(view, &graph, service, services)
            } else {
                Vec::new()
            },
            launcher: super::selection::launcher(view, service).map(str::to_owned),
        };
        services.iter().map(one).collect()
    }
}

/// What has changed since somebody was asked, a line each; none if nothing that matters.
pub fn changes(before: &[Standing], now: &[Standing]) -> Vec<String> {
    let find = |all: &[Standing], id: &str| all.iter().find(|it| *it.id == *id).cloned();
    let mut out = Vec::new();
    for old in before {
        let Some(new) = find(now, &old.id) else {
            out.push(format!("{} can no longer be asked", old.id));
            continue;
        };
        if new == *old {
            continue;
        }
        let what = match (old.state, new.state) {
            (before, now) if before.as_str() != now.as_str() => {
                format!("was {}, is {} now", before.as_str(), now.as_str())
            }
            (before, now) if before != now => "was restarted".to_owned(),
            _ if old.launcher != new.launcher => "has another launcher".to_owned(),
            _ => "now affects other services".to_owned(),
        };
        out.push(format!("{} {what}", new.id));
    }
    let added = now.iter().filter(|new| find(before, &new.id).is_none());
    out.extend(added.map(|new| format!("{} is now included", new.id)));
    out
}
