//! What is known of a service's crashes and restarts: for the evidence, and for `(2/5)`.

use chrono::{DateTime, TimeDelta, Utc};

use super::record::Record;
use super::relations::remembered;
use super::verdict::Reason;
use super::view::Attempt;
use crate::wire::{Crashed, Event, Limit};

/// Python counts restarts inside this window when it declares none.
const DEFAULT_WINDOW: TimeDelta = TimeDelta::seconds(60);

/// Adds the last crash to the evidence.
pub(super) fn crash_reason(record: &Record, now: DateTime<Utc>, reasons: &mut Vec<Reason>) {
    if let Some(kept) = record.crashed()
        && let Event::Crashed(crash) = &kept.message.event
    {
        reasons.push(Reason::Crashed {
            how: crash.how(),
            ago: now - kept.stamp.stored,
            restart_at: crash.restart_at.map(crate::wire::Timestamp::time),
        });
    }
}

impl Crashed {
    /// Why it crashed, in one line: the error and how it ended (`no camera (exit 3)`), or that alone
    /// (`exit code 3`, `SIGSEGV, core dumped`).
    pub fn how(&self) -> String {
        let by_signal = self.exit_code.filter(|code| *code < 0);
        let signal = self.signal.clone().or_else(|| by_signal.map(how_ended));
        let dump = if self.core_dumped == Some(true) { ", core dumped" } else { "" };
        match (signal, &self.error, self.exit_code) {
            (Some(signal), Some(error), _) => format!("{error} ({signal}{dump})"),
            (Some(signal), None, _) => format!("{signal}{dump}"),
            // an error that carries its exit code names it
            (None, Some(error), Some(code)) if error.ends_with(&how_ended(code)) => error.clone(),
            (None, Some(error), Some(code)) => format!("{error} (exit {code})"),
            (None, Some(error), None) => error.clone(),
            (None, None, Some(code)) => how_ended(code),
            (None, None, None) => "for an unknown reason".to_owned(),
        }
    }
}

/// An exit code in words, where a negative one is a signal: `exit code 3`, `SIGTERM`.
pub fn how_ended(code: i32) -> String {
    match code.checked_neg().filter(|number| *number > 0) {
        Some(number) => {
            signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
        }
        None => format!("exit code {code}"),
    }
}

/// Linux signal numbers, the ones that end processes.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// Which attempt a restart is, of how many. Python does not say it in `crashed`: then it is one
/// more than the last `restarting` of the window.
pub(super) fn attempt(record: &Record) -> Option<Attempt> {
    let crashed = record.crashed()?;
    let Event::Crashed(crash) = &crashed.message.event else { return None };
    let again = record.restarting().and_then(|kept| match kept.message.event {
        Event::Restarting { restart_attempt, max_restarts, .. } => {
            Some((kept, restart_attempt, max_restarts))
        }
        _ => None,
    });
    let number = match again {
        Some((kept, Some(number), _)) if kept.stamp.is_newer(&crashed.stamp) => number,
        Some((kept, Some(number), _))
            if crashed.stamp.stored - kept.stamp.stored < DEFAULT_WINDOW =>
        {
            crash.restart_attempt.unwrap_or(number + 1)
        }
        _ => crash.restart_attempt.unwrap_or(1),
    };
    let declared = || record.declaration().and_then(|declared| declared.restart_max);
    let limit = crash.max_restarts.or(again.and_then(|(_, _, limit)| limit)).or_else(declared);
    let limit = limit.map(|limit| match limit {
        Limit::Times(0) | Limit::Unlimited => Limit::Unlimited,
        Limit::Times(times) => Limit::Times(times),
    });
    Some(Attempt { number, limit })
}

/// How often it was restarted, as long as the last crash is remembered.
pub(super) fn restarts(record: &Record, now: DateTime<Utc>) -> u32 {
    let Some(crashed) = record.crashed() else { return 0 };
    if now - crashed.stamp.stored > remembered(record) {
        return 0;
    }
    match record.restarting().map(|kept| &kept.message.event) {
        Some(Event::Restarting { restart_attempt, .. }) => restart_attempt.unwrap_or(1),
        _ => 0,
    }
}
