//! What is news: a heartbeat, a status or a verdict that says something else than before.

use tcs_wire::{HeartbeatMessage, Meta, Status, StatusMessage};

use crate::Verdict;

/// What the last heartbeat said: one that says the same, in time, changes nothing.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    sender: String,
    status: Option<Status>,
    interval_seconds: Option<f64>,
    by_launcher: bool,
}

impl Pulse {
    pub(super) fn of(meta: &Meta, message: &HeartbeatMessage) -> Self {
        Self {
            sender: meta.sender.clone(),
            status: message.status,
            interval_seconds: message.interval_seconds,
            by_launcher: message.reported_by.as_deref() == Some("launcher"),
        }
    }

    pub(super) fn is(&self, meta: &Meta, message: &HeartbeatMessage) -> bool {
        self.sender == meta.sender
            && self.status == message.status
            && self.interval_seconds == message.interval_seconds
            && self.by_launcher == (message.reported_by.as_deref() == Some("launcher"))
    }
}

/// Whether a change of the verdict that no event and no status made is worth being told: silence,
/// its end, and what a launcher's or another program's life adds. That a service which was started
/// is up is told by its own status and by its launcher.
pub(super) fn tells(before: Option<Verdict>, after: Verdict) -> bool {
    let silent = |verdict| matches!(verdict, Verdict::Late | Verdict::Lost);
    match before {
        Some(before) if before == after => false,
        Some(before) => {
            silent(before)
                || silent(after)
                || matches!(before, Verdict::Degraded | Verdict::Ok)
                    && matches!(after, Verdict::Degraded | Verdict::Ok)
                // it goes on, though its launcher has told its end
                || matches!((before, after), (Verdict::Stopped, Verdict::Degraded))
        }
        None => silent(after),
    }
}

/// The status that the service reports; of a launcher its own, without that of its services, which
/// tell for themselves. Python's controller ends with `ok`, "Service stopped".
pub(super) fn reported(message: &StatusMessage, is_launcher: bool) -> Status {
    match message.says_shutdown() {
        true => Status::Shutdown,
        false if is_launcher => message.own_status(),
        false => message.status,
    }
}
