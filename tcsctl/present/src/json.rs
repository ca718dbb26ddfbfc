//! The picture for scripts: `tcsctl.fleet.v1`, described by `tcsctl/schema/fleet.v1.json`. A later
//! change only adds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tcs_fleet::{FleetView, IntervalSource, LastEnd, ServiceView, Verdict};
use tcs_wire::control::CrashFigures;
use tcs_wire::{Component, Limit, Status};

use crate::schema::{
    IntervalWord, LivenessWord, PhaseWord, StatusWord, VerdictCounts, VerdictWord,
};
use crate::selection::{Selection, launcher};

/// The whole document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "fleet",
    title = "What `tcsctl --json` prints",
    description = "The fleet at one moment. Times are RFC 3339 in UTC, by the broker's \
        clock; durations are in seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.fleet.v1")
)]
pub struct Document<'a, S> {
    #[schemars(extend("const" = "tcsctl.fleet.v1"))]
    schema: &'static str,
    /// The moment of the picture, by the broker's clock.
    taken_at: DateTime<Utc>,
    source: &'a S,
    counts: Counts,
    hosts: BTreeMap<&'a str, Host>,
    /// The profiles that the running launchers are in: one, unless they differ.
    profiles: Vec<&'a str>,
    #[schemars(with = "Vec<Service<'a>>")]
    services: Services<'a>,
}

/// Made one by one as they are written: of a large fleet they would be many megabytes.
#[derive(Debug)]
struct Services<'a> {
    view: &'a FleetView,
    selection: &'a Selection,
}

impl Serialize for Services<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let services = &self.view.services;
        let rows = self.selection.rows.iter();
        serializer.collect_seq(rows.map(|row| Service::new(self.view, &services[row.service])))
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    /// All that is known.
    known: usize,
    /// Those in `services`.
    shown: usize,
    /// Of those shown, by verdict; all verdicts are there.
    #[serde(flatten)]
    #[schemars(with = "VerdictCounts")]
    verdicts: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Host {
    services: usize,
    /// The broker's time minus the host's.
    skew_s: Option<f64>,
    /// All that should run on it is lost.
    silent: bool,
}

/// One service.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Service<'a> {
    /// `<type>.<variant>`, or any name of a launcher or monitor.
    id: &'a str,
    /// What stands before the last dot of the id.
    #[serde(rename = "type")]
    kind: &'a str,
    /// What follows it; empty where there is no dot.
    variant: &'a str,
    /// What the symbol and the colour say, worst first: failed, lost, error, restarting, late,
    /// degraded, starting, stopping, unknown, ok, stopped.
    #[schemars(with = "VerdictWord")]
    verdict: &'static str,
    /// When the verdict became so, by the broker's clock.
    since: Option<DateTime<Utc>>,
    /// Why, as codes, the decisive one first.
    reasons: Vec<&'static str>,
    /// The same in words.
    evidence: Vec<String>,
    /// The one line that tells most: the cause first, the age last.
    headline: String,
    /// Why it is in trouble, in one line without times: `SerialTimeout: /dev/ttyUSB0 did not
    /// answer (exit 3)`.
    cause: Option<String>,
    #[schemars(with = "PhaseWord")]
    phase: &'static str,
    /// What its heartbeats tell.
    #[schemars(with = "LivenessWord")]
    liveness: &'static str,
    /// What it reports in its present run, its components included.
    #[schemars(with = "Option<StatusWord>")]
    status: Option<Status>,
    /// Its own status, without its components'; of a launcher, without its services'.
    #[schemars(with = "Option<StatusWord>")]
    own_status: Option<Status>,
    message: Option<&'a str>,
    /// The monitored object above it, whether known or not.
    parent: Option<&'a str>,
    /// The nearest launcher above it.
    launcher: Option<&'a str>,
    is_launcher: bool,
    /// Whether a launcher ever spoke of it.
    managed: bool,
    /// Whether a launcher declares it at present.
    declared: bool,
    /// When a launcher declared it last.
    declared_at: Option<DateTime<Utc>>,
    /// `<launcher id>.<service type>`, as its launcher named it last.
    runner_id: Option<&'a str>,
    host: Option<&'a str>,
    pid: Option<u32>,
    /// The process that it has or had last.
    last_pid: Option<u32>,
    /// Start of the present (or last) run.
    started_at: Option<DateTime<Utc>>,
    uptime_s: Option<f64>,
    last_heartbeat_at: Option<DateTime<Utc>>,
    heartbeat_age_s: Option<f64>,
    heartbeat_interval_s: f64,
    #[schemars(with = "IntervalWord")]
    heartbeat_interval_source: &'static str,
    last_heard_at: Option<DateTime<Utc>>,
    /// Restarts inside the restart window, 5 minutes at least.
    restarts: u32,
    restart_attempt: Option<u32>,
    /// null: unlimited, or not told.
    restart_limit: Option<u32>,
    restart_policy: Option<&'a str>,
    /// Seconds in which `restart_limit` restarts may happen; null: not told.
    restart_window_s: Option<f64>,
    /// The work for which it was stopped, as long as it is.
    planned: Option<Work<'a>>,
    /// When it runs, where it does not run all the time.
    schedule: Option<Scheduled<'a>>,
    /// How its last process ended; null where no end of it is held.
    last_end: Option<End>,
    /// The worst verdict of all below it in the tree.
    #[schemars(with = "Option<VerdictWord>")]
    worst_below: Option<&'static str>,
    /// Ids of those directly below it.
    children: Vec<&'a str>,
    /// Its submonitors.
    components: Vec<Part<'a>>,
    /// Name to any JSON.
    metrics: Map<String, Value>,
}

