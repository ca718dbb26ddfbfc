//! Whether the order that `after` and `level` ask for is possible.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;

use super::nearest::nearest;
use super::problem::{Place, Problem, Problems};
use super::services::Entry;
use crate::id::ServiceId;
use crate::wire::format_duration;

/// What a service waits for before it is started for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait<'a> {
    /// For what.
    pub on: Awaited<'a>,
    /// Then it is started anyway.
    pub at_most: Duration,
}

/// See [`Wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited<'a> {
    /// A service in its `after`.
    Service(&'a ServiceId),
    /// All services of lower levels than this, its own.
    LevelsBelow(i64),
}

impl fmt::Display for Wait<'_> {
    /// `db.main (1 min at most)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.on {
            Awaited::Service(id) => write!(f, "{id}")?,
            Awaited::LevelsBelow(level) => write!(f, "all services below level {level}")?,
        }
        write!(
            f,
            " ({} at most)",
            format_duration(TimeDelta::from_std(self.at_most).unwrap_or_default())
        )
    }
}

/// What a service waits for, of those that start by themselves.
pub fn waits<'a>(entry: &'a Entry, all: &'a [Entry]) -> Vec<Wait<'a>> {
    let enabled = || all.iter().filter(|it| it.launch.enabled && it.id != entry.id);
    let named = entry.launch.after.iter().filter_map(|id| {
        let at_most = enabled().find(|it| it.id == *id)?.launch.start_timeout;
        Some(Wait { on: Awaited::Service(id), at_most })
    });
    let level = entry.launch.level;
    let below = enabled().filter(|it| it.launch.level < level);
    let below = below.map(|it| it.launch.start_timeout).max();
    named.chain(below.map(|at_most| Wait { on: Awaited::LevelsBelow(level), at_most })).collect()
}

/// Reports services that come after themselves, directly or in a circle, and those that come after
/// a higher level. A name that no entry bears is a warning: one may be commented out for a night.
pub(super) fn check(entries: &[Entry], problems: &mut Problems) {
    let by_id: BTreeMap<&ServiceId, &Entry> = entries.iter().map(|it| (&it.id, it)).collect();
    for entry in entries {
        for (id, at) in edges(entry) {
            let problem = match by_id.get(id) {
                _ if *id == entry.id => {
                    Problem::error(at, format!("`{id}` cannot come after itself"))
                }
                None => {
                    Problem::warning(at, format!("`after` names `{id}`, which is not a service"))
                        .suggest(nearest(id.as_str(), by_id.keys().map(|id| id.as_str())))
                }
                Some(other) if other.launch.level > entry.launch.level => {
                    let (low, high) = (entry.launch.level, other.launch.level);
                    let message = format!(
                        "`{}` (level {low}) cannot come after `{id}` (level {high}): lower levels \
                         start first",
                        entry.id
                    );
                    Problem::error(at, message)
                }
                Some(_) => continue,
            };
            problems.push(problem);
        }
    }
    let mut walk = Walk { by_id: &by_id, path: Vec::new(), done: BTreeSet::new(), problems };
    for entry in entries {
        walk.visit(entry);
    }
}

fn edges(entry: &Entry) -> impl Iterator<Item = (&ServiceId, Place)> {
    entry.launch.after.iter().zip(entry.launch.after_places.iter().copied())
}

/// Along `after`, each service once.
struct Walk<'a, 'p> {
    by_id: &'a BTreeMap<&'a ServiceId, &'a Entry>,
    path: Vec<&'a Entry>,
    done: BTreeSet<&'a ServiceId>,
    problems: &'p mut Problems,
}

impl<'a> Walk<'a, '_> {
    /// Without recursion: a chain may be as long as the file.
    fn visit(&mut self, start: &'a Entry) {
        let mut open = vec![(start, 0)];
        while let Some((entry, next)) = open.pop() {
            if next == 0 {
                if !self.done.insert(&entry.id) {
                    continue;
                }
                self.path.push(entry);
            }
            let Some((id, at)) = edges(entry).nth(next) else {
                self.path.pop();
                continue;
            };
            open.push((entry, next + 1));
            let Some(other) = self.by_id.get(id).filter(|_| *id != entry.id) else { continue };
            match self.path.iter().position(|it| it.id == *id) {
                Some(from) => self.circle(from, at),
                None => open.push((other, 0)),
            }
        }
    }

    fn circle(&mut self, from: usize, at: Place) {
        let circle = &self.path[from..];
        let names = circle.iter().chain(circle.first()).map(|entry| format!("`{}`", entry.id));
        let names = names.collect::<Vec<_>>().join(" after ");
        let problem = Problem::error(at, format!("`after` is circular: {names}"));
        self.problems.push(problem.hint("none of these could start first: remove one `after`"));
    }
}
