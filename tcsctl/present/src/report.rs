//! The report of a shift: what went wrong, who did what, what is still open
//! (`docs/spec/history.md#report`). Pure: a chronicle and the alarms go in.

mod alarms;
mod document;
mod html;
mod json;
mod markdown;
mod markup;
mod plain;
mod sections;
mod style;
mod svg;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_alarms::{AlarmState, AlarmView, Alarms, Shelf};
use tcs_fleet::Verdict;
use tcs_fleet::history::{
    Availability, Change, Chronicle, Common, Happening, Incident, Sum, TOGETHER, availability,
    incidents, sums,
};

use super::Look;

pub use alarms::{AlarmEvent, AlarmNews};
pub use json::Document as Json;
pub use markup::escape;

/// An alarm's news belongs to an incident up to this long after its end.
const AFTERWARDS: TimeDelta = TimeDelta::minutes(10);

/// What goes into a report.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sources<'a> {
    /// The past of the period.
    pub chronicle: &'a Chronicle,
    /// The server that it was read from, as typed, without secrets.
    pub server: &'a str,
    /// The subjects' prefix.
    pub prefix: &'a str,
    /// What could not be read, in words.
    pub problems: &'a [String],
    /// What happened to alarms in the period, oldest first; `None`: there are no alarms here.
    pub alarms: Option<(&'a [AlarmEvent], &'a Alarms)>,
}

impl<'a> Sources<'a> {
    /// Without alarms.
    pub const fn new(
        chronicle: &'a Chronicle,
        (server, prefix): (&'a str, &'a str),
        problems: &'a [String],
    ) -> Self {
        Self { chronicle, server, prefix, problems, alarms: None }
    }
}

/// One incident with what people did about it.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) incident: Incident,
    /// Its services.
    services: BTreeSet<Arc<str>>,
    /// In one line: what was the cause.
    pub(super) cause: String,
    pub(super) requests: Vec<&'a Change>,
    pub(super) alarms: Vec<&'a AlarmEvent>,
}

/// A report, ready to be written.
#[derive(Debug)]
pub struct Report<'a> {
    sources: Sources<'a>,
    entries: Vec<Entry<'a>>,
    availability: Vec<(Arc<str>, Availability)>,
    launchers: Vec<Sum>,
    hosts: Vec<Sum>,
    open_alarms: Vec<AlarmView>,
    shelves: Vec<(&'a str, &'a Shelf)>,
}

impl<'a> Report<'a> {
    /// Puts it together.
    pub fn new(sources: Sources<'a>) -> Self {
        let chronicle = sources.chronicle;
        let (history, view) = (&chronicle.history, &chronicle.view);
        let mut entries: Vec<Entry<'a>> =
            incidents(history, view).into_iter().map(|it| entry(it, chronicle)).collect();
        for change in chronicle.changes.iter().filter(|change| change.what.request().is_some()) {
            if let Some(entry) = entries.iter_mut().rev().find(|it| it.is_about(change, history.to))
            {
                entry.requests.push(change);
            }
        }
        let events = sources.alarms.map_or(&[][..], |(events, _)| events);
        for event in events {
            if let Some(entry) =
                entries.iter_mut().rev().find(|it| it.is_told_by(event, history.to))
            {
                entry.alarms.push(event);
            }
        }
        let known = sources.alarms.map(|(_, alarms)| alarms);
        let mut open_alarms = known.map(|alarms| alarms.views(view.now, view)).unwrap_or_default();
        open_alarms.retain(|alarm| alarm.state != AlarmState::Normal);
        let shelves = known.into_iter().flat_map(Alarms::shelves);
        let shelves = shelves.filter(|(_, shelf)| shelf.end() > view.now).collect();
        let availability = availability(history);
        let (launchers, hosts) = sums(&availability, view);
        Self { sources, entries, availability, launchers, hosts, open_alarms, shelves }
    }

    /// In one line: `report 2026-11-22 20:00 to 2026-11-23 08:00 UTC: 3 incidents, 1 still open`.
    pub fn title(&self) -> String {
        let history = &self.sources.chronicle.history;
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M");
        let (from, to) = (time(history.from), time(history.to));
        format!("report {from} to {to} UTC: {}", sections::result(self))
    }

    /// As text for a terminal or a mail.
    pub fn text(&self, look: &Look) -> Vec<super::Line> {
        plain::lines(&sections::document(self, look), self.sources.chronicle, look)
    }

    /// As Markdown.
    pub fn markdown(&self, look: &Look) -> String {
        markdown::text(&sections::document(self, look), self.sources.chronicle, look)
    }

