//! From lives and relations to verdicts with their reasons (`docs/spec/truth.md#liveness` to
//! `docs/spec/truth.md#launchers-and-hosts`).
//!
//! Rules are asked in order ([`rules`], [`ended`]); the first that holds gives the verdict and the
//! reasons that decided. What else is known of the service follows them, by rank.

mod ended;
mod notes;
mod rules;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::life::{Life, Moment};
use super::liveness::{self, PATIENCE};
use super::reason::{Reason, Silence};
use super::relations::Standing;
use super::verdict::{Liveness, Phase, Verdict};
use super::view::{Attempt, HostView};
use tcs_wire::Event;

/// What surrounds one service.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) moment: Moment<'a>,
    /// The object above, where it is known: its name and how it stands.
    pub(super) launcher: Option<(&'a str, Standing)>,
    /// Whether that one has it in hand after another, which sent its newest event.
    pub(super) inherited: bool,
    /// Whether a launcher declared it once, and none does now.
    pub(super) removed: Option<Removed>,
    /// The live ones of several launchers that declare it, or at a launcher: that it conflicts with.
    pub(super) conflict: Vec<String>,
    pub(super) host: Option<(&'a Arc<str>, &'a HostView)>,
    pub(super) heartbeats_missing: bool,
}

/// How sure it is that a service is not in the configuration any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// Its launcher has declared others a while later.
    Probably,
    /// Its launcher numbers its declarations.
    Certainly,
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

/// What a rule finds.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    /// Where it differs from the life's.
    phase: Option<Phase>,
    /// Where it differs from the life's.
    since: Option<DateTime<Utc>>,
    /// Those that decided, the cause first.
    reasons: Vec<Reason>,
}

impl Finding {
    fn new(verdict: Verdict, reasons: impl IntoIterator<Item = Reason>) -> Self {
        let reasons = reasons.into_iter().collect();
        Self { verdict, phase: None, since: None, reasons }
    }
}

/// One service and what surrounds it, as the rules see it.
struct Case<'a> {
    life: &'a Life<'a>,
    around: &'a Around<'a>,
    silence: Silent,
    /// Its launcher, which has reported that it ends, and when.
    launcher_ended: Option<(&'a str, DateTime<Utc>)>,
    now: DateTime<Utc>,
}

impl Case<'_> {
    /// What the phase rests on. Another launcher's end of it is none of the one that has it now.
    fn life_reasons(&self) -> impl Iterator<Item = &Reason> {
        let outdated =
            |reason: &&Reason| self.around.inherited && matches!(reason, Reason::Unmanaged { .. });
        self.life.reasons.iter().filter(move |reason| !outdated(reason))
    }
}

/// A question with at most one answer.
type Rule = fn(&Case<'_>) -> Option<Finding>;

/// What its heartbeats come to, once the launcher is known too.
enum Silent {
    No,
    Late(Reason),
    Lost(Reason),
    /// Ad hoc, and never a heartbeat.
    NeverHeard(Reason),
}

pub(super) fn assess(life: &Life<'_>, around: &Around<'_>) -> Assessment {
    let launcher_ended = match around.launcher {
        Some((name, Standing::Ended(at))) if life.began.is_none_or(|began| at > began) => {
            Some((name, at))
        }
        _ => None,
    };
    let now = around.moment.now;
    let case = Case { life, around, silence: silence(life, around), launcher_ended, now };
    let rules = if life.phase.is_up() { rules::UP } else { ended::RULES };
    let finding = rules.iter().find_map(|rule| rule(&case));
    let Finding { verdict, phase, since, mut reasons } =
        finding.unwrap_or_else(|| Finding::new(Verdict::Unknown, None));
    let mut notes = notes::of(&case);
    notes.extend(case.life_reasons().cloned());
    notes.sort_by_key(Reason::rank);
    for note in notes {
        if !reasons.iter().any(|held| held.code() == note.code()) {
            reasons.push(note);
        }
    }
    let phase = phase.unwrap_or(life.phase);
    let restarting = verdict == Verdict::Restarting || phase == Phase::Backoff;
    Assessment {
        verdict,
        phase,
        since: since.or(life.since),
        taken_along: reasons.iter().any(|reason| matches!(reason, Reason::LauncherLost(_))),
        attempt: restarting.then(|| super::crashes::attempt(life.record)).flatten(),
        reasons,
    }
}

/// Liveness where a run should be going on, with what `docs/spec/truth.md#liveness` adds to it.
fn silence(life: &Life<'_>, around: &Around<'_>) -> Silent {
    let Moment { now, link, .. } = around.moment;
    if let Some(sign) = life.sign {
        // a shown age goes on while our own link is down; the judgement does not
        let silence = Silence { age: now - sign, interval: life.interval };
        return match life.liveness {
            Liveness::Late => Silent::Late(Reason::HeartbeatLate(silence)),
            Liveness::Lost => Silent::Lost(Reason::HeartbeatLost(silence)),
            Liveness::Live | Liveness::None => match life.blocked_for() {
                Some(lag) => Silent::Late(Reason::LoopBlocked { lag }),
                None => Silent::No,
            },
        };
    }
    let words = life.words.map(|kept| kept.stamp.stored);
    let Some(anchor) = life.began.max(words).or(life.since) else { return Silent::No };
    if liveness::proven_until(now, link, life.interval) - anchor < PATIENCE {
        return Silent::No;
    }
    let reason = Reason::NeverHeard { since: now - anchor };
    match (life.phase, around.launcher) {
        (Phase::Starting, Some((_, Standing::There))) => Silent::Late(reason),
        (Phase::Starting, _) => Silent::Lost(reason),
        (_, _) if life.managed => Silent::Lost(reason),
        _ => Silent::NeverHeard(reason),
    }
}

/// What else is silent with it.
fn lost_with(case: &Case<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some((name, Standing::Lost)) = case.around.launcher {
        reasons.push(Reason::LauncherLost(name.to_owned()));
    }
    if let Some((host, view)) = case.around.host
        && view.silent
        && case.life.phase.is_up()
    {
        reasons.push(Reason::HostSilent(host.to_string()));
    }
    reasons
}

fn launcher_shutdown(launcher: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Reason {
    Reason::LauncherShutdown { launcher: launcher.to_owned(), ago: now - at }
}

/// The host that the service said it is on: in its status, or its start.
pub(super) fn host<'a>(life: &Life<'a>) -> Option<&'a str> {
    let words = life.words.or_else(|| life.record.status());
    words.and_then(|kept| kept.message.hostname.as_deref()).or_else(|| {
        match &life.record.start()?.message.event {
            Event::Start { hostname, .. } => hostname.as_deref(),
            _ => None,
        }
    })
}

/// Its process, as its status or its start say.
pub(super) fn pid(life: &Life<'_>) -> Option<u32> {
    life.words.and_then(|kept| kept.message.pid).or_else(|| {
        match &life.record.start()?.message.event {
            Event::Start { pid, .. } => *pid,
            _ => None,
        }
    })
}

/// From when on a host's wrong clock is among the reasons.
const SKEW_WARNING: TimeDelta = TimeDelta::seconds(5);
