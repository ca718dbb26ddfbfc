//! The signs of the list: every state has a shape and a word of its own, and a colour besides.

use tcs_core::fleet::{Liveness, Verdict};
use tcs_core::wire::Status;

use super::span::Tone;

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

/// The tone of a verdict.
pub const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Failed | Verdict::Lost | Verdict::Error => Tone::Bad,
        Verdict::Restarting | Verdict::Late | Verdict::Degraded => Tone::Warn,
        Verdict::Starting | Verdict::Stopping => Tone::Moving,
        Verdict::Ok => Tone::Good,
        Verdict::Stopped | Verdict::Unknown => Tone::Dim,
    }
}

/// The heart: what the heartbeats say. Empty where none is held.
pub const fn heart(liveness: Liveness) -> (&'static str, Tone) {
    match liveness {
        Liveness::Live => ("(♥)", Tone::Good),
        Liveness::Late => ("(♡)", Tone::Warn),
        Liveness::Lost => ("(×)", Tone::Bad),
        Liveness::None => ("", Tone::Plain),
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

/// The tone of a status, as a service says it.
pub const fn status_tone(status: Status) -> Tone {
    match status {
        Status::Failed | Status::Error => Tone::Bad,
        Status::Warning | Status::Degraded => Tone::Warn,
        Status::Startup | Status::Shutdown => Tone::Moving,
        Status::Ok | Status::Busy | Status::Idle => Tone::Good,
        Status::Unknown => Tone::Dim,
    }
}
