//! How it ended last, and how that compares with the ends before.

use tcs_fleet::why::Used;
use tcs_fleet::{LastEnd, format_duration};
use tcs_wire::control::{CrashFigures, Oom};
use tcs_wire::{Event, how_ended};

use super::{Answer, Fact, Source};
use crate::top::bytes;
use crate::{Line, Role, Times};

/// Of the last end.
pub(super) fn facts(answer: &Answer<'_>, times: Times) -> Vec<Fact> {
    let service = answer.service;
    let Some(end) = &answer.end else {
        let source = Source::new("registry", Some(&service.id), None);
        let text = if service.managed {
            "no end is recorded"
        } else {
            "no launcher runs it: how it ends is not recorded"
        };
        return vec![Fact::new(source, Line::new().with(Role::Dim, text))];
    };
    let source = || Source::new("registry", Some(&service.id), Some(end.at));
    let when = times.point_and_age(end.at, answer.view.now);
    let role = if end.reason == "crashed" { Role::Bad } else { Role::Text };
    let how = Line::new().with(Role::Dim, &format!("{when}  ")).with(role, &words(end));
    let mut facts = vec![Fact::new(source(), how)];
    facts.extend(by_whom(answer, end).map(|text| Fact::text(source(), &text)));
    facts.extend(end.last_lines.iter().map(|line| {
        Fact::new(source(), Line::new().with(Role::Dim, "output  ").with(Role::Text, line))
    }));
    facts.extend(used(answer).into_iter().map(|text| Fact::text(source(), &text)));
    facts
}

/// `crashed after 6 s: exit code 3, core dumped`
fn words(end: &LastEnd) -> String {
    let mut words = end.reason.replace('_', " ");
    if let Some(uptime) = end.uptime {
        words = format!("{words} after {}", format_duration(uptime));
    }
    if let Some(how) = how(end) {
        words = format!("{words}: {how}");
    }
    if end.core_dumped == Some(true) {
        words.push_str(", core dumped");
    }
    words
}

fn how(end: &LastEnd) -> Option<String> {
    end.signal.clone().or_else(|| end.exit_code.map(how_ended))
}

/// Who wanted it, or that nobody is known who did.
fn by_whom(answer: &Answer<'_>, end: &LastEnd) -> Option<String> {
    if let Some(by) = &end.requested_by {
        return Some(format!("requested by {by}"));
    }
    let is_killed = end.signal.as_deref() == Some("SIGKILL");
    match &*end.reason {
        "force_killed" => {
            Some("killed by its launcher, because it did not stop in time".to_owned())
        }
        "crashed" if is_killed => Some(killed(answer, end)),
        "terminated" | "stopped" => {
            let reason = answer.own.iter().rev().find_map(|event| match &event.event {
                Event::Stopping { reason } if event.at <= end.at => reason.clone(),
                _ => None,
            });
            reason.map(|reason| format!("stopped by its launcher: {}", reason.replace('_', " ")))
        }
        _ => None,
    }
}

/// Somebody or something has killed it. That memory ran out is known from the kernel, not guessed.
fn killed(answer: &Answer<'_>, end: &LastEnd) -> String {
    const NOBODY: &str = "killed by SIGKILL from an unknown sender";
    match (end.resources.as_ref().and_then(|it| it.oom), answer.out_of_memory) {
        (Some(Oom::Killed), _) => "killed by the kernel: out of memory".to_owned(),
        (Some(Oom::Likely), _) => {
            "probably killed by the kernel: the host ran out of memory at that time".to_owned()
        }
        (_, Some(true)) => {
            format!(
                "{NOBODY}; its host ran out of memory at that time, and the kernel killed processes"
            )
        }
        (_, Some(false)) => format!("{NOBODY}; the host was not out of memory"),
        (_, None) => format!("{NOBODY}; whether the host was out of memory is not known"),
    }
}

/// `peak memory 3.8 GB, the 5 runs before 0.4 GB`
fn used(answer: &Answer<'_>) -> Vec<String> {
    let text = |what: &str, last: String, before: Option<(String, usize)>| match before {
        Some((before, 1)) => format!("{what} {last}, the run before {before}"),
        Some((before, runs)) => format!("{what} {last}, the {runs} runs before {before}"),
        None => format!("{what} {last}"),
    };
    let peak = |figures: &CrashFigures| figures.peak_rss_bytes;
    let memory = Used::of(&answer.own, peak).map(|used| {
        let before = used.before.map(|(median, runs)| (bytes(median), runs));
        text("peak memory", bytes(used.last), before)
    });
    let seconds = |seconds: f64| format!("{seconds:.1} s");
    let cpu = Used::of(&answer.own, |figures| figures.cpu_seconds).map(|used| {
        let before = used.before.map(|(median, runs)| (seconds(median), runs));
        text("CPU", seconds(used.last), before)
    });
    // of a crash: what a stopped run used is not recorded
    let is_crash = answer.end.as_ref().is_some_and(|end| end.reason == "crashed");
    [memory, cpu].into_iter().flatten().filter(|_| is_crash).collect()
}

/// How often, how long, how regular.
pub(super) fn pattern(answer: &Answer<'_>) -> Vec<Fact> {
    let pattern = &answer.pattern;
    let source = || Source::new("registry", Some(&answer.service.id), None);
    if pattern.week == 0 {
        let line = Line::new().with(Role::Dim, "no crash is recorded in the last 7 days");
        return vec![Fact::new(source(), line)];
    }
    let more = if pattern.at_least { "at least " } else { "" };
    let mut facts = vec![format!(
        "{more}{} in the last hour, {} in 24 h, {} in 7 days",
        crashes(pattern.hour),
        pattern.day,
        pattern.week
    )];
    match (pattern.each, pattern.runs) {
        (Some(each), _) => facts.push(format!("each run lasted about {}", format_duration(each))),
        (None, Some([shortest, median, longest])) if shortest < longest => facts.push(format!(
            "runs lasted from {} to {}, half of them less than {}",
            format_duration(shortest),
            format_duration(longest),
            format_duration(median),
        )),
        (None, Some([_, median, _])) => {
            facts.push(format!("the run lasted {}", format_duration(median)));
        }
        (None, None) => {}
    }
    match pattern.every {
        Some(every) => facts.push(format!("regular: one every {}", format_duration(every))),
        None if pattern.is_judged => facts.push("not regular".to_owned()),
        None => {}
    }
    facts.iter().map(|text| Fact::text(source(), text)).collect()
}

fn crashes(count: usize) -> String {
    if count == 1 { "1 crash".to_owned() } else { format!("{count} crashes") }
}
