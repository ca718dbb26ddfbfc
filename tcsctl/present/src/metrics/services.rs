//! What is known of each service.

use std::collections::HashMap;

use tcs_fleet::{ServiceView, Verdict};
use tcs_wire::control::ServiceFigures;

use super::Scrape;
use super::exposition::{Exposition, Kind, label, seconds};
use crate::selection::launcher;

/// The services in the scrape.
pub(super) fn wanted<'a>(scrape: &Scrape<'a>) -> impl Iterator<Item = &'a ServiceView> {
    let Scrape { view, wanted, .. } = *scrape;
    view.services.iter().filter(|service| wanted.includes(service))
}

/// A service with what is written of it many times.
struct Row<'a> {
    service: &'a ServiceView,
    /// `service="guider.jk15"`
    labels: String,
    figures: Option<&'a ServiceFigures>,
}

/// How many crash reasons of a service have a series of their own.
const REASONS: usize = 32;

type Of = fn(&ServiceView) -> Option<f64>;
type Figure = fn(&ServiceFigures) -> Option<f64>;

const OF_SERVICES: [(&str, &str, Of); 6] = [
    ("tcs_service_declared", "Whether a launcher declares it at present.", |it| {
        Some(f64::from(u8::from(it.declared)))
    }),
    ("tcs_service_verdict_since_timestamp_seconds", "When the verdict became so.", |it| {
        it.since.map(seconds)
    }),
    ("tcs_service_start_time_seconds", "Start of the present run.", |it| {
        it.started_at.filter(|_| it.phase.is_up()).map(seconds)
    }),
    ("tcs_service_last_heartbeat_timestamp_seconds", "When its last heartbeat was stored.", |it| {
        it.last_heartbeat.map(seconds)
    }),
    ("tcs_service_heartbeat_interval_seconds", "Expected from one heartbeat to the next.", |it| {
        Some(it.interval.num_milliseconds() as f64 / 1000.0)
    }),
    ("tcs_service_lag_seconds", "How late its main loop is.", |it| {
        it.record.last_beat().and_then(|beat| beat.lag_seconds)
    }),
];

const FIGURES: [(&str, Kind, &str, Figure); 8] = [
    (
        "tcs_service_restarts_total",
        Kind::Counter,
        "Starts after the first, since its launcher was started.",
        |it| Some(it.restarts_total as f64),
    ),
    (
        "tcs_service_cpu_seconds_total",
        Kind::Counter,
        "Processor time of its present run; of a task, the time in which it computed.",
        |it| it.cpu_seconds.or(it.busy_seconds),
    ),
    ("tcs_service_resident_memory_bytes", Kind::Gauge, "Resident memory.", |it| {
        it.rss_bytes.map(|bytes| bytes as f64)
    }),
    (
        "tcs_service_peak_memory_bytes",
        Kind::Gauge,
        "The most resident memory of its present run.",
        |it| it.peak_rss_bytes.map(|bytes| bytes as f64),
    ),
    ("tcs_service_threads", Kind::Gauge, "Threads.", |it| it.threads.map(f64::from)),
    ("tcs_service_open_fds", Kind::Gauge, "Open file descriptors.", |it| {
        it.open_fds.map(|count| count as f64)
    }),
    (
        "tcs_service_read_bytes_total",
        Kind::Counter,
        "Read from storage in its present run.",
        |it| it.read_bytes.map(|bytes| bytes as f64),
    ),
    (
        "tcs_service_written_bytes_total",
        Kind::Counter,
        "Written to storage in its present run.",
        |it| it.written_bytes.map(|bytes| bytes as f64),
    ),
];

pub(super) fn write(scrape: &Scrape<'_>, out: &mut Exposition) {
    let told = scrape.answers.iter().map(|answer| &answer.reply);
    let told = told.flat_map(|reply| reply.services.iter().chain(&reply.not_running));
    let told: HashMap<&str, &ServiceFigures> =
        told.map(|figures| (&*figures.service_id, figures)).collect();
    let row = |service| Row {
        service,
        labels: format!("service=\"{}\"", label(&service.id)),
        figures: told.get(&*service.id).copied(),
    };
    let rows: Vec<Row<'_>> = wanted(scrape).map(row).collect();
    info(scrape, &rows, out);
    verdicts(&rows, out);
    for (name, help, value) in OF_SERVICES {
        let mut family = out.family(name, Kind::Gauge, help);
        for Row { service, labels, .. } in &rows {
            family.add_some(labels, value(service));
        }
    }
    for (name, kind, help, value) in FIGURES {
        let mut family = out.family(name, kind, help);
        for Row { labels, figures, .. } in &rows {
            family.add_some(labels, figures.and_then(value));
        }
    }
    let help = "Crashes by how they ended, since its launcher was started.";
    let mut family = out.family("tcs_service_crashes_total", Kind::Counter, help);
    for Row { labels, figures, .. } in &rows {
        for (reason, count) in figures.iter().flat_map(|it| it.crashes_total.iter().take(REASONS)) {
            let reason = label(reason);
            family.add(format_args!("{labels},reason=\"{reason}\""), *count as f64);
        }
    }
    let Some(counted) = scrape.counted else { return };
    let help = "Events of its life, since the exporter knows it.";
    let mut family = out.family("tcs_service_events_total", Kind::Counter, help);
    for Row { service, labels, .. } in &rows {
        for (event, count) in counted.events(&service.id) {
            family.add(format_args!("{labels},event=\"{event}\""), count as f64);
        }
    }
}

fn info(scrape: &Scrape<'_>, rows: &[Row<'_>], out: &mut Exposition) {
    let help = "Properties of each service, to join with other metrics by `service`.";
    let mut family = out.family("tcs_service_info", Kind::Gauge, help);
    for Row { service, labels, .. } in rows {
        let optional = |text: Option<&str>| label(text.unwrap_or_default()).into_owned();
        let [kind, variant] = [service.service_type(), service.variant()].map(label);
        let host = optional(service.host.as_deref());
        let above = optional(launcher(scrape.view, service));
        let parent = optional(service.parent.as_deref());
        let more = format_args!(
            "{labels},type=\"{kind}\",variant=\"{variant}\",host=\"{host}\",launcher=\"{above}\",\
             parent=\"{parent}\""
        );
        family.add(more, 1.0);
    }
}

fn verdicts(rows: &[Row<'_>], out: &mut Exposition) {
    let help = "1 for the verdict that holds, 0 for all others.";
    let mut family = out.family("tcs_service_verdict", Kind::Gauge, help);
    for Row { service, labels, .. } in rows {
        for verdict in Verdict::ALL {
            let is_it = f64::from(u8::from(service.verdict == verdict));
            family.add(format_args!("{labels},verdict=\"{verdict}\""), is_it);
        }
    }
}
