//! What the signs and colours mean.

use tcs_core::fleet::{Liveness, Verdict};

use super::span::{Line, Tone};
use super::symbols;

/// The legend, worst first.
pub fn legend() -> Vec<Line> {
    let mut lines = vec![Line::new().with(Tone::Strong, "Verdict, worst first")];
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
    lines.push(Line::new().with(Tone::Strong, "Heartbeat"));
    for (liveness, meaning) in [
        (Liveness::Live, "the last one is less than 3 intervals old (10 s each, unless reported)"),
        (Liveness::Late, "3 to 12 intervals old"),
        (Liveness::Lost, "more than 12 intervals old"),
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
        last.pad_to(16).push(Tone::Plain, "no heartbeat stored since it was started");
    }
    lines.push(Line::new());
    lines.push(Line::new().with(Tone::Strong, "Other signs"));
    for (sign, tone, meaning) in [
        (
            "(2/5)",
            Tone::Warn,
            "restart under way: the second of at most five; ∞ no limit, ? not known",
        ),
        (
            "↻2",
            Tone::Moving,
            "running again, restarted twice in the last 5 minutes or its restart window",
        ),
        ("busy", Tone::Good, "the status that a running service reports, in place of `ok`"),
        ("worst below:", Tone::Bad, "the worst verdict of the services below it in the tree"),
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
        "Reported status and heartbeat are independent: a service may report `ok` and be lost.",
    ));
    lines
}
