//! What an event of a service's life becomes: a line of the launcher's log, a message, a status of
//! who cannot speak for itself.

use tcs_core::bus::publish::hostname;
use tcs_core::clock;
use tcs_core::config::How;
use tcs_core::wire::{
    Crashed, Declaration, Declared, DeclaredSchedule, Event, Limit, Missed, Status, Stop,
    Timestamp, how_ended, signal_name,
};
use tcs_supervisor::{EndReason, FailReason, Lifecycle, ServiceId, Spec};

use super::plan::Plan;

/// The line of the log.
pub(super) fn log(id: &ServiceId, event: &Lifecycle) {
    match event {
        Lifecycle::Declared => tracing::debug!("{id} is declared"),
        Lifecycle::Waiting { on, timed_out } => {
            let names = on.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if *timed_out {
                tracing::warn!("{id} is started although {names} is not ready (start_timeout)");
            } else {
                tracing::info!("{id} waiting for {names}");
            }
        }
        // by `log_start`
        Lifecycle::Start { .. } => {}
        Lifecycle::Ready { took } => tracing::info!("{id} ready after {:.1} s", took.as_secs_f64()),
        Lifecycle::Stopping { reason } => tracing::info!("{id} stopping: {}", reason.as_str()),
        Lifecycle::Stop { reason, code, .. } => {
            let code = code.map(|code| format!(", {}", how_ended(code))).unwrap_or_default();
            tracing::info!("{id} stopped: {}{code}", reason.as_str());
        }
        Lifecycle::Crashed {
            code, core_dumped, error, restart, throttled, limit, uptime, ..
        } => {
            let why = Crashed {
                exit_code: *code,
                core_dumped: Some(*core_dumped),
                error: error.clone(),
                ..Crashed::default()
            };
            let next = restart.map_or_else(
                || "not restarting".to_owned(),
                |(attempt, wait)| {
                    let which = which(attempt, *limit);
                    format!("restarting in {:.1} s ({which})", wait.as_secs_f64())
                },
            );
            let (uptime, why) = (uptime.as_secs_f64(), why.headline());
            tracing::error!("{id} crashed after {uptime:.1} s: {why}; {next}");
            if *throttled {
                tracing::warn!(
                    "{id} ends within 1 s of its start: tcsd waits longer than restart_sec before \
                     each restart, from 0.1 s up to 5 s"
                );
            }
        }
        Lifecycle::Missed(missed) => {
            let last = missed.last.format("%F %T UTC");
            tracing::warn!("{id}: {} (last: {last})", on_wire_missed(missed).in_words());
        }
        Lifecycle::Restarting { attempt, limit, .. } => {
            tracing::info!("{id} restarting ({})", which(*attempt, *limit));
        }
        Lifecycle::Failed { reason, restarts } => {
            tracing::error!("{id} failed: {}", reason.in_words(*restarts));
        }
    }
}

/// That a service has started, and what runs.
pub(super) fn log_start(id: &ServiceId, pid: Option<u32>, how: &str, readiness: Option<String>) {
    let pid = pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let readiness = readiness.map(|it| format!("; {it}")).unwrap_or_default();
    tracing::info!("{id} started{pid}: {how}{readiness}");
}

/// `2/5`, `7/∞`
fn which(attempt: u32, limit: Option<u32>) -> String {
    let limit = limit.map_or_else(|| "∞".to_owned(), |limit| limit.to_string());
    format!("{attempt}/{limit}")
}

fn limit(limit: Option<u32>) -> Limit {
    limit.map_or(Limit::Unlimited, Limit::Times)
}

/// What is published, in the launcher's given batch of declarations; `others`: which launchers
/// declare it too.
pub(super) fn on_wire(
    plan: &Plan,
    event: &Lifecycle,
    batch: u64,
    others: Option<&Vec<String>>,
) -> Event {
    let Spec { restart, enabled, after, schedule, .. } = &plan.planned.spec;
    let policy = Some(restart.when.as_str().to_owned());
    match event {
        Lifecycle::Declared => {
            let (kind, module) = match &plan.how {
                How::Rust(_) => ("rust", None),
                How::BuiltIn(command) => ("built_in", Some((*command).to_owned())),
                How::Python { module, .. } => ("python", Some(module.clone())),
                How::Program(exec) => ("program", exec.first().cloned()),
            };
            Event::Declared(Declared {
                restart_policy: policy,
                restart_max: Some(limit(restart.limit.map(std::num::NonZeroU32::get))),
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
            })
        }
        Lifecycle::Waiting { on, timed_out } => Event::Waiting {
            waiting_for: on.iter().map(ToString::to_string).collect(),
            timed_out: *timed_out,
        },
        Lifecycle::Start { pid, recent_crashes } => {
            let pid = Some(pid.unwrap_or_else(std::process::id));
            Event::Start { hostname: Some(hostname()), pid, recent_crashes: Some(*recent_crashes) }
        }
        Lifecycle::Ready { took } => {
            Event::Ready { startup_duration_seconds: Some(took.as_secs_f64()) }
        }
        Lifecycle::Stopping { reason } => {
            Event::Stopping { reason: Some(reason.as_str().to_owned()) }
        }
        Lifecycle::Stop { reason, code, uptime } => Event::Stop(Stop {
            reason: Some(reason.as_str().to_owned()),
            exit_code: *code,
            uptime_seconds: uptime.map(|uptime| uptime.as_secs_f64()),
            // by who knows of it
            planned: None,
        }),
        Lifecycle::Crashed {
            code,
            core_dumped,
            error,
            restart,
            throttled: _,
            recent_crashes,
            limit: max,
            uptime,
        } => Event::Crashed(Crashed {
            exit_code: *code,
            restart_policy: policy,
            will_restart: restart.is_some(),
            signal: code.and_then(signal).map(str::to_owned),
            error: error.clone(),
            restart_attempt: restart.map(|(attempt, _)| attempt),
            max_restarts: Some(limit(*max)),
            restart_at: restart.map(|(_, wait)| Timestamp::new(clock::wall() + wait)),
            uptime_seconds: Some(uptime.as_secs_f64()),
            core_dumped: code.filter(|code| *code < 0).map(|_| *core_dumped),
            recent_crashes: Some(*recent_crashes),
            ..Crashed::default()
        }),
        Lifecycle::Restarting { attempt, limit: max, recent_crashes } => Event::Restarting {
            restart_attempt: Some(*attempt),
            max_restarts: Some(limit(*max)),
            recent_crashes: Some(*recent_crashes),
        },
        Lifecycle::Missed(missed) => Event::Missed(on_wire_missed(missed)),
        Lifecycle::Failed { reason, restarts } => Event::Failed {
            reason: Some(reason.as_str().to_owned()),
            restart_count: Some(*restarts),
            restart_window: reason.window().map(|window| window.as_secs_f64()),
        },
    }
}

