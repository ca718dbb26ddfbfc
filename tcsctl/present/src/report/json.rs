//! A report as JSON: `tcsctl.report.v1`.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::history::{Availability, Change, Common, Happening, Sum};
use tcs_fleet::{Reason, Verdict};

use super::{AlarmEvent, AlarmNews, Entry, Report, sections};
use crate::schema::{AlarmStateWord, SeverityWord, VerdictWord};
use crate::timeline::GapEntry;

/// The report of a period.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "report",
    title = "What `tcsctl report --format json` prints",
    description = "The report of a period: incidents grouped by cause, what is still open, what \
                   was changed, availability. Times are RFC 3339 in UTC, by the broker's clock; \
                   durations are in seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.report.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.report.v1"))]
    schema: &'static str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// Where it was read.
    server: &'a str,
    /// The subjects' prefix.
    prefix: &'a str,
    /// Parts of the period in which the record has gaps.
    gaps: Vec<GapEntry>,
    /// What could not be read.
    problems: &'a [String],
    /// In the order of time.
    incidents: Vec<IncidentEntry<'a>>,
    /// Alarms that need attention at the end of the period; null: no alarms are stored.
    open_alarms: Option<Vec<OpenAlarm<'a>>>,
    /// Shelves in force at the end of the period.
    shelves: Vec<ShelfEntry<'a>>,
    /// Services that somebody stopped and that are still stopped.
    stopped_by_hand: Vec<StoppedEntry<'a>>,
    /// In the order of time.
    changes: Vec<ChangeEntry<'a>>,
    /// Of each service, launchers included.
    services: Vec<AvailabilityEntry<'a>>,
    /// Sums of the services of each launcher.
    launchers: Vec<AvailabilityEntry<'a>>,
    /// Sums of the services of each host.
    hosts: Vec<AvailabilityEntry<'a>>,
}

/// Faults that belong together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Incident")]
struct IncidentEntry<'a> {
    from: DateTime<Utc>,
    /// Null: it lasted beyond the end of the period.
    until: Option<DateTime<Utc>>,
    /// Up to the end of the period if it was not over.
    lasted_s: f64,
    /// What its faults have in common.
    #[schemars(extend("enum" = ["broker", "host", "launcher", "service", "other"]))]
    common: &'static str,
    /// Which host, launcher or service.
    name: Option<&'a str>,
    /// In words.
    cause: &'a str,
    #[schemars(with = "VerdictWord")]
    worst: &'static str,
    /// By name.
    services: Vec<&'a str>,
    /// In the order in which they began.
    faults: Vec<FaultEntry<'a>>,
    /// Operations that people requested meanwhile.
    requests: Vec<ChangeEntry<'a>>,
    /// What happened to alarms.
    alarms: Vec<AlarmEntry<'a>>,
}

/// One fault of one service.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fault")]
struct FaultEntry<'a> {
    service: &'a str,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    #[schemars(with = "VerdictWord")]
    worst: &'static str,
    cause: Option<String>,
}

/// What happened to an alarm.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AlarmEvent")]
struct AlarmEntry<'a> {
    at: DateTime<Utc>,
    alarm: String,
    #[schemars(extend("enum" = [
        "raised", "over", "sent", "not_sent", "acknowledged", "withdrawn", "noted",
    ]))]
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    /// Who, as they claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    /// What they say about it; why it could not be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// An alarm that needs attention.
#[derive(Debug, Serialize, JsonSchema)]
struct OpenAlarm<'a> {
    alarm: String,
    #[schemars(with = "AlarmStateWord")]
    state: &'static str,
    #[schemars(with = "SeverityWord")]
    severity: &'static str,
    since: DateTime<Utc>,
    acknowledged_by: Option<&'a str>,
}

/// A shelf in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Shelf")]
struct ShelfEntry<'a> {
    id: &'a str,
    by: &'a str,
    until: DateTime<Utc>,
    reason: &'a str,
}

/// A service that somebody has stopped.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Stopped")]
struct StoppedEntry<'a> {
    service: &'a str,
    by: &'a str,
    at: DateTime<Utc>,
    /// The planned work for which it is stopped.
    comment: Option<&'a str>,
}

/// Something that was changed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Change")]
struct ChangeEntry<'a> {
    at: DateTime<Utc>,
    #[schemars(extend("enum" = ["reload", "reboot", "profile", "start", "stop", "restart", "other"]))]
    what: &'static str,
    /// In words.
    text: String,
    /// Of a request: which service.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    /// Of a profile: which launcher moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    launcher: Option<&'a str>,
    /// Of a profile: its name; absent: the launcher left the one that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    /// Of a request: who, as they claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
}

/// How long a service, or those of a launcher or host, had which verdict.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Availability")]
struct AvailabilityEntry<'a> {
    /// The service's, launcher's or host's.
    name: &'a str,
    /// Of a sum: of how many services.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<usize>,
    /// The part of the time, known and meant to run, in which it was ok or degraded, from 0 to 1;
    /// null: it was not meant to run.
    available: Option<f64>,
    restarts: usize,
    /// The longest time for which it was meant to run, and was neither ok nor degraded.
    longest_outage_s: f64,
    /// Seconds in each verdict that it had.
    verdicts_s: BTreeMap<&'static str, f64>,
}

fn seconds(span: TimeDelta) -> f64 {
    span.num_microseconds().unwrap_or(i64::MAX) as f64 / 1e6
}

