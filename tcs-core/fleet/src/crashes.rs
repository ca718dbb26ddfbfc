//! What is known of a service's crashes, ends and restarts.

use chrono::{DateTime, TimeDelta, Utc};

use super::life::Moment;
use super::liveness::span;
use super::origin::Origins;
use super::reason::Reason;
use super::record::{MAX_CRASHES, Record};
use super::stamp::Kept;
use tcs_wire::control::CrashFigures;
use tcs_wire::{Event, Limit, RegistryMessage, how_ended};

/// Python counts restarts inside this window when it declares none.
const DEFAULT_WINDOW: TimeDelta = TimeDelta::seconds(60);
/// Crashes are counted over this time.
pub const FLAPPING_WINDOW: TimeDelta = TimeDelta::minutes(10);
/// So many of them, and the service flaps,
const FLAPPING: u32 = 3;
/// until there has been none for this time.
const FLAPPING_ENDS: TimeDelta = TimeDelta::minutes(5);

/// How a process of a service ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LastEnd {
    /// When, by the broker's clock.
    pub at: DateTime<Utc>,
    /// Negative for a signal.
    pub exit_code: Option<i32>,
    /// Its name: `SIGKILL`.
    pub signal: Option<String>,
    /// `crashed`, `completed`, `terminated`, `force_killed`, or why it was not started.
    pub reason: String,
    /// Who asked for it, as they claim.
    pub requested_by: Option<String>,
    /// Whether a core was dumped, where the launcher says it.
    pub core_dumped: Option<bool>,
    /// How long it had run.
    pub uptime: Option<TimeDelta>,
    /// Its last lines of output, oldest first.
    pub last_lines: Vec<String>,
    /// Of a crash: what the run had used, where the launcher says it.
    pub resources: Option<Box<CrashFigures>>,
}

/// `(2/5)`, `(7/∞)`, `(2/?)`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// `None`: the limit is not on the wire.
    pub limit: Option<Limit>,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.limit {
            Some(Limit::Times(limit)) => write!(f, "({}/{limit})", self.number),
            Some(Limit::Unlimited) => write!(f, "({}/∞)", self.number),
            None => write!(f, "({}/?)", self.number),
        }
    }
}

/// The last crash as a reason. `waiting`: it is about to be started again.
pub(super) fn crash_reason(record: &Record, moment: &Moment<'_>, waiting: bool) -> Option<Reason> {
    let kept = record.crashed()?;
    let Event::Crashed(crash) = &kept.message.event else { return None };
    let at = moment.happened(kept);
    // both by the launcher's clock, which may be wrong
    let pause = crash.restart_at.zip(kept.message.timestamp).map(|(to, at)| to.time() - at.time());
    Some(Reason::Crashed {
        cause: crash.headline(),
        uptime: crash.uptime_seconds.filter(|uptime| *uptime >= 0.0).map(span),
        ago: moment.now - at,
        restart_in: pause.filter(|_| waiting).map(|pause| at + pause - moment.now),
    })
}

/// Whether it crashed several times lately: from the launcher's count, which one message carries,
/// or from the crashes held.
pub(super) fn flapping(record: &Record, moment: &Moment<'_>) -> Option<Reason> {
    let kept = record.crashed()?;
    let Event::Crashed(crash) = &kept.message.event else { return None };
    let ago = moment.now - moment.happened(kept);
    if ago >= FLAPPING_ENDS {
        return None;
    }
    let lately = record.crashes().iter().filter(|mark| {
        let at = moment.origins.happened(mark.run, mark.stamp.stored).at;
        moment.now - at < FLAPPING_WINDOW
    });
    let held = u32::try_from(lately.count()).unwrap_or(u32::MAX);
    // the newest message that has the count
    let counted = [record.start(), record.crashed(), record.restarting()]
        .into_iter()
        .flatten()
        .filter_map(|kept| Some((kept, recent_crashes(&kept.message.event)?)))
        .max_by(|(a, _), (b, _)| a.compare(b))
        .map(|(_, count)| count);
    let crashes = held.max(counted.unwrap_or_default());
    (crashes >= FLAPPING).then(|| Reason::Flapping {
        crashes,
        at_least: counted.is_none() && held as usize == MAX_CRASHES,
        cause: crash.headline(),
        ago,
    })
}

