//! The newest events, for the few lines below the table. That a service works or rests, and that it
//! crashes once more, would push out what else is worth a look: the first stands on the page of
//! events alone, the second in one line here, with how often it was.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::words;

use super::history::{Entry, What};

/// A crash that follows another by more than this stands for itself: so long a restart is
/// remembered at least (`truth.md` 6).
const REMEMBERED: TimeDelta = TimeDelta::minutes(5);

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told<'a> {
    /// Of several crashes the last.
    pub entry: &'a Entry,
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
    /// In words: `crashed 7 times in 2 min 4 s: SIGSEGV`.
    pub fn words(&self, arrow: &str) -> String {
        match (self.crashes, &self.entry.what) {
            (Some(Crashes { count, first, last }), What::Crash { how }) => {
                format!("crashed {count} times in {}: {how}", words(last - first))
            }
            _ => self.entry.words(arrow),
        }
    }
}

/// The newest of `entries` (oldest first) that are worth a line, newest first. Of a service that
/// crashes again and again: its last crash, what it did last, and all that is no part of it.
pub fn newest<'a>(entries: &'a [Entry], most: usize) -> Vec<Told<'a>> {
    let loops = loops(entries);
    let mut met: HashSet<&str> = HashSet::new();
    let line = |entry: &'a Entry| {
        let crashes = loops.get(&*entry.id).copied().filter(|it| it.count > 1);
        let Some(crashes) = crashes.filter(|it| entry.at >= it.first) else {
            return Some(Told { entry, crashes: None });
        };
        let is_newest = met.insert(&entry.id);
        let is_last_crash = matches!(entry.what, What::Crash { .. }) && entry.at == crashes.last;
        let told = is_newest || is_last_crash || !is_step(&entry.what);
        told.then_some(Told { entry, crashes: Some(crashes) })
    };
    let worth_a_look = entries.iter().rev().filter(|entry| !entry.is_routine());
    worth_a_look.filter_map(line).take(most).collect()
}

/// The last series of crashes of each service.
fn loops(entries: &[Entry]) -> HashMap<&str, Crashes> {
    let mut loops: HashMap<&str, Crashes> = HashMap::new();
    for entry in entries.iter().filter(|entry| matches!(entry.what, What::Crash { .. })) {
        let (at, one) = (entry.at, Crashes { count: 1, first: entry.at, last: entry.at });
        let series = loops.entry(&entry.id).or_insert(Crashes { count: 0, ..one });
        *series = match *series {
            Crashes { last, .. } if at - last > REMEMBERED => one,
            Crashes { count, first, .. } => Crashes { count: count + 1, first, last: at },
        };
    }
    loops
}

/// Whether it happens once more with each crash: the crash, the start that follows, and what the
/// service says meanwhile.
fn is_step(what: &What) -> bool {
    match what {
        What::Crash { .. } | What::Return { .. } | What::Status { .. } => true,
        What::Life { .. } | What::Heart { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use tcs_core::fleet::Verdict;
    use tcs_core::wire::Status;

    use super::*;

    fn entry(second: i64, id: &str, what: What) -> Entry {
        let at = DateTime::from_timestamp(1_795_393_000 + second, 0).unwrap();
        Entry { at, id: id.into(), what }
    }

    fn crash(second: i64) -> Entry {
        entry(second, "bad.a", What::Crash { how: "SIGSEGV".to_owned() })
    }

    fn start(second: i64) -> Entry {
        let (text, weight) = ("started".to_owned(), Verdict::Starting);
        entry(second, "bad.a", What::Return { text, weight })
    }

    fn says(second: i64, id: &str, to: Status) -> Entry {
        entry(second, id, What::Status { from: None, to, message: String::new() })
    }

    fn told(entries: &[Entry], most: usize) -> Vec<String> {
        let newest = newest(entries, most);
        newest.iter().map(|told| format!("{} {}", told.entry.id, told.words("->"))).collect()
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
        let all =
            ["bad.a says ok", "bad.a crashed 7 times in 1 min: SIGSEGV", "guider.a says error"];
        assert_eq!(told(&night, 4), all);
        // while it is down the crash itself is the newest
        night.push(crash(71));
        assert_eq!(told(&night, 4)[..], ["bad.a crashed 8 times in 1 min 10 s: SIGSEGV", all[2]]);
        // what is no part of it is told as it is
        let given_up = What::Life { text: "given up".to_owned(), weight: Verdict::Failed };
        night.push(entry(72, "bad.a", given_up.clone()));
        night.insert(3, entry(8, "bad.a", given_up));
        let lines = told(&night, 9);
        assert_eq!(lines.iter().filter(|line| *line == "bad.a given up").count(), 2, "{lines:#?}");
        assert_eq!(lines.len(), 4, "{lines:#?}");
    }

    #[test]
    fn crashes_far_from_each_other_are_told_each() {
        let night = [crash(0), start(1), crash(400), start(401)];
        let each = ["bad.a started", "bad.a crashed: SIGSEGV, will be restarted"];
        assert_eq!(told(&night, 9), [each, each].concat());
        // of two series only the last is one line
        let night = [crash(0), start(1), crash(2), crash(400), start(401), crash(402), start(403)];
        let last = ["bad.a started", "bad.a crashed 2 times in 2 s: SIGSEGV", each[1], each[0]];
        assert_eq!(told(&night, 4), last);
    }
}
