//! The signs of the list: every state has a shape and a word of its own, and a colour besides.

use tcs_fleet::{Liveness, Verdict};

use super::role::Role;

/// The sign of a verdict (`docs/spec/truth.md#verdict`).
pub const fn symbol(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Failed | Verdict::Error => "×",
        Verdict::Lost => "⚠",
        Verdict::Restarting => "⟳",
        Verdict::Late | Verdict::Degraded => "◐",
        Verdict::Starting | Verdict::Stopping => "◌",
        Verdict::Unknown => "?",
        Verdict::Ok => "●",
        Verdict::Stopped => "○",
    }
}

/// The heart: what the heartbeats say. Empty where none is held.
pub const fn heart(liveness: Liveness) -> (&'static str, Role) {
    match liveness {
        Liveness::Live => ("(♥)", Role::Good),
        Liveness::Late => ("(♡)", Role::Warn),
        Liveness::Lost => ("(×)", Role::Bad),
        Liveness::None => ("", Role::Text),
    }
}

/// What a verdict means, for the legend.
pub const fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Failed => "given up by its launcher, or it reports failed",
        Verdict::Lost => "should be running, and sends no heartbeats",
        Verdict::Error => "running, and it reports an error",
        Verdict::Restarting => "crashed, being restarted: (attempt/limit)",
        Verdict::Late => "running, but its heartbeats or its main loop are late",
        Verdict::Degraded => {
            "running, but it reports a warning, crashed often, or is not under control"
        }
        Verdict::Starting => "starting, or waiting for other services",
        Verdict::Stopping => "asked to stop, not ended yet",
        Verdict::Unknown => "not known",
        Verdict::Ok => "running well: ok, busy or idle, as it reports",
        Verdict::Stopped => "not running, and not meant to",
    }
}
