//! What becomes of the services, in the launcher's own log.

use tcs_core::wire::Crashed;
use tcs_core::wire::how_ended;

use tcs_supervisor::{Lifecycle, ServiceId};

/// What became of a service.
pub(super) fn event(id: &ServiceId, event: &Lifecycle) {
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
        // by `started`
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
        Lifecycle::Restarting { attempt, limit, .. } => {
            tracing::info!("{id} restarting ({})", which(*attempt, *limit));
        }
        Lifecycle::Failed { reason, restarts } => {
            tracing::error!("{id} failed: {}", reason.in_words(*restarts));
        }
    }
}

/// That a service has started, and what runs.
pub(super) fn started(id: &ServiceId, pid: Option<u32>, how: &str, readiness: Option<String>) {
    let pid = pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let readiness = readiness.map(|it| format!("; {it}")).unwrap_or_default();
    tracing::info!("{id} started{pid}: {how}{readiness}");
}

/// `2/5`, `7/∞`
fn which(attempt: u32, limit: Option<u32>) -> String {
    let limit = limit.map_or_else(|| "∞".to_owned(), |limit| limit.to_string());
    format!("{attempt}/{limit}")
}
