//! From lives and relations to verdicts with their reasons (`docs/spec/truth.md#liveness` to
//! `docs/spec/truth.md#launchers-and-hosts`).
//!
//! Rules are asked in order ([`rules`], [`ended`]); the first that holds gives the verdict and the
//! reasons that decided. What else is known of the service follows them, by rank.

mod case;
mod ended;
mod notes;
mod rules;

use chrono::{DateTime, Utc};

use super::crashes::{self, Attempt};
use super::life::{Life, Moment};
use super::liveness::{self, PATIENCE};
use super::reason::{Reason, Silence};
use super::relations::Standing;
use super::verdict::{Liveness, Phase, Verdict};
pub(super) use case::Around;
use case::{Case, Finding, Silent};
use tcs_wire::Event;

/// The result.
#[derive(Debug)]
pub(super) struct Assessment {
    pub(super) verdict: Verdict,
    pub(super) phase: Phase,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) reasons: Vec<Reason>,
    pub(super) attempt: Option<Attempt>,
    /// The service is lost, and so is its launcher.
    pub(super) taken_along: bool,
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
        attempt: restarting.then(|| crashes::attempt(life.record)).flatten(),
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
