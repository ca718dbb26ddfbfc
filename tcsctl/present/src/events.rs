//! What happened, a line each: one form for `tcsctl events` and the dashboard.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::transitions::{Cause, Group, Transition};
use tcs_fleet::{FleetView, Kept, Reason, ServiceView, Verdict, format_duration, short_host};
use tcs_wire::control::CrashFigures;
use tcs_wire::{Event, RegistryMessage, Status};

use super::schema::StatusWord;
use super::table::WIDEST;
use super::{Line, Role};
use super::{Look, text};

/// The narrowest and the widest that the names' column gets on a terminal.
const NAMES: (usize, usize) = (24, 44);
/// A message that was stored this much later than what it tells of says so.
const LATE: TimeDelta = TimeDelta::seconds(2);

/// How wide the column of names is, for these groups and what may follow.
pub fn name_width<'a>(groups: impl IntoIterator<Item = &'a Group<'a>>, look: &Look) -> usize {
    let widest = groups.into_iter().map(|group| text::width(&text::shown(&name(group)))).max();
    let most = look.width.map_or(WIDEST, |width| NAMES.1.min(width * 2 / 5));
    widest.unwrap_or(0).max(NAMES.0).min(most)
}

/// To whom it happened: `guider.jk15`, `53 services`.
pub fn name(group: &Group<'_>) -> String {
    if group.is_many() {
        format!("{} services", group.members.len())
    } else {
        group.first().id.to_string()
    }
}

/// One line: when, who (in a column of `names` cells), what.
pub fn line(group: &Group<'_>, names: usize, now: DateTime<Utc>, look: &Look) -> Line {
    let first = group.first();
    let mut line = Line::new().with(Role::Dim, &look.times.stamp(first.at, now));
    line.push(Role::Text, "  ");
    let name = name(group);
    let name = text::shown(&name);
    let name = match look.width {
        Some(_) => text::cut_middle(&name, names),
        None => name.into_owned(),
    };
    let end = line.width() + names.max(text::width(&name)) + 2;
    line.push(Role::Text, &name).pad_to(end);
    line.extend(of_group(group));
    match look.width {
        Some(width) => line.cut(width),
        None => line,
    }
}

/// What happened to each of them, in words.
pub fn of_group(group: &Group<'_>) -> Line {
    let first = group.first();
    if !group.is_many() {
        return words(first);
    }
    let mut line = change(first);
    if let Some(lasted) = group.lasted().filter(|_| is_silent(first.before.map(|it| it.verdict))) {
        line.push(Role::Text, &format!(" after {}", format_duration(lasted)));
    }
    let within = group.within();
    if within < TimeDelta::seconds(1) {
        line.with(Role::Text, ", all at once")
    } else {
        line.with(Role::Text, &format!(", all within {}", format_duration(within)))
    }
}

fn is_silent(verdict: Option<Verdict>) -> bool {
    matches!(verdict, Some(Verdict::Late | Verdict::Lost))
}

/// From one verdict to another.
fn change(transition: &Transition) -> Line {
    let mut line = Line::new();
    if let Some(before) = transition.before {
        line.push(Role::Dim, &format!("{} → ", before.verdict));
    }
    line.with(transition.verdict.into(), transition.verdict.as_str())
}

/// What happened, in words: `ok → error after 42 s: lost the star`.
pub fn words(transition: &Transition) -> Line {
    let line = what(transition);
    with_origin(line, transition.by.as_deref(), transition.delivered_late)
}

/// The newest of each event of a service that is held, newest last: when, and what.
pub(crate) fn held(view: &FleetView, service: &ServiceView) -> Vec<(DateTime<Utc>, Line)> {
    let told = |kept: &Arc<Kept<RegistryMessage>>| {
        let RegistryMessage { event, requested_by, .. } = &kept.message;
        let happened = view.happened(kept);
        let line = Line::new().with(role(event), &event.in_words(None));
        (happened.at, with_origin(line, requested_by.as_deref(), happened.late))
    };
    service.record.events().into_iter().map(told).collect()
}

