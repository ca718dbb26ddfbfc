//! What the signs and colours mean.

use tcs_core::fleet::{Liveness, Verdict};

use super::span::{Line, Tone};
use super::symbols;

/// The legend, worst first.
pub fn legend() -> Vec<Line> {
    let mut lines = vec![Line::new().with(Tone::Strong, "Verdict: what is so, worst first")];
    for verdict in Verdict::ALL {
        let tone = symbols::tone(verdict);
        let mut line = Line::new();
        line.push(Tone::Plain, "  ")
            .push(tone, symbols::symbol(verdict))
            .push(Tone::Plain, " ")
            .push(tone, verdict.as_str())
            .pad_to(16)
            .push(Tone::Plain, symbols::meaning(verdict));
        lines.push(line);
    }
    lines.push(Line::new());
    lines.push(Line::new().with(Tone::Strong, "Heart: what its heartbeats say"));
    for (liveness, meaning) in [
        (
            Liveness::Live,
            "the last one is under 3 intervals old (10 s each, unless it says otherwise)",
        ),
        (Liveness::Late, "under 12 intervals"),
        (Liveness::Lost, "older"),
    ] {
        let (heart, tone) = symbols::heart(liveness);
        let mut line = Line::new();
        line.push(Tone::Plain, "  ")
            .push(tone, heart)
            .push(Tone::Plain, " ")
            .push(tone, liveness.as_str())
            .pad_to(16)
            .push(Tone::Plain, meaning);
        lines.push(line);
    }
    lines.push(Line::new().with(Tone::Plain, "  none".to_owned().as_str()));
    if let Some(last) = lines.last_mut() {
        last.pad_to(16).push(Tone::Plain, "no heartbeat is held of its present run");
    }
    lines.push(Line::new());
    lines.push(Line::new().with(Tone::Strong, "Beside them"));
    for (sign, tone, meaning) in [
        (
            "(2/5)",
            Tone::Warn,
            "restart under way: the second of at most five; ∞ no limit, ? not told",
        ),
        (
            "↻2",
            Tone::Moving,
            "came back, restarted twice in the last 5 minutes or its restart window",
        ),
        ("busy", Tone::Good, "of a running service its own word stands in place of `ok`"),
        ("× 1 failed below", Tone::Bad, "the worst of what stands below it in the tree"),
    ] {
        let mut line = Line::new();
        line.push(Tone::Plain, "  ").push(tone, sign);
        if line.width() < 15 {
            line.pad_to(16);
        } else {
            line.push(Tone::Plain, "  ");
        }
        line.push(Tone::Plain, meaning);
        lines.push(line);
    }
    lines.push(Line::new());
    lines.push(Line::new().with(
        Tone::Dim,
        "Reported status and heartbeat are two facts: a service may say `ok` and be lost.",
    ));
    lines
}
