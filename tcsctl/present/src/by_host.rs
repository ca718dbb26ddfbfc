//! The list in other orders than the tree of launchers: by host, with a line that sums up each, and
//! flat.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use tcs_fleet::{Counts, FleetView, HostView, Liveness, ServiceView, Verdict};
use tcs_wire::control::HostFigures;

use super::selection::{Row, Selection};
use super::{Line, Look, Role, ago, list, symbols, top};

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
        Order::Host => by_host(view, services()),
    };
    let rows = hosts.iter().flat_map(|(_, services)| {
        services.iter().enumerate().map(|(i, service)| Row {
            service: *service,
            depth: 1,
            last: i + 1 == services.len(),
        })
    });
    let selection = Selection { rows: rows.collect(), hidden: selection.hidden };
    let mut rows = list::rows(view, &selection, look).into_iter();
    let mut lines = list::above(view, look);
    for (host, services) in &hosts {
        lines.extend(summary(view, *host, services, look));
        lines.extend(rows.by_ref().take(services.len()));
    }
    lines.extend(list::below(view, look));
    lines
}

/// These services by host, those of no known host last: launchers first, then by id.
fn by_host(
    view: &FleetView,
    services: impl Iterator<Item = usize>,
) -> Vec<(Option<&str>, Vec<usize>)> {
    let mut hosts: BTreeMap<(bool, Option<&str>), Vec<usize>> = BTreeMap::new();
    for i in services {
        let host = view.services[i].host.as_deref();
        hosts.entry((host.is_none(), host)).or_default().push(i);
    }
    for services in hosts.values_mut() {
        services.sort_by_key(|i| (!view.services[*i].is_launcher, *i));
    }
    hosts.into_iter().map(|((_, host), services)| (host, services)).collect()
}

/// `× srv01   1 failed, 5 running   load 0.61   memory 3.1 GB of 24 GB   booted 6 h ago   clock ok`
fn summary(view: &FleetView, host: Option<&str>, services: &[usize], look: &Look) -> Vec<Line> {
    let shown = || services.iter().map(|i| &view.services[*i]);
    let worst = shown().map(|service| service.verdict).min().unwrap_or(Verdict::Unknown);
    let name = host.map_or("host not known", |host| {
        if look.is_narrow() { host.split('.').next().unwrap_or(host) } else { host }
    });
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
    newest.and_then(|beat| beat.metrics.as_deref()).map(HostFigures::read)
}

/// Load, memory, boot.
fn of_figures(view: &FleetView, figures: &HostFigures) -> Vec<(Role, String)> {
    let booted = figures.boot_at.and_then(|at| DateTime::from_timestamp(at as i64, 0));
    let booted = booted.filter(|booted| *booted <= view.now).map(|booted| {
        let since = view.now - booted;
        let role = if since < TimeDelta::hours(1) { Role::Warn } else { Role::Dim };
        (role, format!("booted {}", ago(since)))
    });
    let synced = figures.clock_synced.filter(|synced| !synced);
    let synced = synced.map(|_| (Role::Warn, "clock not synchronized".to_owned()));
    let parts = [top::load(figures), top::memory(figures), booted, synced];
    parts.into_iter().flatten().collect()
}

fn clock(host: &HostView) -> Option<(Role, String)> {
    host.skew?;
    Some(match list::clock_error(host) {
        Some(error) => (Role::Warn, format!("clock {error}")),
        None => (Role::Dim, "clock ok".to_owned()),
    })
}
