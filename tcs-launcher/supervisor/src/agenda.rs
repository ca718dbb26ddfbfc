//! Which scheduled service is to be started, by the wall clock.
//!
//! The launcher looks into the agenda when a run is due, and every 30 s at least, since a wall clock
//! may be set. What was due since the last look, and is not older than [`ON_TIME`], is started; what
//! is older was missed: the launcher did not run, its host slept, or the clock was put forward. A
//! clock that is put back by up to [`STEP_BACK`] repeats nothing; one that is put back further was
//! wrong before, and counts from its new time on.
//!
//! A clock that shows a time before this program was written has not been set: nothing is due
//! until it is, and runs between its wrong time and the right one were not missed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Missed;

use super::schedule::Schedule;
use super::spec::ServiceId;

/// Until then a run is on time.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);

/// How far a clock may be put back without a run being repeated, as in Vixie cron.
const STEP_BACK: TimeDelta = TimeDelta::hours(3);

/// Missed runs of one service that are counted at one look.
pub const MOST_MISSED: u32 = 1000;

/// No clock that has been set is behind this: 2020-01-01.
const FIRST_SET: DateTime<Utc> = match DateTime::from_timestamp(1_577_836_800, 0) {
    Some(at) => at,
    None => DateTime::UNIX_EPOCH,
};
/// How soon a clock that is not set is looked at again.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

/// All scheduled services of a launcher.
#[derive(Debug, Clone, Default)]
pub struct Agenda(BTreeMap<ServiceId, Item>);

#[derive(Debug, Clone)]
struct Item {
    schedule: Schedule,
    /// Runs up to this time are done, or will not be.
    settled: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
    /// One run is due, and starts when the present one has ended.
    queued: bool,
}

/// What a service is doing when a run of it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing: it can be started.
    Free,
    /// A run goes on, or is about to.
    Running,
    /// Somebody has stopped it: it is not started before somebody starts it.
    Stopped,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Start it.
    Start {
        /// Which.
        id: ServiceId,
        /// For which time.
        at: DateTime<Utc>,
    },
    /// Tell of runs that did not take place.
    Missed {
        /// Of which service.
        id: ServiceId,
        /// Which, and why.
        missed: Missed,
    },
    /// Its next run is at another time.
    Moved {
        /// Of which service.
        id: ServiceId,
    },
}

/// Why a run did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissedReason {
    /// The launcher or its host did not run, or the clock was put forward over it.
    NotRunning,
    /// The run before went on.
    StillRunning,
}

fn missed(reason: MissedReason, count: u32, last: DateTime<Utc>, made_up: bool) -> Missed {
    Missed {
        reason: Some(reason.as_str().to_owned()),
        missed_count: Some(count),
        scheduled_at: Some(last.into()),
        made_up,
    }
}

impl MissedReason {
    /// As it stands on the wire.
    const fn as_str(self) -> &'static str {
        match self {
            Self::NotRunning => "launcher_not_running",
            Self::StillRunning => "still_running",
        }
    }
}

impl Agenda {
    /// A service is scheduled. Runs up to `settled` are no longer its affair; one whose schedule is
    /// as before keeps its own.
    pub fn set(&mut self, id: &ServiceId, schedule: &Schedule, settled: DateTime<Utc>) {
        if self.0.get(id).is_some_and(|item| item.schedule == *schedule) {
            return;
        }
        let next = schedule.next(settled).filter(|_| settled >= FIRST_SET);
        let schedule = schedule.clone();
        self.0.insert(id.clone(), Item { schedule, settled, next, queued: false });
    }

    /// Only these stay.
    pub fn retain(&mut self, stays: impl Fn(&ServiceId) -> bool) {
        self.0.retain(|id, _| stays(id));
    }

    /// When a service runs next; `None`: it is not scheduled.
    pub fn next(&self, id: &ServiceId) -> Option<DateTime<Utc>> {
        self.0.get(id)?.next
    }

    /// Services of which another run is to follow the present one.
    pub fn queued(&self) -> impl Iterator<Item = &ServiceId> {
        self.0.iter().filter(|(_, item)| item.queued).map(|(id, _)| id)
    }

    /// Another run of a service is to follow the present one.
    pub fn queue(&mut self, id: &ServiceId) {
        if let Some(item) = self.0.get_mut(id).filter(|item| item.schedule.queues) {
            item.queued = true;
        }
    }