fn with_origin(mut line: Line, by: Option<&str>, late: TimeDelta) -> Line {
    if let Some(by) = by {
        line.push(Role::Dim, &format!("  by {by}"));
    }
    if late >= LATE {
        line.push(Role::Dim, &format!("  delivered {} late", format_duration(late)));
    }
    line
}

fn what(transition: &Transition) -> Line {
    match &transition.cause {
        Cause::Event { event, ran, .. } => Line::new().with(role(event), &event.in_words(*ran)),
        Cause::Status { from, to, message } => {
            let before = from.map_or("reports ".to_owned(), |(from, _)| format!("{from} → "));
            let mut line = Line::new().with(Role::Dim, &before).with((*to).into(), to.as_str());
            if let Some((_, lasted)) = from {
                line.push(Role::Text, &format!(" after {}", format_duration(*lasted)));
            }
            if let Some(message) = message.as_deref().filter(|message| !message.is_empty()) {
                line.push(Role::Text, &format!(": {message}"));
            }
            line
        }
        Cause::Reboot { host } => Line::new().with(Role::Warn, &rebooted(host)),
        Cause::Profile { name, before } => {
            Line::new().with(Role::Text, &profile(name.as_deref(), before.as_deref()))
        }
        Cause::Heartbeat => {
            let mut line = change(transition);
            if let Some(lasted) = transition.before.and_then(|before| before.lasted) {
                line.push(Role::Text, &format!(" after {}", format_duration(lasted)));
            }
            let before = transition.before.map(|before| before.verdict);
            match (transition.verdict, &transition.reasons[..]) {
                (Verdict::Ok, _) if transition.before.is_some_and(|before| before.blocked) => {
                    line.with(Role::Text, ": main loop runs again")
                }
                (Verdict::Ok, _) if is_silent(before) => {
                    line.with(Role::Text, ": heartbeats arrive again")
                }
                (Verdict::Ok, _) | (_, []) => line,
                (_, [reason, ..]) => line.with(Role::Text, &format!(": {reason}")),
            }
        }
    }
}

/// `moved to profile night (before: day)`
pub fn profile(name: Option<&str>, before: Option<&str>) -> String {
    match (name, before) {
        (Some(name), Some(before)) if name != before => {
            format!("moved to profile {name} (before: {before})")
        }
        (Some(name), Some(_)) => format!("moved to profile {name} again"),
        (Some(name), None) => format!("moved to profile {name}"),
        (None, Some(before)) => format!("left profile {before}"),
        (None, None) => "left its profile".to_owned(),
    }
}

/// `host srv02 rebooted`
fn rebooted(host: &str) -> String {
    format!("host {} rebooted", short_host(host))
}

const fn role(event: &Event) -> Role {
    match event {
        Event::Crashed(_) | Event::Failed { .. } => Role::Bad,
        Event::Waiting { timed_out: true, .. } | Event::Restarting { .. } | Event::Missed(_) => {
            Role::Warn
        }
        Event::Waiting { .. } | Event::Start { .. } | Event::Stopping { .. } => Role::Moving,
        Event::Ready { .. } => Role::Good,
        _ => Role::Text,
    }
}

