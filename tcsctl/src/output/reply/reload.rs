//! What a reload, or a move to a profile, did or would do.

use tcs_core::wire::control::{Reached, ReloadReply, ServiceChange};
use tcs_present::{Line, Role};

/// What came of it, or would.
pub(crate) fn head(reply: &ReloadReply) -> (Role, &'static str) {
    match reply {
        ReloadReply { changed: false, .. } => (Role::Text, "nothing has changed"),
        ReloadReply { dry_run: true, .. } => (Role::Text, "would change"),
        _ => (Role::Good, "done"),
    }
}

/// A service that a reload touches.
pub(crate) fn service(change: &ServiceChange) -> Line {
    let mut line = Line::new().with(Role::Text, "  ");
    if let Some(kind) = change.change {
        line.push(Role::Dim, &format!("{:<7}  ", kind.as_str()));
    }
    line.push(Role::Text, &format!("{}  ", change.service_id));
    match (&change.error, change.result, change.then) {
        (Some(error), ..) => line.push(Role::Bad, error),
        (None, Some(result), _) if change.outcome.state == Some(Reached::Starting) => {
            line.push(Role::Moving, &super::not_ready(result))
        }
        (None, Some(result), _) => line.push(Role::Good, result.as_str()),
        (None, None, Some(then)) if change.busy && then.interrupts() => {
            line.push(Role::Warn, &format!("{}, BUSY now", then.as_str()))
        }
        (None, None, Some(then)) => line.push(Role::Text, then.as_str()),
        (None, None, None) => line.push(Role::Good, "touched"),
    };
    if change.fields.is_empty() {
        return line;
    }
    line.with(Role::Dim, &format!("  ({})", change.fields.join(", ")))
}

/// Something to know beside.
pub(crate) fn note(note: &str) -> Line {
    Line::new().with(Role::Warn, &format!("  note: {note}"))
}
