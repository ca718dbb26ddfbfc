//! The newest events, for the few lines below the table. That a service works or rests, that it
//! crashes once more, and that many go silent at once would push out what else is worth a look: the
//! first stands on the page of events alone, the others are one line here.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::format_duration;
use tcs_fleet::transitions::{Cause, Group, Transition, grouped};
use tcs_wire::Event;

use super::{Line, Role, events};

/// A crash that follows another by more than this stands for itself: so long a restart is
/// remembered at least (`docs/spec/truth.md#verdict`).
const REMEMBERED: TimeDelta = TimeDelta::minutes(5);

/// What a line tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<'a> {
    /// One transition, or that of many services. Of several crashes the last.
    pub group: Group<'a>,
    /// The crashes that it stands for, where there are several.
    crashes: Option<Crashes>,
}

/// Crashes of one service, each soon after the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Crashes {
    count: usize,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

impl Told<'_> {
    /// In words: `crashed 7 times: SIGSEGV, within 2 min 4 s`.
    pub fn words(&self) -> Line {
        match (self.crashes, crash(self.group.first())) {
            (Some(Crashes { count, first, last }), Some(how)) => {
                let within = format_duration(last - first);
                let told = format!("crashed {count} times: {how}, within {within}");
                Line::new().with(Role::Bad, &told)
            }
            _ => events::of_group(&self.group),
        }
    }
}

/// The newest of `entries` (oldest first) that are worth a line, newest first. Of a service that
/// crashes again and again: its last crash, what it did last, and all that is no part of it.
pub fn newest<'a>(entries: &'a [Transition], most: usize) -> Vec<Told<'a>> {
    let loops = loops(entries);
    let mut met: HashSet<&str> = HashSet::new();
    let groups = grouped(entries.iter().filter(|entry| !entry.is_routine()));
    let line = |group: Group<'a>| {
        let entry = group.first();
        let crashes = loops.get(&*entry.id).copied().filter(|it| it.count > 1);
        let Some(crashes) = crashes.filter(|it| entry.at >= it.first && !group.is_many()) else {
            return Some(Told { group, crashes: None });
        };
        let is_newest = met.insert(&entry.id);
        let is_last_crash = crash(entry).is_some() && entry.at == crashes.last;
        let told = is_newest || is_last_crash || !is_step(entry);
        told.then_some(Told { group, crashes: Some(crashes) })
    };
    groups.into_iter().rev().filter_map(line).take(most).collect()
}

/// The last series of crashes of each service.
fn loops(entries: &[Transition]) -> HashMap<&str, Crashes> {
    let mut loops: HashMap<&str, Crashes> = HashMap::new();
    for entry in entries.iter().filter(|entry| crash(entry).is_some()) {
        let (at, one) = (entry.at, Crashes { count: 1, first: entry.at, last: entry.at });
        let series = loops.entry(&entry.id).or_insert(Crashes { count: 0, ..one });
        *series = match *series {
            Crashes { last, .. } if at - last > REMEMBERED => one,
            Crashes { count, first, .. } => Crashes { count: count + 1, first, last: at },
        };
    }
    loops
}

/// How it crashed, if it did and is to be started again.
fn crash(transition: &Transition) -> Option<String> {
    match &transition.cause {
        Cause::Event { event: Event::Crashed(crash), .. } if crash.will_restart => {
            Some(crash.headline())
        }
        _ => None,
    }
}

