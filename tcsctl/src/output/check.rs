//! The line of `tcsctl check`:
//! `TCS CRITICAL - 12 services: 1 failed, 11 ok; dome.main failed: no answer (exit 3) | failed=1`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use tcs_alarms::Taken;
use tcs_core::fleet::{Counts, FleetView, ServiceView, Verdict};
use tcs_present::{Line, Role, text};

use super::source::Source;
use crate::exit::Check;

/// Services named in the line: what monitoring systems take of it is bounded.
const NAMED: usize = 10;
/// Cells for the cause of each.
const CAUSE: usize = 120;

/// A service, and what it alone would make the result.
pub type Judged<'a> = (&'a ServiceView, Check);

/// What somebody has said of services.
pub type TakenById<'a> = BTreeMap<&'a str, Taken<'a>>;

/// The whole line, with performance data behind `|`.
pub fn line(
    result: Check,
    view: &FleetView,
    services: &[Judged<'_>],
    taken: &TakenById<'_>,
    source: &Source,
) -> Line {
    let mut counts = Counts::default();
    for (service, _) in services {
        counts.add(service.verdict);
    }
    let mut text = match services {
        [] if view.services.is_empty() && source.answered => {
            format!("no messages in the streams on {}", source.prefix)
        }
        [] if view.services.is_empty() => "nothing was read".to_owned(),
        [] if result == Check::Unknown => {
            format!("no match among {}", text::count(view.services.len(), "service"))
        }
        [] => {
            format!("nothing is running ({} stopped)", text::count(view.services.len(), "service"))
        }
        [(service, _)] => of_one(service, view) + &note(taken, service),
        _ => summary(services, counts, taken),
    };
    if !source.complete {
        let _ = write!(text, "; incomplete: {}", source.problems.join("; "));
    } else if source.faulty {
        let _ = write!(text, "; {}", source.problems.join("; "));
    }
    if source.is_clock_unchecked() {
        text.push_str("; clock unchecked");
    }
    // a bar begins performance data
    let mut line = head(result).with(Role::Text, &text.replace('|', "/"));
    line.push(Role::Dim, " |");
    for verdict in Verdict::ALL {
        line.push(Role::Dim, &format!(" {verdict}={};;;0", counts.of(verdict)));
    }
    line
}

/// There is no picture at all: `message` says why.
pub fn unknown(message: &str) -> Line {
    let first = message.lines().next().unwrap_or_default();
    head(Check::Unknown).with(Role::Text, &first.replace('|', "/"))
}

fn head(result: Check) -> Line {
    let role = match result {
        Check::Ok => Role::Good,
        Check::Warning => Role::Warn,
        Check::Critical => Role::Bad,
        Check::Unknown => Role::Strong,
    };
    Line::new().with(role, &format!("TCS {}", result.word())).with(Role::Text, " - ")
}

fn of_one(service: &ServiceView, view: &FleetView) -> String {
    let mut text = format!("{} is {}", service.id, service.verdict);
    if let Some(since) = service.since {
        let _ = write!(text, " for {}", tcs_core::fleet::format_duration(view.now - since));
    }
    let headline = service.headline();
    if !headline.is_empty() {
        text.push_str(": ");
        text.push_str(&headline);
    }
    text
}

/// All that make the result what it is are named, the worst first, each with its cause.
fn summary(services: &[Judged<'_>], counts: Counts, taken: &TakenById<'_>) -> String {
    let mut parts: Vec<_> = counts.present().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let said = services.iter().filter_map(|(service, _)| taken.get(&*service.id));
    let is_shelved = |taken: &&Taken<'_>| matches!(taken, Taken::Shelved(_));
    let (shelved, acked): (Vec<&Taken<'_>>, Vec<_>) = said.partition(is_shelved);
    for (number, word) in [(acked.len(), "acknowledged"), (shelved.len(), "shelved")] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    let mut text = format!("{}: {}", text::count(services.len(), "service"), parts.join(", "));
    let mut named: Vec<_> = services.iter().filter(|(_, check)| *check != Check::Ok).collect();
    named.sort_by_key(|(service, check)| (Reverse(check.weight()), service.verdict));
    for (service, _) in named.iter().take(NAMED) {
        let _ = write!(text, "; {} {}", service.id, service.verdict);
        let cause = service.cause().unwrap_or_else(|| service.headline());
        if !cause.is_empty() {
            let _ = write!(text, ": {}", shorten(&cause));
        }
        text.push_str(&note(taken, service));
    }
    if named.len() > NAMED {
        let _ = write!(text, "; and {} more", named.len() - NAMED);
    }
    text
}

/// Who has it in hand.
fn note(taken: &TakenById<'_>, service: &ServiceView) -> String {
    match taken.get(&*service.id) {
        Some(Taken::Acknowledged(ack)) => format!(" (acknowledged by {})", text::shown(&ack.by)),
        Some(Taken::Shelved(shelf)) => {
            format!(" (shelved: {})", shorten(&text::shown(&shelf.held.record.reason)))
        }
        None => String::new(),
    }
}

fn shorten(cause: &str) -> String {
    match text::head(cause, CAUSE) {
        whole if whole.len() == cause.len() => whole.to_owned(),
        _ => format!("{}…", text::head(cause, CAUSE - 1)),
    }
}