fn on_wire_missed(missed: &tcs_supervisor::Missed) -> Missed {
    Missed {
        reason: Some(missed.reason.as_str().to_owned()),
        missed_count: Some(missed.count),
        scheduled_at: Some(Timestamp::new(missed.last)),
        made_up: missed.made_up,
    }
}

/// Whether a broker that lost its streams is told it again: what the service's life has come to.
pub(super) fn is_last_word(event: &Lifecycle) -> bool {
    match event {
        Lifecycle::Start { .. }
        | Lifecycle::Ready { .. }
        | Lifecycle::Stopping { .. }
        | Lifecycle::Stop { .. }
        | Lifecycle::Crashed { .. }
        | Lifecycle::Restarting { .. }
        | Lifecycle::Failed { .. } => true,
        Lifecycle::Declared | Lifecycle::Waiting { .. } | Lifecycle::Missed(_) => false,
    }
}

/// The status of a program that publishes nothing.
pub(super) fn program_status(event: &Lifecycle) -> Option<(Status, String)> {
    match event {
        Lifecycle::Start { .. } => Some((Status::Startup, "Started".to_owned())),
        Lifecycle::Ready { .. } => Some((Status::Ok, "Running".to_owned())),
        Lifecycle::Stop { reason, code: Some(code), .. } => {
            let how = match reason {
                EndReason::Completed => "Completed".to_owned(),
                EndReason::Terminated | EndReason::ForceKilled => {
                    format!("Stopped: {}", how_ended(*code))
                }
            };
            Some((Status::Shutdown, how))
        }
        Lifecycle::Declared
        | Lifecycle::Waiting { .. }
        | Lifecycle::Stopping { .. }
        | Lifecycle::Stop { .. }
        | Lifecycle::Crashed { .. }
        | Lifecycle::Restarting { .. }
        | Lifecycle::Missed(_)
        | Lifecycle::Failed { .. } => None,
    }
}

/// The status of the dead; `last`: why it crashed last.
pub(super) fn final_status(event: &Lifecycle, last: Option<String>) -> Option<(Status, String)> {
    match event {
        Lifecycle::Crashed { code, error, restart, .. } => {
            let status = if restart.is_some() { Status::Error } else { Status::Failed };
            let why = last.unwrap_or_default();
            let text = match (code, error) {
                (None, _) => format!("Not started: {why}"),
                (Some(_), Some(_)) => why,
                (Some(_), None) => format!("Crashed: {why}"),
            };
            Some((status, text))
        }
        Lifecycle::Failed { reason: reason @ FailReason::LimitReached { .. }, restarts } => {
            let why = last.map(|why| format!("{why}; ")).unwrap_or_default();
            Some((Status::Failed, format!("{why}{}", reason.in_words(*restarts))))
        }
        Lifecycle::Failed { reason: reason @ FailReason::NotStarted(_), restarts } => {
            Some((Status::Failed, capital(&reason.in_words(*restarts))))
        }
        Lifecycle::Declared
        | Lifecycle::Waiting { .. }
        | Lifecycle::Start { .. }
        | Lifecycle::Ready { .. }
        | Lifecycle::Stopping { .. }
        | Lifecycle::Stop { .. }
        | Lifecycle::Missed(_)
        | Lifecycle::Restarting { .. } => None,
    }
}

fn signal(code: i32) -> Option<&'static str> {
    signal_name(code.checked_neg()?)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

    /// The wire's names are those of the system that we run on.
    #[test]
    fn signals_are_named_as_the_system_names_them() {
        for signal in Signal::iterator() {
            assert_eq!(super::signal(-(signal as i32)), Some(signal.as_str()));
        }
        assert_eq!((super::signal(0), super::signal(-64), super::signal(9)), (None, None, None));
    }
}
