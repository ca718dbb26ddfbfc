//! From lives and relations to verdicts with their evidence (`truth.md` 5 to 7).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::crashes::{attempt, crash_reason};
use super::life::{self, Life};
use super::liveness::{self, PATIENCE};
use super::relations::{ENDING, Standing, window};
use super::verdict::{Liveness, Phase, Reason, Silence, Verdict};
use super::view::{Attempt, HostView, Link};
use crate::wire::{Event, Status};

/// From when on a host's wrong clock is part of the evidence.
const SKEW_WARNING: TimeDelta = TimeDelta::seconds(5);

/// Why a launcher gives up after too many restarts, in its words.
const LIMIT: &str = "restart_limit_reached";

/// What surrounds one service.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) link: Link,
    /// The object above, where it is known: its name and how it stands.
    pub(super) launcher: Option<(&'a str, Standing)>,
    /// Launchers that declare it at present.
    pub(super) declaring: &'a [&'a str],
    /// The live ones of several launchers that declare it, or at a launcher: that it conflicts with.
    pub(super) conflict: Vec<String>,
    pub(super) host: Option<(&'a Arc<str>, &'a HostView)>,
    pub(super) heartbeats_missing: bool,
}

/// The result.
#[derive(Debug)]
pub(super) struct Assessment {
    pub(super) verdict: Verdict,
    pub(super) phase: Phase,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) reasons: Vec<Reason>,
    pub(super) attempt: Option<Attempt>,
    /// It is lost, and so is its launcher.
    pub(super) taken_along: bool,
}

/// How its heart and its patience stand, once the launcher is known too.
enum Heart {
    Fine,
    Late(Reason),
    Lost(Reason),
    /// Ad hoc, and never a heartbeat.
    Unheard(Reason),
}

pub(super) fn assess(life: &Life<'_>, around: &Around<'_>) -> Assessment {
    let now = around.now;
    let mut result = Assessment {
        verdict: Verdict::Unknown,
        phase: life.phase,
        since: life.since,
        reasons: life.reasons.clone(),
        attempt: None,
        taken_along: false,
    };
    let ended = match around.launcher {
        Some((name, Standing::Ended(at))) if life.began.is_none_or(|began| at > began) => {
            Some((name, at))
        }
        _ => None,
    };
    if let Some((name, at)) = ended
        && life.phase == Phase::Backoff
        && life.since.is_none_or(|since| at > since)
    {
        // Python sends nothing more then
        result.phase = Phase::Stopped;
        result.since = Some(at);
        result.reasons.insert(0, shutdown(name, at, now));
    }
    let heart = heart(life, around);
    result.verdict = match result.phase {
        Phase::Declared | Phase::Stopped | Phase::Completed => {
            end_reasons(life, &mut result, now);
            Verdict::Stopped
        }
        Phase::Failed => {
            end_reasons(life, &mut result, now);
            Verdict::Failed
        }
        Phase::Backoff => backoff(life, around, &mut result),
        Phase::Starting | Phase::Running | Phase::Stopping => {
            up(life, around, heart, ended, &mut result)
        }
    };
    if life.managed && !life.record.declared().is_empty() && around.declaring.is_empty() {
        result.reasons.push(Reason::NotDeclared);
    }
    if let Some((host, view)) = around.host
        && let Some(by) = view.skew.filter(|by| by.abs() >= SKEW_WARNING)
    {
        result.reasons.push(Reason::Skew { host: host.to_string(), by });
    }
    result
}