    /// As one HTML file without references to others.
    pub fn html(&self, look: &Look) -> String {
        html::page(&sections::document(self, look), self.sources.chronicle, look)
    }

    /// As JSON: `tcsctl.report.v1`.
    pub fn json(&self) -> Json<'_> {
        Json::new(self)
    }

    /// The planned work for which a service is stopped.
    fn planned(&self, service: &str) -> Option<&'a str> {
        let service = self.sources.chronicle.view.get(service)?;
        service.planned().map(|planned| planned.comment.as_str())
    }

    /// Those that stopped a service which is still stopped, and when.
    fn stopped_by_hand(&self) -> impl Iterator<Item = (&Arc<str>, &str, DateTime<Utc>)> {
        let chronicle = self.sources.chronicle;
        let is_stopped = |id: &str| {
            chronicle.view.get(id).is_some_and(|service| service.verdict == Verdict::Stopped)
        };
        chronicle.changes.iter().enumerate().filter_map(move |(i, change)| {
            let Happening::Stopped { service, by } = &change.what else { return None };
            let is_same = |later: &Change| later.what.request().is_some_and(|it| it.0 == service);
            let is_last = !chronicle.changes[i + 1..].iter().any(is_same);
            (is_last && is_stopped(service)).then_some((service, by.as_str(), change.at))
        })
    }

    /// Incidents that were not over.
    fn open(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(|entry| entry.incident.until.is_none())
    }
}

impl Entry<'_> {
    fn until(&self, end: DateTime<Utc>) -> DateTime<Utc> {
        self.incident.until.unwrap_or(end)
    }

    /// Somebody asked for it while the service was in trouble.
    fn is_about(&self, change: &Change, end: DateTime<Utc>) -> bool {
        let Some((service, _)) = change.what.request() else { return false };
        self.incident.from - TOGETHER <= change.at
            && change.at <= self.until(end)
            && self.services.contains(service)
    }

    fn is_told_by(&self, event: &AlarmEvent, end: DateTime<Utc>) -> bool {
        let object = event.alarm.object();
        let is_common = match &self.incident.common {
            Common::Broker(_) => object == tcs_alarms::AlarmId::BROKER,
            Common::Host(host) => object == tcs_alarms::AlarmId::host_object(host),
            _ => false,
        };
        self.incident.from <= event.at
            && event.at <= self.until(end) + AFTERWARDS
            && (is_common || self.services.contains(object))
    }
}

fn entry(incident: Incident, chronicle: &Chronicle) -> Entry<'_> {
    let cause = cause(&incident, chronicle);
    let services = incident.services().into_iter().cloned().collect();
    Entry { incident, services, cause, requests: Vec::new(), alarms: Vec::new() }
}

/// What was the cause, as far as it is known.
fn cause(incident: &Incident, chronicle: &Chronicle) -> String {
    let leading = incident.leading();
    let reason = leading.and_then(|it| it.cause.as_ref());
    let reason = reason.map_or_else(|| "not known".to_owned(), tcs_fleet::Reason::cause);
    let services = incident.services().len();
    let others = match services {
        0 | 1 => String::new(),
        n => format!(" ({n} services)"),
    };
    match &incident.common {
        Common::Broker(_) if services == 0 => "broker or network down".to_owned(),
        Common::Broker(_) => format!("broker or network down{others}"),
        Common::Host(host) if rebooted(incident, host, chronicle) => {
            format!("host {host} was rebooted{others}")
        }
        Common::Host(host) => format!("host {host}: {}: {reason}{others}", name(leading)),
        Common::Launcher(launcher) => {
            let host = chronicle.view.get(launcher).and_then(|it| it.host.as_deref());
            match host.filter(|host| rebooted(incident, host, chronicle)) {
                Some(host) => format!("host {host} was rebooted{others}"),
                None if name(leading) == &**launcher => format!("{launcher}: {reason}{others}"),
                None => format!("{}: {reason}{others}", name(leading)),
            }
        }
        _ => format!("{}: {reason}", name(leading)),
    }
}

fn name(leading: Option<&tcs_fleet::history::Episode>) -> &str {
    leading.map_or("", |it| &it.service)
}

/// Whether a host was booted while an incident lasted, or right before it.
fn rebooted(incident: &Incident, host: &str, chronicle: &Chronicle) -> bool {
    let from = incident.from - AFTERWARDS;
    let until = incident.until.unwrap_or(chronicle.history.to) + TOGETHER;
    chronicle.changes.iter().any(|change| {
        matches!(&change.what, Happening::Rebooted { host: it } if **it == *host)
            && from <= change.at
            && change.at <= until
    })
}