/// For `--json`: one object a line.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "event",
    title = "What `tcsctl events --json` prints, one object per line",
    description = "Something that happened to one service: a launcher's life cycle event, \
        another status than before, heartbeats that stopped or came again, or a reboot of its \
        host. Times are RFC 3339 in UTC; durations are in seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.event.v1")
)]
pub struct Object<'a> {
    #[schemars(extend("const" = "tcsctl.event.v1"))]
    schema: &'static str,
    /// When it happened, by the broker's clock; where a message does not say how far into its
    /// sender's run it was made, when the broker stored it.
    at: DateTime<Utc>,
    /// To which service; of host: the launcher that tells of it.
    id: &'a str,
    /// A launcher's event; another reported status than before; heartbeats that stopped, came
    /// again, or tell of a blocked main loop; what happened to a host.
    #[schemars(extend("enum" = ["lifecycle", "status", "liveness", "host"]))]
    kind: &'static str,
    /// Of lifecycle: start, ready, stopping, stop, crashed, restarting, failed, missed, or what a later
    /// launcher may say; of status: status; of liveness: liveness; of host: reboot.
    event: &'a str,
    /// The same in words.
    text: String,
    /// Of status: what it said before; null: nothing that is known.
    #[schemars(with = "Option<StatusWord>")]
    from: Option<Status>,
    /// Of status: what it says.
    #[schemars(with = "Option<StatusWord>")]
    status: Option<Status>,
    /// Of status: its message.
    message: Option<&'a str>,
    /// Of an end: how long it had run; of status: how long it had said `from`.
    lasted_s: Option<f64>,
    /// Of lifecycle: who said it.
    launcher: Option<&'a str>,
    /// Who asked for it.
    requested_by: Option<&'a str>,
    /// What is particular to one event.
    details: Option<Details<'a>>,
    /// The verdict from then on.
    verdict: &'static str,
    /// The verdict before, where it was another and is known.
    verdict_before: Option<&'static str>,
    /// How long that had lasted.
    verdict_lasted_s: Option<f64>,
    /// Why it is that verdict, as codes, the decisive one first.
    reasons: Vec<&'static str>,
    /// The same in words.
    evidence: Vec<String>,
    /// How much later than it happened the broker stored the message that tells of it.
    delivered_late_s: f64,
}

impl<'a> Object<'a> {
    /// Of one transition.
    pub fn new(transition: &'a Transition) -> Self {
        let seconds = |span: TimeDelta| span.num_milliseconds() as f64 / 1000.0;
        let before = transition.before;
        let mut object = Self {
            schema: "tcsctl.event.v1",
            at: transition.at,
            id: &transition.id,
            kind: "liveness",
            event: "liveness",
            text: words(&Transition { by: None, ..transition.clone() }).plain(),
            from: None,
            status: None,
            message: None,
            lasted_s: None,
            launcher: None,
            requested_by: transition.by.as_deref(),
            details: None,
            verdict: transition.verdict.as_str(),
            verdict_before: before.map(|before| before.verdict.as_str()),
            verdict_lasted_s: before.and_then(|before| before.lasted).map(seconds),
            reasons: transition.reasons.iter().map(Reason::code).collect(),
            evidence: transition.reasons.iter().map(ToString::to_string).collect(),
            delivered_late_s: seconds(transition.delivered_late),
        };
        match &transition.cause {
            Cause::Event { event, launcher, ran } => {
                object.kind = "lifecycle";
                object.event = event.name();
                object.text = event.in_words(*ran);
                object.lasted_s = ran.map(seconds);
                object.launcher = launcher.as_deref();
                object.details = Details::of(event);
            }
            Cause::Status { from, to, message } => {
                object.kind = "status";
                object.event = "status";
                object.text = to.to_string();
                object.from = from.map(|(from, _)| from);
                object.status = Some(*to);
                object.message = message.as_deref();
                object.lasted_s = from.map(|(_, lasted)| seconds(lasted));
            }
            Cause::Heartbeat => object.lasted_s = object.verdict_lasted_s,
            Cause::Reboot { host } => {
                (object.kind, object.event) = ("host", "reboot");
                object.details = Some(Details::Reboot { host });
            }
            Cause::Profile { name, before } => {
                (object.kind, object.event) = ("profile", "profile");
                object.details =
                    Some(Details::Profile { profile: name.as_deref(), before: before.as_deref() });
            }
        }
        object
    }
}

