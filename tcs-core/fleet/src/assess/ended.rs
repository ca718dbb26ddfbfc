//! The rules for a service of which nothing runs: not started, ended, or waiting to be started.

use super::super::crashes::{crash_reason, requested_by, window};
use super::super::reason::Reason;
use super::super::relations::Standing;
use super::super::verdict::{Phase, Verdict};
use super::case::{Case, Finding, Rule, launcher_shutdown, lost_with};
use tcs_wire::{Event, Stop};

/// Why a launcher gives up after too many restarts, in its words.
const LIMIT: &str = "restart_limit_reached";

/// In this order, the first that holds.
pub(super) const RULES: &[Rule] =
    &[removed, cancelled, not_to_be_started, waiting, backoff, failed, stopped];

/// No launcher has it in its configuration any more: how it ended is history.
fn removed(case: &Case<'_>) -> Option<Finding> {
    case.around.removed?;
    let phase = match case.life.phase {
        Phase::Waiting | Phase::Backoff => Some(Phase::Stopped),
        _ => None,
    };
    let reasons = std::iter::once(Reason::NotDeclared).chain(why_ended(case));
    Some(Finding { phase, ..Finding::new(Verdict::Stopped, reasons) })
}

/// Its launcher ends, and starts nothing any more. (Python sends nothing of it.)
fn cancelled(case: &Case<'_>) -> Option<Finding> {
    let life = case.life;
    let (name, at) = case.launcher_ended?;
    if !is_to_be_started(life.phase) || life.since.is_some_and(|since| at <= since) {
        return None;
    }
    let finding = Finding::new(Verdict::Stopped, [launcher_shutdown(name, at, case.now)]);
    Some(Finding { phase: Some(Phase::Stopped), since: Some(at), ..finding })
}

/// The service waits to be started, but its launcher is lost.
fn not_to_be_started(case: &Case<'_>) -> Option<Finding> {
    let lost = matches!(case.around.launcher, Some((_, Standing::Lost)));
    if !(lost && is_to_be_started(case.life.phase)) {
        return None;
    }
    let crash = crash_reason(case.life.record, &case.around.moment, false);
    let crash = crash.filter(|_| case.life.phase == Phase::Backoff);
    Some(Finding::new(Verdict::Lost, lost_with(case).into_iter().chain(crash)))
}

fn is_to_be_started(phase: Phase) -> bool {
    matches!(phase, Phase::Waiting | Phase::Backoff)
}

/// Other services are not ready yet.
fn waiting(case: &Case<'_>) -> Option<Finding> {
    let event = case.life.record.newest_event().filter(|_| case.life.phase == Phase::Waiting)?;
    let Event::Waiting { waiting_for, timed_out } = &event.message.event else { return None };
    let verdict = if *timed_out { Verdict::Late } else { Verdict::Starting };
    let waited = case.now - case.around.moment.happened(event);
    let services = waiting_for.clone();
    let reason = Reason::WaitingFor { services, waited, timed_out: *timed_out };
    Some(Finding::new(verdict, [reason]))
}

/// Crashed, and waiting to be started again.
fn backoff(case: &Case<'_>) -> Option<Finding> {
    if case.life.phase != Phase::Backoff {
        return None;
    }
    Some(Finding::new(
        Verdict::Restarting,
        crash_reason(case.life.record, &case.around.moment, true),
    ))
}

fn failed(case: &Case<'_>) -> Option<Finding> {
    if case.life.phase != Phase::Failed {
        return None;
    }
    // what it reported itself says more than how it ended
    let reported = |reason: &&Reason| matches!(reason, Reason::Reported { .. });
    let reported = case.life.reasons.iter().find(reported).cloned();
    let why = reported.into_iter().chain(why_ended(case)).chain(next_run(case));
    Some(Finding::new(Verdict::Failed, why))
}

fn stopped(case: &Case<'_>) -> Option<Finding> {
    let stopped = matches!(case.life.phase, Phase::Declared | Phase::Stopped | Phase::Completed);
    let why = || why_ended(case).into_iter().chain(next_run(case));
    stopped.then(|| Finding::new(Verdict::Stopped, why()))
}

/// When its schedule starts it again; nobody has to have stopped it, and its launcher has to be there.
fn next_run(case: &Case<'_>) -> Option<Reason> {
    let launcher_is_there =
        case.launcher_ended.is_none() && !matches!(case.around.launcher, Some((_, Standing::Lost)));
    let waits = launcher_is_there && case.life.phase != Phase::Stopped;
    let schedule = case.life.record.schedule().filter(|_| waits)?;
    let next_in = schedule.next_at?.time() - case.now;
    Some(Reason::Scheduled { rule: schedule.rule.clone(), next_in })
}

/// Why nothing runs (any more).
fn why_ended(case: &Case<'_>) -> Vec<Reason> {
    let (life, moment) = (case.life, &case.around.moment);
    if life.phase == Phase::Declared {
        return Vec::new();
    }
    let ended = |reason: &str, exit_code, requested_by, ago| Reason::Ended {
        reason: reason.to_owned(),
        exit_code,
        requested_by,
        ago,
    };
    let Some(event) = life.record.newest_event() else {
        let since = life.reported_since;
        return since.map(|at| ended("stopped", None, None, case.now - at)).into_iter().collect();
    };
    let ago = case.now - moment.happened(event);
    match &event.message.event {
        Event::Stop(Stop { planned: Some(planned), .. }) => {
            let since = planned.since.map_or(ago, |since| case.now - since.time());
            let (comment, by) = (planned.comment.clone(), planned.by.clone());
            vec![Reason::Planned { comment, by, ago: since }]
        }
        Event::Stop(stop) => {
            let by = requested_by(life.record, event);
            vec![ended(stop.reason.as_deref().unwrap_or("stopped"), stop.exit_code, by, ago)]
        }
        Event::Crashed(_) => crash_reason(life.record, moment, false).into_iter().collect(),
        Event::Failed { reason, restart_count, .. } => {
            let given_up = Reason::GivenUp {
                reason: reason.clone().unwrap_or_else(|| "failed".to_owned()),
                restarts: *restart_count,
                window: reason.as_deref().filter(|it| *it == LIMIT).and(window(life.record)),
                ago,
            };
            std::iter::once(given_up).chain(crash_reason(life.record, moment, false)).collect()
        }
        Event::Waiting { .. } => Vec::new(),
        // no end (see `Slot::ENDS`)
        _ => {
            let ago = life.since.map_or(ago, |since| case.now - since);
            vec![ended("stopped", None, None, ago)]
        }
    }
}
