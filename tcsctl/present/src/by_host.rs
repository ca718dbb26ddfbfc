//! The list in other orders than the tree of launchers: by host, with a line that sums up each, and
//! flat.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use tcs_fleet::{Counts, FleetView, HostView, Liveness, ServiceView, Verdict, short_host};
use tcs_wire::control::HostFigures;

use super::columns::short;
use super::selection::{Row, Selection};
use super::table::{Column, Shorten, lay_out};
use super::{Line, Look, Role, ago, list, symbols, text, top};

/// Between the facts of a host, and before those that do not fit on its line.
const GAP: &str = "   ";
const INDENT: &str = "    ";

/// In what order the list stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The tree of launchers.
    #[default]
    Launcher,
    /// By host.
    Host,
    /// The worst first.
    Flat,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Launcher, Self::Host, Self::Flat];

    /// As `--by` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Launcher => "launcher",
            Self::Host => "host",
            Self::Flat => "flat",
        }
    }

    /// The next one, going round.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Launcher => Self::Host,
            Self::Host => Self::Flat,
            Self::Flat => Self::Launcher,
        }
    }
}

/// What was selected, in this order.
pub fn list(view: &FleetView, selection: &Selection, order: Order, look: &Look) -> Vec<Line> {
    let services = || selection.rows.iter().map(|row| row.service);
    let hosts: Vec<_> = match order {
        Order::Launcher => return list::list(view, selection, look),
        Order::Flat => {
            let mut flat: Vec<usize> = services().collect();
            flat.sort_by_key(|i| (view.services[*i].verdict, *i));
            let rows = flat.into_iter().map(|service| Row { service, depth: 0, last: false });
            let hidden = selection.hidden;
            return list::list(view, &Selection { rows: rows.collect(), hidden }, look);
        }
        Order::Host => {
            let mut hosts = groups(view, services());
            for HostGroup { services, .. } in &mut hosts {
                services.sort_by_key(|i| (!view.services[*i].is_launcher, *i));
            }
            hosts
        }
    };
    let rows = hosts.iter().flat_map(|HostGroup { services, .. }| {
        services.iter().enumerate().map(|(i, service)| Row {
            service: *service,
            depth: 1,
            last: i + 1 == services.len(),
        })
    });
    let selection = Selection { rows: rows.collect(), hidden: selection.hidden };
    let mut rows = list::rows(view, &selection, look).into_iter();
    let mut lines = list::above(view, look);
    for HostGroup { host, services } in &hosts {
        lines.extend(summary(view, host.as_deref(), services, look));
        lines.extend(rows.by_ref().take(services.len()));
    }
    lines.extend(list::below(view, look));
    lines
}

/// The services of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostGroup {
    /// The host's full name; `None`: not known.
    pub host: Option<Arc<str>>,
    /// Indices into [`FleetView::services`], in the order in which they were given.
    pub services: Vec<usize>,
}

impl HostGroup {
    /// The host's name up to its first dot.
    pub fn name(&self) -> &str {
        self.host.as_deref().map_or("host not known", short_host)
    }
}

/// These services by host, those of no known host last.
pub fn groups(view: &FleetView, services: impl IntoIterator<Item = usize>) -> Vec<HostGroup> {
    let mut hosts: BTreeMap<(bool, Option<Arc<str>>), Vec<usize>> = BTreeMap::new();
    for i in services {
        let host = view.services[i].host.clone();
        hosts.entry((host.is_none(), host)).or_default().push(i);
    }
    hosts.into_iter().map(|((_, host), services)| HostGroup { host, services }).collect()
}

const COMPARED: [Column; 5] = [
    Column { dispensable: 0 }, // host
    Column { dispensable: 0 }, // load
    Column { dispensable: 0 }, // memory
    Column { dispensable: 1 }, // up since
    Column { dispensable: 2 }, // clock
];
const TITLES: [&str; 6] = ["HOST", "LOAD", "MEMORY", "BOOTED", "CLOCK", "SERVICES"];

/// Hosts side by side: a line of titles, and one for each.
pub fn comparison(view: &FleetView, hosts: &[HostGroup], look: &Look) -> Vec<Line> {
    let titles = TITLES.map(|title| Line::new().with(Role::Title, title)).to_vec();
    let mut rows = vec![titles.clone()];
    rows.extend(hosts.iter().map(|host| compared(view, host)));
    let whole = rows.clone();
    let cell = |i: usize, column: usize, room: usize| whole[i][column].clone().cut(room);
    let first_to = rows.iter().map(|row| row[0].width()).max().unwrap_or_default();
    let shorten = Shorten {
        first: |i, room| cell(i, 0, room),
        first_to,
        last: |i, room| cell(i, COMPARED.len(), room),
    };
    lay_out(rows, &COMPARED, look.width, &shorten)
}

