//! The launcher's own log: what becomes of its services, and what they write.

use std::sync::Arc;

use tcs_core::clock;

use super::readers::{Journal, Readers};
use crate::runner::output::Line;
use crate::supervisor::{Lifecycle, ServiceId};

/// A child's output, to the launcher's own log, and to those who read along.
pub(super) async fn relay(
    id: ServiceId,
    mut lines: tokio::sync::broadcast::Receiver<Arc<Line>>,
    readers: Arc<Readers>,
    journal: Option<Journal>,
) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        match lines.recv().await {
            Ok(line) => {
                if let Some(journal) = &journal
                    && readers.has(&id, clock::monotonic())
                {
                    journal.send(&line).await;
                }
                let text = line.text.replace(char::is_control, "\u{fffd}");
                match line.level.0 {
                    40.. => tracing::error!("{id}: {text}"),
                    30.. => tracing::warn!("{id}: {text}"),
                    20.. => tracing::info!("{id}: {text}"),
                    _ => tracing::debug!("{id}: {text}"),
                }
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!("{id}: {missed} lines not shown"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// What became of a service.
pub(super) fn event(id: &ServiceId, event: &Lifecycle) {
    match event {
        Lifecycle::Declared => tracing::debug!("{id} is declared"),
        Lifecycle::Start { pid: Some(pid) } => tracing::info!("{id} started, pid {pid}"),
        Lifecycle::Start { pid: None } => tracing::info!("{id} started"),
        Lifecycle::Ready { took } => tracing::info!("{id} ready after {:.1} s", took.as_secs_f64()),
        Lifecycle::Stopping { reason } => tracing::info!("{id} is stopped: {}", reason.as_str()),
        Lifecycle::Stop { reason, code, .. } => {
            let code = code.map(|code| format!(", code {code}")).unwrap_or_default();
            tracing::info!("{id} stopped: {}{code}", reason.as_str());
        }
        Lifecycle::Crashed { code, error, restart, .. } => {
            let code = code.map(|code| format!(" code {code}")).unwrap_or_default();
            let why = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            let next = restart.map_or_else(
                || "not started again".to_owned(),
                |(_, wait)| format!("started again in {:.1} s", wait.as_secs_f64()),
            );
            tracing::error!("{id} crashed{code}{why}; {next}");
        }
        Lifecycle::Restarting { attempt, .. } => tracing::info!("{id} is restarted ({attempt})"),
        Lifecycle::Failed { reason, .. } => tracing::error!("{id} failed: {}", reason.as_str()),
    }
}
