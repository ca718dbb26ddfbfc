//! What else is known of a service beside what decided.

use chrono::TimeDelta;

use super::super::crashes::flapping;
use super::super::liveness;
use super::super::reason::Reason;
use super::super::relations::{ENDING, Removed, Standing};
use super::super::verdict::{Liveness, Phase};
use super::case::{Case, Silent};

/// From when on a host's wrong clock is among the reasons.
const SKEW_WARNING: TimeDelta = TimeDelta::seconds(5);

/// All of them, in no order.
pub(super) fn of(case: &Case<'_>) -> Vec<Reason> {
    let mut notes = irregular(case);
    let silent = matches!(case.silence, Silent::Late(_) | Silent::Lost(_));
    if case.around.heartbeats_missing && silent && case.life.phase.is_up() {
        notes.push(Reason::HeartbeatsMissing);
    }
    if case.around.removed.is_some() {
        notes.push(Reason::NotDeclared);
    }
    if let Some((host, view)) = case.around.host
        && let Some(by) = view.skew.filter(|by| by.abs() >= SKEW_WARNING)
    {
        notes.push(Reason::Skew { host: host.to_string(), by });
    }
    notes
}

/// What makes a running service degraded, whatever it reports itself.
pub(super) fn irregular(case: &Case<'_>) -> Vec<Reason> {
    let (life, around) = (case.life, case.around);
    let mut reasons = Vec::new();
    reasons.extend(flapping(life.record, &around.moment));
    let is_live = life.liveness == Liveness::Live;
    if !life.phase.is_up() {
        return reasons;
    }
    let unmanaged = |reason: &&Reason| matches!(reason, Reason::Unmanaged { .. });
    reasons.extend(case.life_reasons().find(unmanaged).cloned());
    let removed = around.removed == Some(Removed::Certainly);
    if removed && is_live && life.phase == Phase::Running && life.reasons.is_empty() {
        reasons.push(Reason::Unmanaged { ended_ago: None });
    }
    let gone = match (case.launcher_ended, around.launcher) {
        (Some((name, at)), _) if case.now - at >= ENDING => Some(name),
        (_, Some((name, Standing::Lost))) => Some(name),
        _ => None,
    };
    if let Some(name) = gone.filter(|_| is_live && life.phase != Phase::Stopping) {
        reasons.push(Reason::Orphaned(name.to_owned()));
    }
    if !around.conflict.is_empty() {
        reasons.push(Reason::Conflict(around.conflict.clone()));
    }
    let double = life
        .record
        .has_several_senders()
        .then(|| liveness::doubles(life.record, life.interval, case.now))
        .flatten()
        .or_else(|| life.two_senders().filter(|_| is_live));
    reasons.extend(double.map(Reason::Double));
    reasons
}