/// Planned work for which a service was stopped.
#[derive(Debug, Serialize, JsonSchema)]
struct Work<'a> {
    /// Which, as they say.
    comment: &'a str,
    /// Who stopped it, as they claim.
    by: Option<&'a str>,
    since: Option<DateTime<Utc>>,
}

/// The schedule of a service.
#[derive(Debug, Serialize, JsonSchema)]
struct Scheduled<'a> {
    /// `30 7 * * * Europe/Warsaw`, `every 15m`.
    rule: &'a str,
    /// When it runs next, by its host's clock.
    next_at: Option<DateTime<Utc>>,
    /// When its last run began.
    last_at: Option<DateTime<Utc>>,
}

/// How the last process of a service ended.
#[derive(Debug, Serialize, JsonSchema)]
struct End {
    at: DateTime<Utc>,
    /// Negative for a signal.
    exit_code: Option<i32>,
    /// SIGKILL.
    signal: Option<String>,
    /// `crashed`, `completed`, `terminated`, `force_killed`, or why it was not started.
    reason: String,
    /// Who asked for it, as they claim.
    requested_by: Option<String>,
    core_dumped: Option<bool>,
    uptime_s: Option<f64>,
    /// Its last lines of output, oldest first.
    last_lines: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Box<CrashFigures>>,
}

impl From<LastEnd> for End {
    fn from(end: LastEnd) -> Self {
        let LastEnd { at, exit_code, signal, reason, requested_by, core_dumped, .. } = end;
        let uptime_s = end.uptime.map(to_seconds);
        let (last_lines, resources) = (end.last_lines, end.resources);
        Self {
            at,
            exit_code,
            signal,
            reason,
            requested_by,
            core_dumped,
            uptime_s,
            last_lines,
            resources,
        }
    }
}

/// A submonitor, as the service reports it.
#[derive(Debug, Serialize, JsonSchema)]
struct Part<'a> {
    name: &'a str,
    #[schemars(with = "StatusWord")]
    status: Status,
    #[schemars(with = "Option<StatusWord>")]
    own_status: Option<Status>,
    at: Option<DateTime<Utc>>,
    message: Option<&'a str>,
    components: Vec<Part<'a>>,
    metrics: &'a Map<String, Value>,
}

impl<'a, S: Serialize> Document<'a, S> {
    /// Of what was selected from `view`, which says of itself what `source` holds.
    pub fn new(view: &'a FleetView, selection: &'a Selection, source: &'a S) -> Self {
        let counts = selection.counts(view);
        Self {
            schema: "tcsctl.fleet.v1",
            taken_at: view.now,
            source,
            counts: Counts {
                known: view.services.len(),
                shown: selection.rows.len(),
                verdicts: Verdict::ALL
                    .into_iter()
                    .map(|verdict| (verdict.as_str(), counts.of(verdict)))
                    .collect(),
            },
            profiles: view.profiles().into_iter().collect(),
            hosts: view
                .hosts
                .iter()
                .map(|(name, host)| {
                    let host = Host {
                        services: host.services,
                        skew_s: host.skew.map(to_seconds),
                        silent: host.silent,
                    };
                    (&**name, host)
                })
                .collect(),
            services: Services { view, selection },
        }
    }