fn compared(view: &FleetView, group: &HostGroup) -> Vec<Line> {
    let shown = || group.services.iter().map(|i| &view.services[*i]);
    let worst = shown().map(|service| service.verdict).min().unwrap_or(Verdict::Unknown);
    let mut counts = Counts::default();
    shown().for_each(|service| counts.add(service.verdict));
    let name = text::shown(group.name()).into_owned();
    let name = Line::new()
        .with(worst.into(), &format!("{} ", symbols::symbol(worst)))
        .with(Role::Strong, &name);
    let figures = group.host.as_deref().and_then(|host| figures(view, host)).unwrap_or_default();
    let of = |fact: Option<(Role, String)>| match fact {
        Some((role, fact)) => Line::new().with(role, &fact),
        None => Line::new().with(Role::Dim, "-"),
    };
    let booted = booted(view, &figures).map(|(role, since)| (role, short(since)));
    let known = group.host.as_ref().and_then(|host| view.hosts.get(host));
    let clock = match (known.and_then(list::clock_error), figures.clock_synced) {
        (Some(error), _) => Some((Role::Warn, error)),
        (None, Some(false)) => Some((Role::Warn, "not synchronized".to_owned())),
        (None, _) => known.and_then(|known| known.skew).map(|_| (Role::Dim, "ok".to_owned())),
    };
    vec![
        name,
        of(figures.load1.map(|load| (Role::Text, format!("{load:.2}")))),
        of(top::used_memory(&figures)),
        of(booted),
        of(clock),
        list::counted(counts),
    ]
}

/// `× srv01   1 failed, 5 running   load 0.61   memory 3.1 GB of 24 GB   booted 6 h ago   clock ok`
fn summary(view: &FleetView, host: Option<&str>, services: &[usize], look: &Look) -> Vec<Line> {
    let shown = || services.iter().map(|i| &view.services[*i]);
    let worst = shown().map(|service| service.verdict).min().unwrap_or(Verdict::Unknown);
    let name = host
        .map_or("host not known", |host| if look.is_narrow() { short_host(host) } else { host });
    let mut counts = Counts::default();
    shown().for_each(|service| counts.add(service.verdict));
    let mut first = Line::new().with(worst.into(), &format!("{} ", symbols::symbol(worst)));
    first.push(Role::Strong, name).push(Role::Text, GAP);
    first.extend(list::counted(counts));
    let mut parts = vec![(GAP, first)];
    if let Some((host, known)) = host.and_then(|host| Some((host, view.hosts.get(host)?))) {
        let of_figures = figures(view, host).map(|figures| of_figures(view, &figures));
        let facts = of_figures.into_iter().flatten().chain(clock(known));
        parts.extend(facts.map(|(role, fact)| (GAP, Line::new().with(role, &fact))));
    }
    let room = Look { width: look.width.map(|width| width.saturating_sub(INDENT.len())), ..*look };
    let mut lines = list::flow(parts, &room);
    for line in lines.iter_mut().skip(1) {
        let rest = std::mem::replace(line, Line::new().with(Role::Text, INDENT));
        line.extend(rest);
    }
    lines
}

/// What the newest heartbeat of a launcher on this host tells of it; of one that is silent it would
/// be no longer so.
fn figures(view: &FleetView, host: &str) -> Option<HostFigures> {
    let is_here = |service: &&ServiceView| {
        service.is_launcher
            && service.host.as_deref() == Some(host)
            && service.liveness == Liveness::Live
    };
    let launchers = view.services.iter().filter(is_here);
    let beats = launchers.filter_map(|launcher| launcher.beats().last());
    let newest = beats.filter(|beat| beat.metrics.is_some()).max_by_key(|beat| beat.stamp.stored);
    newest.and_then(|beat| beat.metrics.as_deref()).map(|it| HostFigures::read(&it.to_map()))
}

/// Load, memory, boot.
fn of_figures(view: &FleetView, figures: &HostFigures) -> Vec<(Role, String)> {
    let booted = booted(view, figures);
    let booted = booted.map(|(role, since)| (role, format!("booted {}", ago(since))));
    let synced = figures.clock_synced.filter(|synced| !synced);
    let synced = synced.map(|_| (Role::Warn, "clock not synchronized".to_owned()));
    let parts = [top::load(figures), top::memory(figures), booted, synced];
    parts.into_iter().flatten().collect()
}

/// How long ago it was booted; lately is worth a colour.
fn booted(view: &FleetView, figures: &HostFigures) -> Option<(Role, TimeDelta)> {
    let booted = figures.boot_at.and_then(|at| DateTime::from_timestamp(at as i64, 0));
    let since = view.now - booted.filter(|booted| *booted <= view.now)?;
    Some((if since < TimeDelta::hours(1) { Role::Warn } else { Role::Dim }, since))
}

fn clock(host: &HostView) -> Option<(Role, String)> {
    host.skew?;
    Some(match list::clock_error(host) {
        Some(error) => (Role::Warn, format!("clock {error}")),
        None => (Role::Dim, "clock ok".to_owned()),
    })
}
