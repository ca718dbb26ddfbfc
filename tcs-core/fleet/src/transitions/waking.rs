//! When to look at a service again although nothing came.

use std::cmp::Reverse;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Blind, CRASH_COUNTS, Cause, GRACE, Transition, Transitions, tells};
use crate::liveness::PATIENCE;
use crate::view::ServiceView;
use crate::{Fleet, Link};

impl Transitions {
    /// Looks at a service whose time has come.
    pub(super) fn wake(
        &mut self,
        fleet: &Fleet,
        id: &Arc<str>,
        at: DateTime<Utc>,
        link: Link,
    ) -> Option<Transition> {
        let service = fleet.view_of(id, at, self.link_at(at, link))?;
        if let Some(Blind { from, until: Some(until) }) = self.blind {
            let again = until.checked_add_signed(service.interval + GRACE);
            if from <= at && again.is_none_or(|again| at < again) {
                self.set_wake(id, again);
                return None;
            }
        }
        // it is as it was before what ends now
        let known = self.known.get(id)?;
        let began = service.since.filter(|since| known.since.is_none_or(|known| known <= *since));
        let turned = began.map_or(at, |since| since.min(at));
        let before = known.verdict;
        let transition = self.settle(&service, at, turned, |before| {
            tells(before, service.verdict).then_some(Cause::Heartbeat)
        });
        if service.is_launcher && before != Some(service.verdict) {
            self.look_below(fleet, id, at);
        }
        transition
    }

    /// Looks at the services of a launcher at once: what became of it says something of them.
    pub(super) fn look_below(&mut self, fleet: &Fleet, launcher: &Arc<str>, at: DateTime<Utc>) {
        for id in fleet.below(launcher) {
            if self.known.get(&id).is_some_and(|known| known.wake.is_none_or(|wake| wake > at)) {
                self.set_wake(&id, Some(at));
            }
        }
    }

    /// When time alone may change this service's verdict next.
    pub(super) fn schedule(&mut self, service: &ServiceView, looked: DateTime<Utc>) {
        let (late, lost) = service.turns().unzip();
        let is_up = service.phase.is_up();
        let never_heard = (is_up && late.is_none())
            .then(|| service.started_at.max(service.since).map(|at| at + PATIENCE))
            .flatten();
        let crash = service.record.crashed().map(|kept| kept.stamp.stored + CRASH_COUNTS);
        let next = [late, lost, never_heard, crash.filter(|_| is_up)];
        let next = next.into_iter().flatten().filter(|at| *at > looked).min();
        self.set_wake(&service.id, next);
    }

    pub(super) fn set_wake(&mut self, id: &Arc<str>, at: Option<DateTime<Utc>>) {
        let Some(known) = self.known.get_mut(id) else { return };
        if known.wake != at {
            known.wake = at;
            self.wakes.extend(at.map(|at| Reverse((at, Arc::clone(id)))));
        }
    }
}