    /// Without what is known of others than those selected: their hosts, and how many they are.
    #[must_use]
    pub fn of_these_only(mut self) -> Self {
        let Services { view, selection } = &self.services;
        let shown = selection.rows.iter().map(|row| &view.services[row.service]);
        let hosts: BTreeSet<&str> = shown.filter_map(|it| it.host.as_deref()).collect();
        self.hosts.retain(|host, _| hosts.contains(host));
        self.counts.known = self.counts.shown;
        self
    }
}

impl<'a> Service<'a> {
    /// One service of `view`.
    pub fn new(view: &'a FleetView, service: &'a ServiceView) -> Self {
        let status = service.record.status();
        let details = status.map(|kept| &kept.message.details);
        Self {
            id: &service.id,
            kind: service.service_type(),
            variant: service.variant(),
            verdict: service.verdict.as_str(),
            since: service.since,
            reasons: service.reasons.iter().map(tcs_fleet::Reason::code).collect(),
            evidence: service.reasons.iter().map(ToString::to_string).collect(),
            headline: service.headline(),
            cause: service.cause(),
            phase: service.phase.as_str(),
            liveness: service.liveness.as_str(),
            status: service.status,
            own_status: service.own_status,
            message: service.message.as_deref(),
            parent: service.parent.as_deref(),
            launcher: launcher(view, service),
            is_launcher: service.is_launcher,
            managed: service.managed,
            declared: service.declared,
            declared_at: view.declared_at(service),
            runner_id: service.runner_id(),
            host: service.host.as_deref(),
            pid: service.pid,
            last_pid: service.last_pid,
            started_at: service.started_at,
            uptime_s: service.uptime(view.now).map(to_seconds),
            last_heartbeat_at: service.last_heartbeat,
            heartbeat_age_s: service.heartbeat_age(view.now).map(to_seconds),
            heartbeat_interval_s: to_seconds(service.interval),
            heartbeat_interval_source: match service.interval_source {
                IntervalSource::Said => "said",
                IntervalSource::Learned => "learned",
                IntervalSource::Assumed => "assumed",
            },
            last_heard_at: service.last_heard,
            restarts: service.restarts,
            restart_attempt: service.attempt.map(|attempt| attempt.number),
            restart_limit: service.attempt.and_then(|attempt| match attempt.limit {
                Some(Limit::Times(limit)) => Some(limit),
                Some(Limit::Unlimited) | None => None,
            }),
            restart_policy: service.restart_policy.as_deref(),
            restart_window_s: service.record.declaration().and_then(|it| it.restart_window),
            planned: service.planned().map(|it| Work {
                comment: &it.comment,
                by: it.by.as_deref(),
                since: it.since.map(tcs_wire::Timestamp::time),
            }),
            schedule: service.schedule().map(|it| Scheduled {
                rule: &it.rule,
                next_at: it.next_at.map(tcs_wire::Timestamp::time),
                last_at: service.started_at,
            }),
            last_end: view.last_end(service).map(End::from),
            worst_below: service.worst_below.map(Verdict::as_str),
            children: service.children.iter().map(|i| &*view.services[*i].id).collect(),
            components: details
                .map(|d| d.components.iter().map(Part::new).collect())
                .unwrap_or_default(),
            metrics: metrics(service),
        }
    }
}

impl<'a> Part<'a> {
    fn new(component: &'a Component) -> Self {
        Self {
            name: &component.name,
            status: component.status,
            own_status: component.details.own_status,
            at: component.timestamp.map(tcs_wire::Timestamp::time),
            message: component.message.as_deref(),
            components: component.details.components.iter().map(Part::new).collect(),
            metrics: &component.details.metrics,
        }
    }
}

/// Those of the newest status, and over them those of the newest heartbeat, which is younger.
pub(crate) fn metrics(service: &ServiceView) -> Map<String, Value> {
    let mut metrics = service
        .record
        .status()
        .map(|kept| kept.message.details.metrics.clone())
        .unwrap_or_default();
    if let Some(light) = service.record.last_beat().and_then(|beat| beat.metrics.as_deref()) {
        metrics.extend(light.to_map());
    }
    metrics
}

fn to_seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1000.0
}