    /// Up to when runs are settled, of all: to be kept for the next launcher of the file.
    pub fn settled(&self) -> impl Iterator<Item = (&ServiceId, &Schedule, DateTime<Utc>)> {
        self.0.iter().map(|(id, item)| (id, &item.schedule, item.settled))
    }

    /// Whether something is scheduled, and the clock that shows `now` has not been set.
    pub fn waits_for_clock(&self, now: DateTime<Utc>) -> bool {
        now < FIRST_SET && !self.0.is_empty()
    }

    /// The time of the next look; `None`: nothing is scheduled.
    pub fn due(
        &self,
        now: DateTime<Utc>,
        doing: impl Fn(&ServiceId) -> Activity,
    ) -> Option<DateTime<Utc>> {
        if self.waits_for_clock(now) {
            return Some(now + LOOK_AGAIN);
        }
        let is_new = |item: &Item| item.settled < FIRST_SET;
        if self.0.values().any(is_new) {
            return Some(now);
        }
        let waits = |(id, item): (&ServiceId, &Item)| {
            let starts = item.queued && doing(id) != Activity::Running;
            if starts { Some(now) } else { item.next }
        };
        self.0.iter().filter_map(waits).min()
    }

    /// What has become due at `now`.
    pub fn look(&mut self, now: DateTime<Utc>, doing: impl Fn(&ServiceId) -> Activity) -> Vec<Due> {
        let mut due = Vec::new();
        if now < FIRST_SET {
            return due;
        }
        for (id, item) in &mut self.0 {
            item.look(id, now, doing(id), &mut due);
        }
        due
    }
}

impl Item {
    fn look(&mut self, id: &ServiceId, now: DateTime<Utc>, doing: Activity, due: &mut Vec<Due>) {
        if now + STEP_BACK < self.settled || self.settled < FIRST_SET {
            self.settle(now, id, due);
        }
        let mut count = 0;
        let mut newest: [Option<DateTime<Utc>>; 2] = [None; 2];
        while let Some(at) = self.next.filter(|at| *at <= now) {
            count += 1;
            newest = [Some(at), newest[0]];
            // not `now`: the clock may be put back
            self.settled = if count <= MOST_MISSED { at } else { at.max(now - ON_TIME) };
            self.next = self.schedule.next(self.settled);
        }
        if let [Some(last), before] = newest {
            self.came_due(id, now, doing, (last, before, count), due);
            due.push(Due::Moved { id: id.clone() });
        }
        if self.queued && doing != Activity::Running {
            self.queued = false;
            if doing == Activity::Free {
                due.push(Due::Start { id: id.clone(), at: now });
            }
        }
    }

    /// Several runs have come due: the last one at `last`, the one `before` it, and earlier ones.
    fn came_due(
        &mut self,
        id: &ServiceId,
        now: DateTime<Utc>,
        doing: Activity,
        (last, before, count): (DateTime<Utc>, Option<DateTime<Utc>>, u32),
        due: &mut Vec<Due>,
    ) {
        if doing == Activity::Stopped {
            return;
        }
        let is_on_time = now - last <= ON_TIME;
        let last_missed = if is_on_time { before } else { Some(last) };
        let makes_up = !is_on_time && self.schedule.catches_up;
        let mut tell = |missed| due.push(Due::Missed { id: id.clone(), missed });
        if let Some(last) = last_missed {
            let count = (count - u32::from(is_on_time)).min(MOST_MISSED);
            let reason = MissedReason::NotRunning;
            tell(missed(reason, count, last, makes_up));
        }
        if !is_on_time && !makes_up {
            return;
        }
        match doing {
            Activity::Running if self.queued || !self.schedule.queues => {
                let reason = MissedReason::StillRunning;
                tell(missed(reason, 1, last, false));
            }
            Activity::Running => self.queued = true,
            Activity::Free | Activity::Stopped => due.push(Due::Start { id: id.clone(), at: last }),
        }
    }

    /// From here on.
    fn settle(&mut self, now: DateTime<Utc>, id: &ServiceId, due: &mut Vec<Due>) {
        self.settled = now;
        self.next = self.schedule.next(now);
        due.push(Due::Moved { id: id.clone() });
    }
}
