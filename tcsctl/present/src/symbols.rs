//! The signs: every state has a shape and a word of its own, and a colour besides. Each is one cell
//! wide on every terminal: no emoji, no variation selectors, no braille. A terminal without UTF-8 gets
//! them by [`crate::text::ascii`].

use tcs_fleet::{Liveness, Verdict};

/// What was cut.
pub const ELLIPSIS: &str = "…";
/// A vertical line.
pub const BAR: &str = "│";
/// A horizontal line.
pub const RULE: &str = "─";
/// Where a vertical line stands on a horizontal one.
pub const TEE: &str = "┴";
/// Corners of a frame: top left, top right, bottom left, bottom right.
pub const CORNERS: [&str; 4] = ["┌", "┐", "└", "┘"];
/// In a tree: has a next sibling, is the last, passes by.
pub const TREE: [&str; 3] = ["├", "└", "│"];
/// Folded, unfolded.
pub const FOLD: [&str; 2] = ["▸", "▾"];
/// Sorted downwards, upwards.
pub const SORTED: [&str; 2] = ["▾", "▴"];
/// Between short facts.
pub const DOT: &str = "·";
/// Before the count of alarms that nobody has acknowledged.
pub const ALARM: &str = "▲";
/// Where the picture stands in time, on a line.
pub const THUMB: &str = "█";

/// At the left edge of what is marked.
pub const MARK: &str = "▌";

/// A heartbeat that came, or one that did not.
pub const fn beat(came: bool) -> &'static str {
    if came { "│" } else { "·" }
}

/// One of eight heights, for small curves.
pub const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

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

/// What the heartbeats say. Empty where none is held.
pub const fn liveness(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Live => "(♥)",
        Liveness::Late => "(♡)",
        Liveness::Lost => "(×)",
        Liveness::None => "",
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
