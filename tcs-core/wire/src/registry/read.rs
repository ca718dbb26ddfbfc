//! Tolerant reading of registry events.

use serde::Deserialize;

use super::{
    Crashed, Declaration, Declared, DeclaredSchedule, Event, Limit, MAX_LAST_BYTES, MAX_LAST_LINES,
    Missed, Planned, RegistryMessage, Stop,
};
use crate::Timestamp;
use crate::control::{CrashFigures, Oom};
use crate::tolerant::{Field, Notes, Take, take_struct};

/// Python's `restart_policy` is whatever YAML gave: unquoted `no` arrives as false.
#[derive(Debug)]
struct Policy(String);

impl Take for Policy {
    fn text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
    fn flag(flag: bool) -> Option<Self> {
        (!flag).then(|| Self("no".to_owned()))
    }
}

/// A limit where null has a meaning of its own: a missing field is `None`.
#[derive(Debug, Default)]
struct RawLimit(Option<Field<u32>>);

impl<'de> Deserialize<'de> for RawLimit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Field::deserialize(deserializer).map(|field| Self(Some(field)))
    }
}

impl RawLimit {
    fn read(self, name: &'static str, notes: &mut Notes) -> Option<Limit> {
        match self.0? {
            Field::Absent => Some(Limit::Unlimited),
            field => notes.take(field, name).map(Limit::Times),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawRegistry {
    event: Field<String>,
    service_id: Field<String>,
    timestamp: Field<Timestamp>,
    parent: Field<String>,
    runner_id: Field<String>,
    launcher_run: Field<String>,
    event_seq: Field<u64>,
    requested_by: Field<String>,
    status: Field<String>,
    restart_policy: Field<Policy>,
    restart_max: RawLimit,
    restart_window: Field<f64>,
    others: Field<Vec<String>>,
    declared: Field<RawDeclaration>,
    hostname: Field<String>,
    pid: Field<u32>,
    startup_duration_seconds: Field<f64>,
    reason: Field<String>,
    exit_code: Field<i32>,
    uptime_seconds: Field<f64>,
    will_restart: Field<bool>,
    signal: Field<String>,
    error: Field<String>,
    restart_attempt: Field<u32>,
    max_restarts: RawLimit,
    restart_at: Field<Timestamp>,
    restart_count: Field<u32>,
    recent_crashes: Field<u32>,
    core_dumped: Field<bool>,
    resources: Field<RawCrashFigures>,
    details: Field<RawEventDetails>,
    waiting_for: Field<Vec<String>>,
    timed_out: Field<bool>,
    missed_count: Field<u32>,
    scheduled_at: Field<Timestamp>,
    made_up: Field<bool>,
    planned: Field<RawPlanned>,
}
take_struct!(RawRegistry);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPlanned {
    comment: Field<String>,
    by: Field<String>,
    since: Field<Timestamp>,
}
take_struct!(RawPlanned);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawEventDetails {
    last_lines: Field<Vec<String>>,
}
take_struct!(RawEventDetails);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawCrashFigures {
    rss_bytes: Field<u64>,
    peak_rss_bytes: Field<u64>,
    sample_age_s: Field<f64>,
    cpu_seconds: Field<f64>,
    read_bytes: Field<u64>,
    written_bytes: Field<u64>,
    open_fds: Field<u64>,
    oom: Field<String>,
}
take_struct!(RawCrashFigures);

impl RawCrashFigures {
    fn read(self, notes: &mut Notes) -> CrashFigures {
        CrashFigures {
            rss_bytes: notes.take(self.rss_bytes, "resources.rss_bytes"),
            peak_rss_bytes: notes.take(self.peak_rss_bytes, "resources.peak_rss_bytes"),
            sample_age_s: notes.take(self.sample_age_s, "resources.sample_age_s"),
            cpu_seconds: notes.take(self.cpu_seconds, "resources.cpu_seconds"),
            read_bytes: notes.take(self.read_bytes, "resources.read_bytes"),
            written_bytes: notes.take(self.written_bytes, "resources.written_bytes"),
            open_fds: notes.take(self.open_fds, "resources.open_fds"),
            oom: notes.text(self.oom, "resources.oom").map(|oom| match oom.as_str() {
                "killed" => Oom::Killed,
                "likely" => Oom::Likely,
                _ => Oom::Other,
            }),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawDeclaration {
    module: Field<String>,
    kind: Field<String>,
    enabled: Field<bool>,
    batch: Field<u64>,
    after: Field<Vec<String>>,
    schedule: Field<RawSchedule>,
    ready: Field<String>,
}
take_struct!(RawDeclaration);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawSchedule {
    rule: Field<String>,
    next_at: Field<Timestamp>,
}
take_struct!(RawSchedule);

/// Other launchers kept of one `declared`, other services of one `waiting`.
const MAX_OTHERS: usize = 16;

/// Services kept that one is after.
const MAX_AFTER: usize = 64;

/// The last `most` texts of a list.
fn texts(
    field: Field<Vec<String>>,
    name: &'static str,
    most: usize,
    notes: &mut Notes,
) -> Vec<String> {
    let mut list = notes.take(field, name).unwrap_or_default();
    if list.len() > most {
        list.drain(..list.len() - most);
        notes.cut(name);
    }
    list.into_iter().filter_map(|text| notes.text(Field::Got(text), name)).collect()
}

/// The newest lines that fit into [`MAX_LAST_BYTES`].
fn last_lines(lines: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let fits = |line: &&String| {
        bytes += line.len();
        bytes <= MAX_LAST_BYTES
    };
    let from = lines.len() - lines.iter().rev().take(MAX_LAST_LINES).take_while(fits).count();
    lines.into_iter().skip(from).collect()
}

impl RawRegistry {
    /// `None` if it names nobody. `subject_event` is used where the body names no event.
    pub(crate) fn read(
        self,
        subject_event: Option<&str>,
        notes: &mut Notes,
    ) -> Option<RegistryMessage> {
        let service_id = crate::object_name(self.service_id)?;
        let name = notes
            .text(self.event, "event")
            .or_else(|| subject_event.map(str::to_owned))
            .unwrap_or_default();
        let policy = notes.take(self.restart_policy, "restart_policy");
        let restart_policy =
            policy.and_then(|policy| notes.text(Field::Got(policy.0), "restart_policy"));
        let event = match name.as_str() {
            "declared" => Event::Declared(Declared {
                restart_policy,
                restart_max: self.restart_max.read("restart_max", notes),
                restart_window: notes.take(self.restart_window, "restart_window"),
                others: texts(self.others, "others", MAX_OTHERS, notes),
                declared: notes.take(self.declared, "declared").map(|raw| {
                    Box::new(Declaration {
                        module: notes.text(raw.module, "declared.module"),
                        kind: notes.text(raw.kind, "declared.kind"),
                        enabled: notes.take(raw.enabled, "declared.enabled"),
                        batch: notes.take(raw.batch, "declared.batch"),
                        after: texts(raw.after, "declared.after", MAX_AFTER, notes),
                        schedule: notes.take(raw.schedule, "declared.schedule").map(|raw| {
                            DeclaredSchedule {
                                rule: notes
                                    .text(raw.rule, "declared.schedule.rule")
                                    .unwrap_or_default(),
                                next_at: notes.take(raw.next_at, "declared.schedule.next_at"),
                            }
                        }),
                        ready: notes.text(raw.ready, "declared.ready"),
                    })
                }),
            }),
            "start" => Event::Start {
                hostname: notes.text(self.hostname, "hostname"),
                pid: notes.take(self.pid, "pid"),
                recent_crashes: notes.take(self.recent_crashes, "recent_crashes"),
            },
            "waiting" => Event::Waiting {
                waiting_for: texts(self.waiting_for, "waiting_for", MAX_OTHERS, notes),
                timed_out: notes.take(self.timed_out, "timed_out").unwrap_or_default(),
            },
            "ready" => Event::Ready {
                startup_duration_seconds: notes
                    .take(self.startup_duration_seconds, "startup_duration_seconds"),
            },
            "stopping" => Event::Stopping { reason: notes.text(self.reason, "reason") },
            "stop" => Event::Stop(Stop {
                reason: notes.text(self.reason, "reason"),
                exit_code: notes.take(self.exit_code, "exit_code"),
                uptime_seconds: notes.take(self.uptime_seconds, "uptime_seconds"),
                planned: notes.take(self.planned, "planned").map(|raw| {
                    Box::new(Planned {
                        comment: notes.text(raw.comment, "planned.comment").unwrap_or_default(),
                        by: notes.text(raw.by, "planned.by"),
                        since: notes.take(raw.since, "planned.since"),
                    })
                }),
            }),
            "crashed" => {
                // a launcher that forgets the flag still says it with the status
                let status = notes.text(self.status, "status");
                Event::Crashed(Crashed {
                    exit_code: notes.take(self.exit_code, "exit_code"),
                    restart_policy,
                    will_restart: notes
                        .take(self.will_restart, "will_restart")
                        .unwrap_or(status.as_deref() == Some("error")),
                    signal: notes.text(self.signal, "signal"),
                    error: notes.text(self.error, "error"),
                    restart_attempt: notes.take(self.restart_attempt, "restart_attempt"),
                    max_restarts: self.max_restarts.read("max_restarts", notes),
                    restart_at: notes.take(self.restart_at, "restart_at"),
                    uptime_seconds: notes.take(self.uptime_seconds, "uptime_seconds"),
                    recent_crashes: notes.take(self.recent_crashes, "recent_crashes"),
                    core_dumped: notes.take(self.core_dumped, "core_dumped"),
                    last_lines: {
                        let details = notes.take(self.details, "details").unwrap_or_default();
                        let lines = texts(details.last_lines, "last_lines", MAX_LAST_LINES, notes);
                        last_lines(lines)
                    },
                    resources: notes
                        .take(self.resources, "resources")
                        .map(|figures| Box::new(figures.read(notes))),
                })
            }
            "restarting" => Event::Restarting {
                restart_attempt: notes.take(self.restart_attempt, "restart_attempt"),
                max_restarts: self.max_restarts.read("max_restarts", notes),
                recent_crashes: notes.take(self.recent_crashes, "recent_crashes"),
            },
            "failed" => Event::Failed {
                reason: notes.text(self.reason, "reason"),
                restart_count: notes.take(self.restart_count, "restart_count"),
                restart_window: notes.take(self.restart_window, "restart_window"),
            },
            "missed" => Event::Missed(Missed {
                reason: notes.text(self.reason, "reason"),
                missed_count: notes.take(self.missed_count, "missed_count"),
                scheduled_at: notes.take(self.scheduled_at, "scheduled_at"),
                made_up: notes.take(self.made_up, "made_up").unwrap_or_default(),
            }),
            _ => Event::without_fields(name),
        };
        Some(RegistryMessage {
            service_id,
            timestamp: notes.take(self.timestamp, "timestamp"),
            parent: notes.text(self.parent, "parent"),
            runner_id: notes.text(self.runner_id, "runner_id"),
            launcher_run: notes.text(self.launcher_run, "launcher_run"),
            event_seq: notes.take(self.event_seq, "event_seq"),
            requested_by: notes.text(self.requested_by, "requested_by"),
            event,
        })
    }
}