impl<'a> Document<'a> {
    pub(super) fn new(report: &'a Report<'_>) -> Self {
        let sources = &report.sources;
        let chronicle = sources.chronicle;
        let history = &chronicle.history;
        let alarms = report.open_alarms.iter().map(|alarm| OpenAlarm {
            alarm: alarm.id.to_string(),
            state: alarm.state.as_str(),
            severity: alarm.record().severity.as_str(),
            since: alarm.record().since.time(),
            acknowledged_by: alarm.acked.as_ref().map(|ack| &*ack.record.by),
        });
        let shelf = |(id, shelf): &(&'a str, &'a tcs_alarms::Shelf)| ShelfEntry {
            id,
            by: &shelf.held.record.by,
            until: shelf.end(),
            reason: &shelf.held.record.reason,
        };
        let stopped = report.stopped_by_hand();
        Self {
            schema: "tcsctl.report.v1",
            from: history.from,
            to: history.to,
            server: sources.server,
            prefix: sources.prefix,
            gaps: history.gaps.iter().map(GapEntry::from).collect(),
            problems: sources.problems,
            incidents: report.entries.iter().map(|it| incident(it, report)).collect(),
            open_alarms: sources.alarms.is_some().then(|| alarms.collect()),
            shelves: report.shelves.iter().map(shelf).collect(),
            stopped_by_hand: stopped
                .map(|(service, by, at)| {
                    let comment = report.planned(service);
                    StoppedEntry { service, by, at, comment }
                })
                .collect(),
            changes: chronicle.changes.iter().map(change).collect(),
            services: report.availability.iter().map(|(id, it)| figures(id, None, it)).collect(),
            launchers: report.launchers.iter().map(sum).collect(),
            hosts: report.hosts.iter().map(sum).collect(),
        }
    }
}

fn incident<'a>(entry: &'a Entry<'_>, report: &Report<'_>) -> IncidentEntry<'a> {
    let incident = &entry.incident;
    let (common, name) = match &incident.common {
        Common::Broker(_) => ("broker", None),
        Common::Host(name) => ("host", Some(&**name)),
        Common::Launcher(name) => ("launcher", Some(&**name)),
        Common::Service(name) => ("service", Some(&**name)),
        _ => ("other", None),
    };
    let fault = |it: &'a tcs_fleet::history::Episode| FaultEntry {
        service: &it.service,
        from: it.from,
        until: it.until,
        worst: it.worst.as_str(),
        cause: it.cause.as_ref().map(Reason::cause),
    };
    IncidentEntry {
        from: incident.from,
        until: incident.until,
        lasted_s: seconds(incident.lasted(&report.sources.chronicle.history)),
        common,
        name,
        cause: &entry.cause,
        worst: incident.worst().as_str(),
        services: incident.services().into_iter().map(|id| &**id).collect(),
        faults: incident.episodes.iter().map(fault).collect(),
        requests: entry.requests.iter().map(|it| change(it)).collect(),
        alarms: entry.alarms.iter().map(|it| alarm(it)).collect(),
    }
}

fn alarm(event: &AlarmEvent) -> AlarmEntry<'_> {
    let (what, channel, by, note) = match &event.news {
        AlarmNews::Raised => ("raised", None, None, None),
        AlarmNews::Over => ("over", None, None, None),
        AlarmNews::Sent { channel } => ("sent", Some(&**channel), None, None),
        AlarmNews::NotSent { channel, error } => {
            ("not_sent", Some(&**channel), None, error.as_deref())
        }
        AlarmNews::Acknowledged { by, note } => {
            ("acknowledged", None, Some(&**by), note.as_deref())
        }
        AlarmNews::Withdrawn { by } => ("withdrawn", None, Some(&**by), None),
        AlarmNews::Noted { by, note } => ("noted", None, Some(&**by), Some(&**note)),
    };
    AlarmEntry { at: event.at, alarm: event.alarm.to_string(), what, channel, by, note }
}

fn change(change: &Change) -> ChangeEntry<'_> {
    let what = match &change.what {
        Happening::Reloaded { .. } => "reload",
        Happening::Rebooted { .. } => "reboot",
        Happening::Profile { .. } => "profile",
        Happening::Started { .. } => "start",
        Happening::Stopped { .. } => "stop",
        Happening::Restarted { .. } => "restart",
        _ => "other",
    };
    let (service, by) = change.what.request().unzip();
    let text = sections::happening(&change.what);
    let (launcher, profile, by) = match &change.what {
        Happening::Profile { launcher, name, by, .. } => {
            (Some(&**launcher), name.as_deref(), by.as_deref())
        }
        _ => (None, None, by),
    };
    let service = service.map(|id| &**id);
    ChangeEntry { at: change.at, what, text, service, launcher, profile, by }
}

fn sum(sum: &Sum) -> AvailabilityEntry<'_> {
    figures(&sum.name, Some(sum.services), &sum.sum)
}

fn figures<'a>(name: &'a str, of: Option<usize>, it: &Availability) -> AvailabilityEntry<'a> {
    let times = Verdict::ALL.into_iter().map(|verdict| (verdict.as_str(), it.time(verdict)));
    let times = times.filter(|(_, time)| !time.is_zero());
    AvailabilityEntry {
        name,
        of,
        available: it.share(),
        restarts: it.restarts,
        longest_outage_s: seconds(it.longest),
        verdicts_s: times.map(|(verdict, time)| (verdict, seconds(time))).collect(),
    }
}
