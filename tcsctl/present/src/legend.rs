//! What the signs and colours mean.

use tcs_fleet::{Liveness, Verdict};

use super::symbols;
use super::{Line, Role};

/// The legend, worst first.
pub fn legend() -> Vec<Line> {
    let mut lines = vec![Line::new().with(Role::Strong, "Verdict, worst first")];
    for verdict in Verdict::ALL {
        let role = Role::from(verdict);
        let mut line = Line::new();
        line.push(Role::Text, "  ")
            .push(role, symbols::symbol(verdict))
            .push(Role::Text, " ")
            .push(role, verdict.as_str())
            .pad_to(16)
            .push(Role::Text, symbols::meaning(verdict));
        lines.push(line);
    }
    lines.push(Line::new());
    lines.push(Line::new().with(Role::Strong, "Heartbeat"));
    for (liveness, meaning) in [
        (Liveness::Live, "the last one is less than 3 intervals old (10 s each, unless reported)"),
        (Liveness::Late, "3 to 12 intervals old"),
        (Liveness::Lost, "more than 12 intervals old"),
    ] {
        let (heart, role) = (symbols::heart(liveness), Role::from(liveness));
        let mut line = Line::new();
        line.push(Role::Text, "  ")
            .push(role, heart)
            .push(Role::Text, " ")
            .push(role, liveness.as_str())
            .pad_to(16)
            .push(Role::Text, meaning);
        lines.push(line);
    }
    lines.push(Line::new().with(Role::Text, "  none".to_owned().as_str()));
    if let Some(last) = lines.last_mut() {
        last.pad_to(16).push(Role::Text, "no heartbeat stored since it was started");
    }
    lines.push(Line::new());
    lines.push(Line::new().with(Role::Strong, "Other signs"));
    for (sign, role, meaning) in [
        (
            "(2/5)",
            Role::Warn,
            "restart under way: the second of at most five; ∞ no limit, ? not known",
        ),
        (
            "↻2",
            Role::Moving,
            "running again, restarted twice in the last 5 minutes or its restart window",
        ),
        ("busy", Role::Good, "the status that a running service reports, in place of `ok`"),
        ("worst below:", Role::Bad, "the worst verdict of the services below it in the tree"),
    ] {
        let mut line = Line::new();
        line.push(Role::Text, "  ").push(role, sign);
        if line.width() < 15 {
            line.pad_to(16);
        } else {
            line.push(Role::Text, "  ");
        }
        line.push(Role::Text, meaning);
        lines.push(line);
    }
    lines.push(Line::new());
    lines.push(Line::new().with(
        Role::Dim,
        "Reported status and heartbeat are independent: a service may report `ok` and be lost.",
    ));
    lines
}
