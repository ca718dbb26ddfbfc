//! The rules for a service of which a process or task should be there now
//! (`docs/spec/truth.md#verdict`).

use chrono::TimeDelta;

use super::super::crashes::crash_reason;
use super::super::liveness;
use super::super::reason::Reason;
use super::super::relations::ENDING;
use super::super::verdict::{Phase, Verdict};
use super::case::{Case, Finding, Rule, Silent, launcher_shutdown, lost_with};
use super::notes;
use tcs_wire::Status;

/// In this order, the first that holds.
pub(super) const UP: &[Rule] = &[
    removed,
    reports_failed,
    lost,
    reports_error,
    restarting,
    late,
    launcher_ending,
    stopping,
    reports_degraded,
    irregular,
    starting,
    never_heard,
    running,
    no_status,
];

/// A running service that reports one of these.
fn reports(case: &Case<'_>, statuses: &[Status], verdict: Verdict) -> Option<Finding> {
    let life = case.life;
    let status = life.judged_status().filter(|_| life.phase == Phase::Running)?;
    if !statuses.contains(&status) {
        return None;
    }
    let reported = life.reported(&case.around.moment);
    let finding = Finding::new(verdict, reported.into_iter().chain(case.silence.reason()));
    Some(Finding { since: life.reported_since, ..finding })
}

/// No launcher has it in its configuration any more, and it is silent: its end was not told, because
/// its launcher was killed, or the host went down, before the file was changed.
fn removed(case: &Case<'_>) -> Option<Finding> {
    case.around.removed?;
    let Silent::Lost(reason) = &case.silence else { return None };
    let since = case.life.sign.map(|sign| liveness::turns(sign, case.life.interval).1);
    let finding = Finding::new(Verdict::Stopped, [Reason::NotDeclared, reason.clone()]);
    Some(Finding { phase: Some(Phase::Stopped), since, ..finding })
}

fn reports_failed(case: &Case<'_>) -> Option<Finding> {
    reports(case, &[Status::Failed], Verdict::Failed)
}

fn lost(case: &Case<'_>) -> Option<Finding> {
    let Silent::Lost(reason) = &case.silence else { return None };
    let mut reasons = lost_with(case);
    reasons.push(reason.clone());
    let since = case.life.sign.map(|sign| liveness::turns(sign, case.life.interval).1);
    Some(Finding { since, ..Finding::new(Verdict::Lost, reasons) })
}

fn reports_error(case: &Case<'_>) -> Option<Finding> {
    reports(case, &[Status::Error], Verdict::Error)
}

/// Its start is a restart.
fn restarting(case: &Case<'_>) -> Option<Finding> {
    let life = case.life;
    if life.phase != Phase::Starting || !life.after_crash {
        return None;
    }
    Some(Finding::new(Verdict::Restarting, crash_reason(life.record, &case.around.moment, false)))
}

fn late(case: &Case<'_>) -> Option<Finding> {
    let Silent::Late(reason) = &case.silence else { return None };
    if case.life.phase == Phase::Stopping {
        return Some(Finding::new(Verdict::Stopping, [reason.clone()]));
    }
    let since = case.life.sign.map(|sign| {
        // the heartbeat reports how long the main loop has been blocked: it ran until then
        let well = match reason {
            Reason::LoopBlocked { lag } => sign - *lag,
            _ => sign,
        };
        liveness::turns(well, case.life.interval).0
    });
    let outage = case.life.after_outage.then_some(Reason::AfterOutage);
    let finding = Finding::new(Verdict::Late, outage.into_iter().chain([reason.clone()]));
    Some(Finding { since, ..finding })
}

/// Its launcher has reported its end a moment ago, and it is ending too.
fn launcher_ending(case: &Case<'_>) -> Option<Finding> {
    let (name, at) = case.launcher_ended.filter(|_| case.life.phase != Phase::Stopping)?;
    if case.now - at >= ENDING {
        return None;
    }
    let finding = Finding::new(Verdict::Stopping, [launcher_shutdown(name, at, case.now)]);
    Some(Finding { phase: Some(Phase::Stopping), since: Some(at), ..finding })
}

fn stopping(case: &Case<'_>) -> Option<Finding> {
    (case.life.phase == Phase::Stopping).then(|| Finding::new(Verdict::Stopping, None))
}

fn reports_degraded(case: &Case<'_>) -> Option<Finding> {
    reports(case, &[Status::Warning, Status::Degraded], Verdict::Degraded)
}

/// It runs, but not as it should.
fn irregular(case: &Case<'_>) -> Option<Finding> {
    let mut reasons = notes::irregular(case);
    reasons.retain(|reason| match reason {
        // while it starts that is no news
        Reason::Flapping { .. } => case.life.phase == Phase::Running,
        _ => true,
    });
    reasons.sort_by_key(Reason::rank);
    if reasons.is_empty() {
        return None;
    }
    let orphaned = reasons.iter().any(|reason| matches!(reason, Reason::Orphaned(_)));
    let since = case.launcher_ended.filter(|_| orphaned).map(|(_, at)| at + ENDING);
    Some(Finding { since, ..Finding::new(Verdict::Degraded, reasons) })
}

fn starting(case: &Case<'_>) -> Option<Finding> {
    let life = case.life;
    let status = life.judged_status();
    if life.phase == Phase::Starting || status == Some(Status::Startup) {
        let until = life.record.ready().filter(|_| life.phase == Phase::Starting);
        let not_ready = until.zip(life.started).map(|(until, started)| Reason::NotReady {
            until: until.to_owned(),
            waited: (case.now - started).max(TimeDelta::zero()),
        });
        return Some(Finding::new(Verdict::Starting, not_ready));
    }
    // its launcher has seen it ready before its first status arrived
    let began = life.began.filter(|_| matches!(status, None | Some(Status::Unknown)))?;
    let just_begun = case.now < liveness::turns(began, life.interval).0;
    just_begun.then(|| Finding::new(Verdict::Starting, [Reason::NoStatus]))
}

fn never_heard(case: &Case<'_>) -> Option<Finding> {
    let Silent::NeverHeard(reason) = &case.silence else { return None };
    Some(Finding::new(Verdict::Unknown, [reason.clone()]))
}

fn running(case: &Case<'_>) -> Option<Finding> {
    let status = case.life.judged_status()?;
    if !matches!(status, Status::Ok | Status::Busy | Status::Idle) {
        return None;
    }
    Some(Finding { since: case.life.reported_since, ..Finding::new(Verdict::Ok, None) })
}

fn no_status(case: &Case<'_>) -> Option<Finding> {
    let known = case.life.judged_status().is_some_and(|status| status != Status::Unknown);
    (!known).then(|| Finding::new(Verdict::Unknown, [Reason::NoStatus]))
}
