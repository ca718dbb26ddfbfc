//! What the signs and colours mean.

use tcs_fleet::{Liveness, Verdict};

use super::{Line, Role, symbols};

/// The legend, worst first.
pub fn legend() -> Vec<Line> {
    let title = |title| Line::new().with(Role::Strong, title);
    let mut lines = vec![title("Verdict, worst first")];
    lines.extend(Verdict::ALL.map(|verdict| {
        let sign = format!("{} {verdict}", symbols::symbol(verdict));
        row(&sign, verdict.into(), symbols::meaning(verdict))
    }));
    lines.extend([Line::new(), title("Heartbeat")]);
    lines.extend(
        [
            (Liveness::Live, "the last one is less than 3 intervals old (10 s, unless reported)"),
            (Liveness::Late, "3 to 12 intervals old"),
            (Liveness::Lost, "more than 12 intervals old"),
            (Liveness::None, "no heartbeat stored since it was started"),
        ]
        .map(|(liveness, meaning)| {
            let sign = format!("{} {liveness}", symbols::liveness(liveness));
            row(sign.trim(), liveness.into(), meaning)
        }),
    );
    lines.extend([Line::new(), title("Other signs")]);
    lines.extend([
        row(
            "(2/5)",
            Role::Warn,
            "restart under way: the second of at most five; ∞ no limit, ? not known",
        ),
        row(
            "↻2",
            Role::Moving,
            "running again, restarted twice in the last 5 minutes or its restart window",
        ),
        row("busy", Role::Good, "the status that a running service reports, in place of `ok`"),
        row("worst below:", Role::Bad, "the worst verdict of the services below it in the tree"),
    ]);
    let note =
        "Reported status and heartbeat are independent: a service may report `ok` and be lost.";
    lines.extend([Line::new(), Line::new().with(Role::Dim, note)]);
    lines
}

/// Cells before a meaning.
pub const LABEL: usize = 16;

fn row(sign: &str, role: Role, meaning: &str) -> Line {
    let mut line = Line::new().with(Role::Text, "  ").with(role, sign);
    line.pad_to(LABEL).push(Role::Text, meaning);
    line
}