fn shutdown(launcher: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Reason {
    Reason::LauncherShutdown { launcher: launcher.to_owned(), ago: now - at }
}

/// A service of which something should be there now.
fn up(
    life: &Life<'_>,
    around: &Around<'_>,
    heart: Heart,
    ended: Option<(&str, DateTime<Utc>)>,
    result: &mut Assessment,
) -> Verdict {
    let now = around.now;
    let status = life.status();
    let running = result.phase == Phase::Running;
    let reported = |result: &mut Assessment| match life.words {
        Some(kept) => {
            result.since = Some(kept.stamp.stored);
            result.reasons.insert(0, life::reported(kept, now));
        }
        None => {
            if let (Some(status), Some(beat)) = (status, life.beat) {
                let ago = now - beat.stamp.stored;
                result.reasons.insert(0, Reason::Reported { status, message: None, ago });
            }
        }
    };

    if running && status == Some(Status::Failed) {
        reported(result);
        add_silence(heart, result);
        return Verdict::Failed;
    }
    if let Heart::Lost(reason) = heart {
        if let Some(sign) = life.sign {
            result.since = Some(liveness::turns(sign, life.interval).1);
        }
        result.reasons.insert(0, reason);
        lost_together(life, around, result);
        return Verdict::Lost;
    }
    if running && status == Some(Status::Error) {
        reported(result);
        add_silence(heart, result);
        return Verdict::Error;
    }
    if result.phase == Phase::Starting && life.after_crash {
        result.attempt = attempt(life.record);
        crash_reason(life.record, now, &mut result.reasons);
        return Verdict::Restarting;
    }
    if let Heart::Late(reason) = heart {
        if result.phase != Phase::Stopping {
            if let Some(sign) = life.sign {
                // its loop was well that long before the beat that says so
                let well = match reason {
                    Reason::LoopBlocked { lag } => sign - lag,
                    _ => sign,
                };
                result.since = Some(liveness::turns(well, life.interval).0);
            }
            result.reasons.insert(0, reason);
            if life.after_outage {
                result.reasons.insert(0, Reason::AfterOutage);
            }
            if around.heartbeats_missing {
                result.reasons.push(Reason::HeartbeatsMissing);
            }
            return Verdict::Late;
        }
        result.reasons.push(reason);
        return Verdict::Stopping;
    }
    // its launcher has gone, and it is still there
    if let Some((name, at)) = ended
        && result.phase != Phase::Stopping
    {
        if now - at < ENDING {
            result.phase = Phase::Stopping;
            result.since = Some(at);
            result.reasons.insert(0, shutdown(name, at, now));
            return Verdict::Stopping;
        }
        if life.liveness == Liveness::Live {
            result.since = Some(at + ENDING);
            result.reasons.insert(0, Reason::Orphaned(name.to_owned()));
        }
    }
    if let Some((name, Standing::Lost)) = around.launcher
        && life.liveness == Liveness::Live
    {
        result.reasons.insert(0, Reason::Orphaned(name.to_owned()));
    }
    if !around.conflict.is_empty() {
        result.reasons.insert(0, Reason::Conflict(around.conflict.clone()));
    }
    if let Some(senders) = liveness::doubles(life.record.beats(), life.interval, now) {
        result.reasons.insert(0, Reason::Double(senders));
    }
    let irregular = result.reasons.iter().any(|reason| {
        matches!(
            reason,
            Reason::Orphaned(_)
                | Reason::Conflict(_)
                | Reason::Double(_)
                | Reason::Unmanaged { .. }
        )
    });
    if result.phase == Phase::Stopping {
        return Verdict::Stopping;
    }
    if running && matches!(status, Some(Status::Warning | Status::Degraded)) {
        reported(result);
        return Verdict::Degraded;
    }
    if irregular {
        return Verdict::Degraded;
    }
    if result.phase == Phase::Starting || status == Some(Status::Startup) {
        return Verdict::Starting;
    }
    if let Heart::Unheard(reason) = heart {
        result.reasons.insert(0, reason);
        return Verdict::Unknown;
    }
    match status {
        Some(Status::Ok | Status::Busy | Status::Idle) => {
            if let Some(kept) = life.words {
                result.since = Some(kept.stamp.stored);
            }
            Verdict::Ok
        }
        Some(Status::Unknown) | None => {
            result.reasons.insert(0, Reason::NoStatus);
            Verdict::Unknown
        }
        // said in the table of truth.md 6 before this line, or while its launcher ends
        Some(
            Status::Shutdown
            | Status::Startup
            | Status::Degraded
            | Status::Warning
            | Status::Error
            | Status::Failed,
        ) => Verdict::Unknown,
    }
}

/// Waiting to be started again.
fn backoff(life: &Life<'_>, around: &Around<'_>, result: &mut Assessment) -> Verdict {
    result.attempt = attempt(life.record);
    crash_reason(life.record, around.now, &mut result.reasons);
    if matches!(around.launcher, Some((_, Standing::Lost))) {
        lost_together(life, around, result);
        return Verdict::Lost;
    }
    Verdict::Restarting
}

/// What else is silent with it: the one cause stands first.
fn lost_together(life: &Life<'_>, around: &Around<'_>, result: &mut Assessment) {
    if let Some((host, view)) = around.host
        && view.silent
        && life.phase != Phase::Backoff
    {
        result.reasons.insert(0, Reason::HostSilent(host.to_string()));
    }
    if let Some((name, Standing::Lost)) = around.launcher {
        result.reasons.insert(0, Reason::LauncherLost(name.to_owned()));
        result.taken_along = true;
    }
    if around.heartbeats_missing {
        result.reasons.push(Reason::HeartbeatsMissing);
    }
}

fn add_silence(heart: Heart, result: &mut Assessment) {
    match heart {
        Heart::Fine => {}
        Heart::Late(reason) | Heart::Lost(reason) | Heart::Unheard(reason) => {
            result.reasons.push(reason);
        }
    }
}

/// Liveness where a run should be going on, with what rule 5 adds to it.
fn heart(life: &Life<'_>, around: &Around<'_>) -> Heart {
    let now = liveness::heard_until(around.now, around.link);
    if let Some(sign) = life.sign {
        // a shown age goes on while our own link is down; the judgement does not
        let silence = Silence { age: around.now - sign, interval: life.interval };
        return match life.liveness {
            Liveness::Late => Heart::Late(Reason::HeartbeatLate(silence)),
            Liveness::Lost => Heart::Lost(Reason::HeartbeatLost(silence)),
            Liveness::Live | Liveness::None => match life.blocked_for() {
                Some(lag) => Heart::Late(Reason::LoopBlocked { lag }),
                None => Heart::Fine,
            },
        };
    }
    let words = life.words.map(|kept| kept.stamp.stored);
    let Some(anchor) = life.began.max(words).or(life.since) else { return Heart::Fine };
    if now - anchor < PATIENCE || liveness::after_outage(around.now, around.link, life.interval) {
        return Heart::Fine;
    }
    let reason = Reason::NeverHeard { since: around.now - anchor };
    match (life.phase, around.launcher) {
        (Phase::Starting, Some((_, Standing::There))) => Heart::Late(reason),
        (Phase::Starting, _) => Heart::Lost(reason),
        (_, _) if life.managed => Heart::Lost(reason),
        _ => Heart::Unheard(reason),
    }
}

/// Why something is not there (any more).
fn end_reasons(life: &Life<'_>, result: &mut Assessment, now: DateTime<Utc>) {
    if result.phase == Phase::Stopped && result.reasons.iter().any(is_shutdown) {
        return;
    }
    let Some(event) = life.record.newest_event().filter(|_| life.phase != Phase::Declared) else {
        if let Some(kept) = life.words.filter(|_| life.phase != Phase::Declared) {
            let reason = "stopped".to_owned();
            let ago = now - kept.stamp.stored;
            result.reasons.insert(0, Reason::Ended { reason, exit_code: None, ago });
        }
        return;
    };
    let ago = now - event.stamp.stored;
    let reason = match &event.message.event {
        Event::Stop(stop) => Reason::Ended {
            reason: stop.reason.clone().unwrap_or_else(|| "stopped".to_owned()),
            exit_code: stop.exit_code,
            ago,
        },
        Event::Crashed(crash) => Reason::Crashed { how: crash.how(), ago, restart_at: None },
        Event::Failed { reason, restart_count } => Reason::GivenUp {
            reason: reason.clone().unwrap_or_else(|| "failed".to_owned()),
            restarts: *restart_count,
            window: reason.as_deref().filter(|it| *it == LIMIT).and(window(life.record)),
            ago,
        },
        Event::Start { .. }
        | Event::Ready { .. }
        | Event::Stopping { .. }
        | Event::Restarting { .. }
        | Event::Waiting { .. }
        | Event::Declared(_)
        | Event::Other(_) => Reason::Ended { reason: "stopped".to_owned(), exit_code: None, ago },
    };
    let gave_up = matches!(reason, Reason::GivenUp { .. });
    // what it said of its own failure says more than how it ended
    let place = usize::from(matches!(result.reasons.first(), Some(Reason::Reported { .. })));
    result.reasons.insert(place, reason);
    if gave_up {
        crash_reason(life.record, now, &mut result.reasons);
    }
}

fn is_shutdown(reason: &Reason) -> bool {
    matches!(reason, Reason::LauncherShutdown { .. })
}

/// The host that the service said it is on: its words', or its start's.
pub(super) fn host<'a>(life: &Life<'a>) -> Option<&'a str> {
    let words = life.words.or_else(|| life.record.status());
    words.and_then(|kept| kept.message.hostname.as_deref()).or_else(|| {
        match &life.record.start()?.message.event {
            Event::Start { hostname, .. } => hostname.as_deref(),
            _ => None,
        }
    })
}

/// Its process, as its words or its start say.
pub(super) fn pid(life: &Life<'_>) -> Option<u32> {
    life.words.and_then(|kept| kept.message.pid).or_else(|| {
        match &life.record.start()?.message.event {
            Event::Start { pid, .. } => *pid,
            _ => None,
        }
    })
}
