//! The fleet as metrics for Prometheus, in its text format 0.0.4: `tcsctl metrics`, and `/metrics` of
//! `tcsctl serve` (`docs/spec/serve.md#metrics`).
//!
//! Labels never hold a process id, a message or a run: each new value would be a new series. Ages are
//! not told, but the times they are counted from; `tcs_broker_time_seconds` is now.

mod counted;
mod exposition;
mod hosts;
mod own;
mod services;

use std::time::Duration;

use tcs_alarms::{AlarmState, AlarmView, Severity};
use tcs_fleet::FleetView;

use crate::alarms::selected;
use crate::selection::Wanted;
use crate::top::Answer;
pub use counted::Counted;
use exposition::{Exposition, Kind, label, seconds};

/// The `Content-Type` of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What an exposition is made of.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// The fleet.
    pub view: &'a FleetView,
    /// The services that are told of.
    pub wanted: &'a Wanted,
    /// How the picture came about.
    pub site: Site<'a>,
    /// What launchers have told of resources.
    pub answers: &'a [Answer],
    /// Alarms; `None`: they could not be read.
    pub alarms: Option<&'a [AlarmView]>,
    /// What a program has counted that goes on watching.
    pub counted: Option<&'a Counted>,
}

/// How a picture came about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Site<'a> {
    /// Whether the broker is connected.
    pub is_connected: bool,
    /// Whether everything that the site keeps was read.
    pub is_complete: bool,
    /// Whether `JetStream` answers.
    pub has_jetstream: bool,
    /// The version of this program.
    pub version: &'a str,
    /// From asking the broker to its answer.
    pub round_trip: Option<Duration>,
}

/// The whole text. Without a connection nothing is said of services: a blind exporter accuses nobody.
pub fn text(scrape: &Scrape<'_>) -> String {
    let mut out = Exposition::new();
    site(scrape, &mut out);
    if scrape.site.is_connected {
        alarms(scrape, &mut out);
        hosts::write(scrape, &mut out);
        services::write(scrape, &mut out);
    }
    let dropped = if scrape.site.is_connected { own::write(scrape, &mut out) } else { 0 };
    let help = "Series of services' own metrics that were left out, because there are too many.";
    out.family("tcs_series_dropped", Kind::Gauge, help).add("", dropped as f64);
    out.into_text()
}

fn site(scrape: &Scrape<'_>, out: &mut Exposition) {
    let Scrape { site, view, counted, .. } = scrape;
    let mut one = |name, help, is_so| {
        out.family(name, Kind::Gauge, help).add("", f64::from(u8::from(is_so)));
    };
    one("tcs_up", "Whether the broker is connected.", site.is_connected);
    let help = "Whether everything that the site keeps was read.";
    one("tcs_picture_complete", help, site.is_complete);
    one("tcs_jetstream_up", "Whether JetStream answers.", site.has_jetstream);
    out.family("tcs_build_info", Kind::Gauge, "The version of the exporter.")
        .add(format_args!("version=\"{}\"", label(site.version)), 1.0);
    let help = "The present time by the broker's clock. Ages of other times are taken against it.";
    out.family("tcs_broker_time_seconds", Kind::Gauge, help).add("", seconds(view.now));
    if let Some(newest) = view.newest {
        let help = "When the newest message of all was stored.";
        let name = "tcs_newest_message_timestamp_seconds";
        out.family(name, Kind::Gauge, help).add("", seconds(newest));
    }
    if let Some(rtt) = site.round_trip {
        let help = "From asking the broker to its answer.";
        out.family("tcs_link_rtt_seconds", Kind::Gauge, help).add("", rtt.as_secs_f64());
    }
    let Some(counted) = counted else { return };
    for (name, help, count) in [
        (
            "tcs_link_reconnects_total",
            "Connections to the broker after the first.",
            counted.reconnects,
        ),
        ("tcs_messages_total", "Messages read.", counted.messages),
        (
            "tcs_messages_malformed_total",
            "Messages of which something could not be read.",
            counted.malformed,
        ),
    ] {
        out.family(name, Kind::Counter, help).add("", count as f64);
    }
}

fn alarms(scrape: &Scrape<'_>, out: &mut Exposition) {
    let Some(alarms) = scrape.alarms else { return };
    let alarms = selected(alarms, &scrape.wanted.filter, scrape.view, false);
    let help = "Alarms by severity and state; a shelved one is counted as shelved alone.";
    let mut family = out.family("tcs_alarms", Kind::Gauge, help);
    let states = [AlarmState::Active, AlarmState::Acked, AlarmState::Returned];
    let states = states.map(|state| (state.as_str(), Some(state)));
    for severity in Severity::ALL {
        for (word, state) in states.into_iter().chain([("shelved", None)]) {
            let is_it = |alarm: &&&AlarmView| {
                let state_of = alarm.shelved.is_none().then_some(alarm.state);
                alarm.record().severity == severity && state_of == state
            };
            let count = alarms.iter().filter(is_it).count();
            let labels = format_args!("severity=\"{}\",state=\"{word}\"", severity.as_str());
            family.add(labels, count as f64);
        }
    }
}

#[cfg(test)]
mod tests;
