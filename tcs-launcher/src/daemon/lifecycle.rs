//! What an event of a service's life becomes: a line of the launcher's log, a message with what only
//! the launcher knows, a status of who cannot speak for itself.

use tcs_core::bus::publish::hostname;
use tcs_core::clock;
use tcs_core::config::How;
use tcs_core::wire::{
    Declaration, Declared, DeclaredSchedule, Event, Limit, RESTART_LIMIT_REACHED, Status, Stop,
    Timestamp, how_ended,
};
use tcs_supervisor::{Delay, ServiceId, Spec};

use super::plan::Plan;

/// The line of the log.
pub(super) fn log(id: &ServiceId, event: &Event, restart: Option<Delay>) {
    let words = event.in_words(None);
    match event {
        Event::Declared(_) => tracing::debug!("{id} is declared"),
        // by `log_start`
        Event::Start { .. } => {}
        Event::Crashed(crash) => {
            let limit = crash.max_restarts.unwrap_or(Limit::Unlimited);
            let next = match (restart, crash.restart_attempt) {
                (Some(Delay { length, .. }), Some(attempt)) => {
                    format!("restarting in {:.1} s ({attempt}/{limit})", length.as_secs_f64())
                }
                _ => "not restarting".to_owned(),
            };
            let (uptime, why) = (crash.uptime_seconds.unwrap_or_default(), crash.headline());
            tracing::error!("{id} crashed after {uptime:.1} s: {why}; {next}");
            if restart.is_some_and(|delay| delay.throttled) {
                tracing::warn!(
                    "{id} ends within 1 s of its start: tcsd waits longer than restart_sec before \
                     each restart, from 0.1 s up to 5 s"
                );
            }
        }
        Event::Failed { .. } => tracing::error!("{id} failed: {words}"),
        Event::Missed(missed) => {
            let last = missed.scheduled_at.map(|at| at.time().format("%F %T UTC").to_string());
            tracing::warn!("{id}: {words} (last: {})", last.unwrap_or_default());
        }
        Event::Waiting { timed_out: true, .. } => tracing::warn!("{id} {words}"),
        _ => tracing::info!("{id} {words}"),
    }
}

/// Logs that a service has started, and what runs.
pub(super) fn log_start(id: &ServiceId, pid: Option<u32>, how: &str, readiness: Option<String>) {
    let pid = pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let readiness = readiness.map(|it| format!("; {it}")).unwrap_or_default();
    tracing::info!("{id} started{pid}: {how}{readiness}");
}

/// Adds to an event what only the launcher knows. `batch`: of its declarations; `others`: which
/// launchers declare the service too.
pub(super) fn complete(
    event: &mut Event,
    plan: &Plan,
    restart: Option<Delay>,
    batch: u64,
    others: Option<&Vec<String>>,
) {
    match event {
        Event::Declared(declared) => *declared = declaration(plan, batch, others),
        Event::Start { hostname: host, pid, .. } => {
            *host = Some(hostname());
            pid.get_or_insert_with(std::process::id);
        }
        Event::Crashed(crash) => {
            crash.restart_at = restart.map(|delay| Timestamp::new(clock::wall() + delay.length));
        }
        _ => {}
    }
}

fn declaration(plan: &Plan, batch: u64, others: Option<&Vec<String>>) -> Declared {
    let Spec { restart, enabled, after, schedule, .. } = &plan.planned.spec;
    let (kind, module) = match &plan.how {
        How::Rust(_) => ("rust", None),
        How::BuiltIn(command) => ("built_in", Some((*command).to_owned())),
        How::Python { module, .. } => ("python", Some(module.clone())),
        How::Program(exec) => ("program", exec.first().cloned()),
    };
    let max = restart.limit.map_or(Limit::Unlimited, |limit| Limit::Times(limit.get()));
    Declared {
        restart_policy: Some(restart.when.as_str().to_owned()),
        restart_max: Some(max),
        restart_window: Some(restart.window.as_secs_f64()),
        others: others.cloned().unwrap_or_default(),
        declared: Some(Box::new(Declaration {
            module,
            kind: Some(kind.to_owned()),
            enabled: Some(*enabled),
            batch: Some(batch),
            after: after.iter().map(ToString::to_string).collect(),
            schedule: schedule.as_ref().map(|schedule| DeclaredSchedule {
                rule: schedule.to_string(),
                next_at: plan.next_run.map(Timestamp::new),
            }),
            ready: plan.ready_when(),
        })),
    }
}

/// Whether a broker that lost its streams is told it again: what the service's life has come to.
pub(super) fn is_last_word(event: &Event) -> bool {
    matches!(
        event,
        Event::Start { .. }
            | Event::Ready { .. }
            | Event::Stopping { .. }
            | Event::Stop(_)
            | Event::Crashed(_)
            | Event::Restarting { .. }
            | Event::Failed { .. }
    )
}

/// The status of a program that publishes nothing.
pub(super) fn program_status(event: &Event) -> Option<(Status, String)> {
    match event {
        Event::Start { .. } => Some((Status::Startup, "Started".to_owned())),
        Event::Ready { .. } => Some((Status::Ok, "Running".to_owned())),
        Event::Stop(stop @ Stop { exit_code: Some(code), .. }) => {
            let how = if stop.is_completed() {
                "Completed".to_owned()
            } else {
                format!("Stopped: {}", how_ended(*code))
            };
            Some((Status::Shutdown, how))
        }
        _ => None,
    }
}

/// The status of the dead; `last`: why it crashed last.
pub(super) fn final_status(event: &Event, last: Option<String>) -> Option<(Status, String)> {
    match event {
        Event::Crashed(crash) => {
            let status = if crash.will_restart { Status::Error } else { Status::Failed };
            let why = last.unwrap_or_default();
            let text = match (crash.exit_code, &crash.error) {
                (None, _) => format!("Not started: {why}"),
                (Some(_), Some(_)) => why,
                (Some(_), None) => format!("Crashed: {why}"),
            };
            Some((status, text))
        }
        Event::Failed { reason, .. } => {
            let words = event.in_words(None);
            let text = match (reason.as_deref(), last) {
                (Some(RESTART_LIMIT_REACHED), Some(why)) => format!("{why}; {words}"),
                (Some(RESTART_LIMIT_REACHED), None) => words,
                _ => capital(&words),
            };
            Some((Status::Failed, text))
        }
        _ => None,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;
    use tcs_core::wire::signal_name;

    /// The wire's names are those of the system that we run on.
    #[test]
    fn signals_are_named_as_the_system_names_them() {
        for signal in Signal::iterator() {
            assert_eq!(signal_name(signal as i32), Some(signal.as_str()));
        }
        assert_eq!((signal_name(0), signal_name(64), signal_name(-9)), (None, None, None));
    }
}
