//! The line of `tcsctl check`: `TCS WARNING - 1 late of 12: guider.jk15 late, ... | ok=11 late=1`.

use std::fmt::Write as _;

use tcs_core::fleet::{Counts, FleetView, ServiceView, Verdict};

use super::source::Source;
use super::span::{Line, Tone};
use crate::exit::Check;

/// Services named in the line.
const NAMED: usize = 5;

/// The whole line, with performance data behind `|`.
pub fn line(result: Check, view: &FleetView, services: &[&ServiceView], source: &Source) -> Line {
    let mut counts = Counts::default();
    for service in services {
        counts.add(service.verdict);
    }
    let mut text = match services {
        [] if source.complete && source.messages == 0 => "no messages at all".to_owned(),
        [] if result == Check::Unknown => "no such service is known".to_owned(),
        [] => "nothing is running".to_owned(),
        [service] => of_one(service, view),
        _ => summary(services, counts),
    };
    if !source.complete {
        let _ = write!(text, "; incomplete: {}", source.problems.join("; "));
    }
    // a bar begins performance data
    let mut line = head(result).with(Tone::Plain, &text.replace('|', "/"));
    line.push(Tone::Dim, " |");
    for verdict in Verdict::ALL {
        line.push(Tone::Dim, &format!(" {verdict}={};;;0", counts.of(verdict)));
    }
    line
}

/// There is no picture at all: `message` says why.
pub fn unknown(message: &str) -> Line {
    let first = message.lines().next().unwrap_or_default();
    head(Check::Unknown).with(Tone::Plain, &first.replace('|', "/"))
}

fn head(result: Check) -> Line {
    let tone = match result {
        Check::Ok => Tone::Good,
        Check::Warning => Tone::Warn,
        Check::Critical => Tone::Bad,
        Check::Unknown => Tone::Strong,
    };
    Line::new().with(tone, &format!("TCS {}", result.word())).with(Tone::Plain, " - ")
}

fn of_one(service: &ServiceView, view: &FleetView) -> String {
    let mut text = format!("{} is {}", service.id, service.verdict);
    if let Some(since) = service.since {
        let _ = write!(text, " for {}", tcs_core::fleet::words(view.now - since));
    }
    let headline = service.headline();
    if !headline.is_empty() {
        text.push_str(": ");
        text.push_str(&headline);
    }
    text
}

fn summary(services: &[&ServiceView], counts: Counts) -> String {
    let parts: Vec<_> = counts.present().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let mut text = format!("{} services: {}", services.len(), parts.join(", "));
    let mut faults: Vec<_> = services.iter().filter(|s| s.verdict.is_fault()).collect();
    faults.sort_by_key(|service| service.verdict);
    for (i, service) in faults.iter().take(NAMED).enumerate() {
        text.push_str(if i == 0 { "; " } else { ", " });
        let _ = write!(text, "{} {}", service.id, service.verdict);
    }
    if faults.len() > NAMED {
        let _ = write!(text, " and {} more", faults.len() - NAMED);
    }
    text
}