/// Whether it happens once more with each crash: the crash, the start that follows, and what the
/// service reports meanwhile.
fn is_step(transition: &Transition) -> bool {
    match &transition.cause {
        Cause::Status { .. } => true,
        Cause::Heartbeat | Cause::Reboot { .. } | Cause::Profile { .. } => false,
        Cause::Event { event, .. } => match event {
            Event::Crashed(crash) => crash.will_restart,
            Event::Start { .. } | Event::Ready { .. } | Event::Restarting { .. } => true,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use tcs_fleet::Verdict;
    use tcs_wire::{Crashed, Status};

    use super::*;

    fn entry(second: i64, id: &str, cause: Cause) -> Transition {
        let at = DateTime::from_timestamp(1_795_393_000 + second, 0).unwrap();
        Transition {
            at,
            delivered_late: TimeDelta::zero(),
            id: id.into(),
            cause,
            by: None,
            before: None,
            verdict: Verdict::Ok,
            reasons: Vec::new(),
        }
    }

    fn event(second: i64, event: Event) -> Transition {
        entry(second, "bad.a", Cause::Event { event, launcher: None, ran: None })
    }

    fn crash(second: i64) -> Transition {
        let crash = Crashed {
            signal: Some("SIGSEGV".to_owned()),
            will_restart: true,
            ..Crashed::default()
        };
        event(second, Event::Crashed(crash))
    }

    fn start(second: i64) -> Transition {
        event(second, Event::Start { hostname: None, pid: None, recent_crashes: None })
    }

    fn says(second: i64, id: &str, to: Status) -> Transition {
        entry(second, id, Cause::Status { from: None, to, message: None })
    }

    fn told(entries: &[Transition], most: usize) -> Vec<String> {
        let newest = newest(entries, most);
        let told =
            |told: &Told<'_>| format!("{} {}", events::name(&told.group), told.words().plain());
        newest.iter().map(told).collect()
    }

    #[test]
    fn one_that_crashes_again_and_again_leaves_room_for_others() {
        let mut night = vec![says(0, "guider.a", Status::Error)];
        for i in 0..7 {
            night.extend([
                crash(10 * i + 1),
                start(10 * i + 5),
                says(10 * i + 6, "bad.a", Status::Ok),
            ]);
        }
        let all = [
            "bad.a reports ok",
            "bad.a crashed 7 times: SIGSEGV, within 1 min",
            "guider.a reports error",
        ];
        assert_eq!(told(&night, 4), all);
        // while it is down the crash itself is the newest
        night.push(crash(71));
        assert_eq!(
            told(&night, 4)[..],
            ["bad.a crashed 8 times: SIGSEGV, within 1 min 10 s", all[2]]
        );
        // what is no part of it is told as it is
        let given_up = |second| {
            event(second, Event::Failed { reason: None, restart_count: None, restart_window: None })
        };
        night.push(given_up(72));
        night.insert(3, given_up(8));
        let lines = told(&night, 9);
        assert_eq!(lines.iter().filter(|line| *line == "bad.a giving up").count(), 2, "{lines:#?}");
        assert_eq!(lines.len(), 4, "{lines:#?}");
    }

    #[test]
    fn crashes_far_from_each_other_are_told_each() {
        let night = [crash(0), start(1), crash(400), start(401)];
        let each = ["bad.a started", "bad.a crashed: SIGSEGV; will be restarted"];
        assert_eq!(told(&night, 9), [each, each].concat());
        // of two series only the last is one line
        let night = [crash(0), start(1), crash(2), crash(400), start(401), crash(402), start(403)];
        let last =
            ["bad.a started", "bad.a crashed 2 times: SIGSEGV, within 2 s", each[1], each[0]];
        assert_eq!(told(&night, 4), last);
    }

    #[test]
    fn many_that_go_silent_at_once_are_one_line() {
        let late = |second, id: &str| Transition {
            verdict: Verdict::Late,
            ..entry(second, id, Cause::Heartbeat)
        };
        let mut night = vec![late(0, "a.a"), late(3, "b.a"), crash(4), late(6, "c.a")];
        let many = "3 services late, all within 6 s";
        assert_eq!(told(&night, 9), ["bad.a crashed: SIGSEGV; will be restarted", many]);
        night.remove(1);
        assert_eq!(told(&night, 9).len(), 3, "two are told each");
    }
}