fn recent_crashes(event: &Event) -> Option<u32> {
    match event {
        Event::Start { recent_crashes, .. } | Event::Restarting { recent_crashes, .. } => {
            *recent_crashes
        }
        Event::Crashed(crash) => crash.recent_crashes,
        _ => None,
    }
}

/// How its last process ended, or why none was started.
pub(super) fn last_end(record: &Record, origins: &Origins) -> Option<LastEnd> {
    let kept = record.newest_exit().or_else(|| record.newest_end())?;
    let crash = match &kept.message.event {
        Event::Crashed(crash) => Some(crash),
        _ => None,
    };
    let (reason, exit_code, uptime) = match &kept.message.event {
        Event::Stop(stop) => {
            (stop.reason.as_deref().unwrap_or("stopped"), stop.exit_code, stop.uptime_seconds)
        }
        Event::Crashed(crash) => ("crashed", crash.exit_code, crash.uptime_seconds),
        Event::Failed { reason, .. } => (reason.as_deref().unwrap_or("failed"), None, None),
        _ => return None,
    };
    let signal = crash.and_then(|crash| crash.signal.clone());
    Some(LastEnd {
        at: origins.happened(kept.run, kept.stamp.stored).at,
        exit_code,
        signal: signal.or_else(|| exit_code.filter(|code| *code < 0).map(how_ended)),
        reason: reason.to_owned(),
        requested_by: requested_by(record, kept),
        core_dumped: crash.and_then(|crash| crash.core_dumped),
        uptime: uptime.map(span),
        last_lines: crash.map(|crash| crash.last_lines.clone()).unwrap_or_default(),
        resources: crash.and_then(|crash| crash.resources.clone()),
    })
}

/// Who asked for the stop that led to this end.
pub(super) fn requested_by(record: &Record, end: &Kept<RegistryMessage>) -> Option<String> {
    if end.message.requested_by.is_some() {
        return end.message.requested_by.clone();
    }
    let stopping = record.stopping().filter(|kept| end.is_newer(kept))?;
    let started_since = record.start().is_some_and(|start| start.is_newer(stopping));
    stopping.message.requested_by.clone().filter(|_| !started_since)
}

/// Which attempt a restart is, of how many. Python does not say it in `crashed`: then it is one
/// more than the last `restarting` of the window.
pub(super) fn attempt(record: &Record) -> Option<Attempt> {
    let crashed = record.crashed()?;
    let Event::Crashed(crash) = &crashed.message.event else { return None };
    let again = record.restarting().and_then(|kept| match kept.message.event {
        Event::Restarting { restart_attempt, max_restarts, .. } => {
            Some((kept, restart_attempt, max_restarts))
        }
        _ => None,
    });
    let number = match again {
        Some((kept, Some(number), _)) if kept.is_newer(crashed) => number,
        Some((kept, Some(number), _))
            if crashed.stamp.stored - kept.stamp.stored < DEFAULT_WINDOW =>
        {
            crash.restart_attempt.unwrap_or(number + 1)
        }
        _ => crash.restart_attempt.unwrap_or(1),
    };
    let declared = || record.declaration().and_then(|declared| declared.restart_max);
    let limit = crash.max_restarts.or(again.and_then(|(_, _, limit)| limit)).or_else(declared);
    let limit = limit.map(|limit| match limit {
        Limit::Times(0) | Limit::Unlimited => Limit::Unlimited,
        Limit::Times(times) => Limit::Times(times),
    });
    Some(Attempt { number, limit })
}

/// How often it was restarted, as long as the last crash is remembered.
pub(super) fn restarts(record: &Record, now: DateTime<Utc>) -> u32 {
    let Some(crashed) = record.crashed() else { return 0 };
    if now - crashed.stamp.stored > remembered(record) {
        return 0;
    }
    match record.restarting().map(|kept| &kept.message.event) {
        Some(Event::Restarting { restart_attempt, .. }) => restart_attempt.unwrap_or(1),
        _ => 0,
    }
}

/// The declared window in which restarts are counted.
pub(super) fn window(record: &Record) -> Option<TimeDelta> {
    record.declaration().and_then(|declared| declared.restart_window).map(span)
}

/// How long crashes are remembered: as long as restarts, and 5 minutes at least
/// (`docs/spec/truth.md#verdict`).
fn remembered(record: &Record) -> TimeDelta {
    window(record).unwrap_or_default().max(TimeDelta::minutes(5))
}
