//! What is known of hosts: from the clocks of their services, and from their launchers' heartbeats.

use std::collections::{BTreeMap, BTreeSet};

use tcs_fleet::FleetView;
use tcs_wire::control::HostFigures;

use super::Scrape;
use super::exposition::{Exposition, Kind, label};
use super::services::wanted;
use crate::json::metrics;

/// A host's figures; of several launchers on it, those of the first.
fn figures(view: &FleetView) -> BTreeMap<&str, HostFigures> {
    let mut hosts = BTreeMap::new();
    for launcher in view.services.iter().filter(|it| it.is_launcher && it.phase.is_up()) {
        if let Some(host) = launcher.host.as_deref() {
            hosts.entry(host).or_insert_with(|| HostFigures::read(&metrics(launcher)));
        }
    }
    hosts
}

type Figure = fn(&HostFigures) -> Option<f64>;

const FIGURES: [(&str, Kind, &str, Figure); 11] = [
    ("tcs_host_load1", Kind::Gauge, "Processes that ran or wanted to, over a minute.", |it| {
        it.load1
    }),
    ("tcs_host_cpu_ratio", Kind::Gauge, "Use of all processors, 0 to 1.", |it| {
        it.cpu_percent.map(|percent| percent / 100.0)
    }),
    ("tcs_host_cpus", Kind::Gauge, "Processors.", |it| it.cpus.map(f64::from)),
    ("tcs_host_memory_total_bytes", Kind::Gauge, "Memory.", |it| bytes(it.mem_total_bytes)),
    (
        "tcs_host_memory_available_bytes",
        Kind::Gauge,
        "Memory that programs can get without swapping.",
        |it| bytes(it.mem_available_bytes),
    ),
    ("tcs_host_swap_used_bytes", Kind::Gauge, "What is swapped out.", |it| {
        bytes(it.swap_used_bytes)
    }),
    (
        "tcs_host_disk_free_bytes",
        Kind::Gauge,
        "Free space where the launcher's configuration is.",
        |it| bytes(it.disk_free_bytes),
    ),
    (
        "tcs_host_memory_pressure_ratio",
        Kind::Gauge,
        "Part of the last 10 s in which something waited for memory.",
        |it| it.psi_mem_avg10.map(|percent| percent / 100.0),
    ),
    ("tcs_host_boot_time_seconds", Kind::Gauge, "When it was booted.", |it| it.boot_at),
    (
        "tcs_host_oom_kills_total",
        Kind::Counter,
        "Processes that the kernel has killed because memory ran out.",
        |it| bytes(it.oom_kills),
    ),
    (
        "tcs_host_clock_synced",
        Kind::Gauge,
        "Whether its clock is synchronized with a time server.",
        |it| it.clock_synced.map(|is_synced| f64::from(u8::from(is_synced))),
    ),
];

fn bytes(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

pub(super) fn write(scrape: &Scrape<'_>, out: &mut Exposition) {
    let view = scrape.view;
    // with a filter, the hosts of what is told of
    let wanted: BTreeSet<&str> = wanted(scrape).filter_map(|it| it.host.as_deref()).collect();
    let is_wanted = |host: &str| scrape.wanted.filter.is_empty() || wanted.contains(host);
    let known: Vec<_> = view.hosts.iter().filter(|(name, _)| is_wanted(name)).collect();
    let mut family = out.family("tcs_host_services", Kind::Gauge, "Services and launchers on it.");
    for (name, host) in &known {
        family.add(of(name), host.services as f64);
    }
    let help = "The broker's time minus the host's.";
    let mut family = out.family("tcs_host_clock_skew_seconds", Kind::Gauge, help);
    for (name, host) in &known {
        let skew = host.skew.map(|skew| skew.num_milliseconds() as f64 / 1000.0);
        family.add_some(of(name), skew);
    }
    let help = "Whether all that should run on it is lost.";
    let mut family = out.family("tcs_host_silent", Kind::Gauge, help);
    for (name, host) in &known {
        family.add(of(name), f64::from(u8::from(host.silent)));
    }
    let mut hosts = figures(view);
    hosts.retain(|host, _| is_wanted(host));
    for (name, kind, help, figure) in FIGURES {
        let mut family = out.family(name, kind, help);
        for (host, figures) in &hosts {
            family.add_some(of(host), figure(figures));
        }
    }
}

fn of(host: &str) -> String {
    format!("host=\"{}\"", label(host))
}