/// What is particular to one kind of event.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Details<'a> {
    /// Of start.
    Start { host: Option<&'a str>, pid: Option<u32> },
    /// Of waiting.
    Waiting {
        /// Services that are not ready yet.
        waiting_for: &'a [String],
        /// Started without waiting any longer.
        timed_out: bool,
    },
    /// Of ready.
    Ready { startup_s: Option<f64> },
    /// Of stopping.
    Stopping { reason: Option<&'a str> },
    /// Of stop.
    Stop {
        reason: Option<&'a str>,
        exit_code: Option<i32>,
        /// The planned work for which it stays stopped.
        #[serde(skip_serializing_if = "Option::is_none")]
        comment: Option<&'a str>,
    },
    /// Of crashed.
    Crashed {
        /// The crash in words.
        how: String,
        exit_code: Option<i32>,
        signal: Option<&'a str>,
        error: Option<&'a str>,
        will_restart: bool,
        restart_attempt: Option<u32>,
        restart_at: Option<DateTime<Utc>>,
        /// Crashes in the last 10 minutes, this one included.
        recent_crashes: Option<u32>,
        /// What the run had used, where its launcher says it; what could not be read is absent.
        resources: Option<&'a CrashFigures>,
        core_dumped: Option<bool>,
        /// The last lines of output, oldest first.
        last_lines: &'a [String],
    },
    /// Of restarting.
    Restarting { restart_attempt: Option<u32> },
    /// Of reboot.
    Reboot {
        /// Its name, in full.
        host: &'a str,
    },
    /// Of profile.
    Profile {
        /// The launcher's profile from then on; null: none.
        profile: Option<&'a str>,
        /// The one before.
        before: Option<&'a str>,
    },
    /// Of missed.
    Missed {
        /// `launcher_not_running`, `still_running`.
        reason: Option<&'a str>,
        /// How many runs; 1000: or more.
        missed_count: Option<u32>,
        /// For which time the last of them was.
        scheduled_at: Option<DateTime<Utc>>,
        /// One run takes place for them.
        made_up: bool,
    },
    /// Of failed.
    Failed { reason: Option<&'a str>, restart_count: Option<u32> },
}

impl<'a> Details<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        Some(match event {
            Event::Start { hostname, pid, .. } => {
                Self::Start { host: hostname.as_deref(), pid: *pid }
            }
            Event::Waiting { waiting_for, timed_out } => {
                Self::Waiting { waiting_for, timed_out: *timed_out }
            }
            Event::Ready { startup_duration_seconds } => {
                Self::Ready { startup_s: *startup_duration_seconds }
            }
            Event::Stopping { reason } => Self::Stopping { reason: reason.as_deref() },
            Event::Stop(stop) => Self::Stop {
                reason: stop.reason.as_deref(),
                exit_code: stop.exit_code,
                comment: stop.planned.as_ref().map(|planned| planned.comment.as_str()),
            },
            Event::Crashed(crash) => Self::Crashed {
                how: crash.headline(),
                exit_code: crash.exit_code,
                signal: crash.signal.as_deref(),
                error: crash.error.as_deref(),
                will_restart: crash.will_restart,
                restart_attempt: crash.restart_attempt,
                restart_at: crash.restart_at.map(tcs_wire::Timestamp::time),
                recent_crashes: crash.recent_crashes,
                resources: crash.resources.as_deref(),
                core_dumped: crash.core_dumped,
                last_lines: &crash.last_lines,
            },
            Event::Restarting { restart_attempt, .. } => {
                Self::Restarting { restart_attempt: *restart_attempt }
            }
            Event::Failed { reason, restart_count, .. } => {
                Self::Failed { reason: reason.as_deref(), restart_count: *restart_count }
            }
            Event::Missed(missed) => Self::Missed {
                reason: missed.reason.as_deref(),
                missed_count: missed.missed_count,
                scheduled_at: missed.scheduled_at.map(tcs_wire::Timestamp::time),
                made_up: missed.made_up,
            },
            _ => return None,
        })
    }
}
