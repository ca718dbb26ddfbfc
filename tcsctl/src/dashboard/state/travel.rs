//! Holding the picture, and going back in time.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Moment, Past, Stale, State, tape};
use crate::dashboard::event::{Action, LinkFacts, PastRead};

impl State {
    pub(super) fn pause(&mut self) {
        self.moment = match &self.moment {
            Moment::Live => Moment::Paused { waiting: 0 },
            Moment::Paused { .. } | Moment::Past { .. } => Moment::Live,
        };
        self.stale = Stale::Now;
    }

    pub(super) fn live(&mut self) {
        self.moment = Moment::Live;
        self.stale = Stale::Now;
    }

    /// Goes to another moment, `by` from the one that is shown.
    pub(super) fn travel(&mut self, by: TimeDelta) -> Vec<Action> {
        self.travel_to(self.picture.now + by)
    }

    /// Goes to where something happened before the moment shown (or after it).
    pub(super) fn travel_to_event(&mut self, earlier: bool) -> Vec<Action> {
        let shown = self.picture.now;
        let all = self.history.until(self.now);
        let to = if earlier {
            all.iter().rev().map(|entry| entry.at).find(|at| *at < shown)
        } else {
            all.iter().map(|entry| entry.at).find(|at| *at > shown)
        };
        match to {
            Some(at) => self.travel_to(at),
            None if earlier => {
                self.tell("no earlier events are known", false);
                Vec::new()
            }
            None => {
                self.live();
                Vec::new()
            }
        }
    }

    fn travel_to(&mut self, to: DateTime<Utc>) -> Vec<Action> {
        if to >= self.now {
            self.live();
            return Vec::new();
        }
        let mut actions = Vec::new();
        if self.past == Past::Unread && !matches!(self.link, LinkFacts::Recording { .. }) {
            self.past = Past::Reading;
            actions.push(Action::LoadHistory(self.now - tape::SPAN));
        }
        let first = match (self.reach(), &self.past) {
            (Some(first), _) => first,
            (None, Past::Reading) => to,
            (None, _) => {
                self.tell("nothing is stored of the past", false);
                return actions;
            }
        };
        let at = to.max(first);
        if at > to {
            self.tell("nothing older is stored", false);
        }
        self.show_past(at);
        actions
    }

    fn show_past(&mut self, at: DateTime<Utc>) {
        self.moment = Moment::Past { at, fleet: Box::new(self.tape.at(at)) };
        self.stale = Stale::Now;
    }

    /// The earliest moment that can be shown.
    pub fn reach(&self) -> Option<DateTime<Utc>> {
        let hour = self.now - tape::SPAN;
        let start = match self.past {
            Past::Read(since) => Some(since),
            Past::Unread | Past::Reading | Past::Failed(_) => self.tape.reaches(),
        };
        start.map(|start| match self.link {
            // a recording's hour may be any
            LinkFacts::Recording { .. } => start,
            LinkFacts::Connecting { .. } | LinkFacts::Up { .. } | LinkFacts::Down { .. } => {
                start.max(hour)
            }
        })
    }

    pub(super) fn past_read(&mut self, result: Result<Box<PastRead>, String>) {
        self.past = match result {
            Ok(mut read) => {
                let transitions = std::mem::take(&mut read.transitions);
                self.history.replace_past(transitions, self.settled.unwrap_or(self.now));
                if !read.problems.is_empty() {
                    self.tell(format!("of the past: {}", read.problems.join("; ")), true);
                }
                let since = read.since;
                self.tape.root(*read);
                Past::Read(since)
            }
            Err(why) => {
                self.tell(format!("the past could not be read: {why}"), true);
                Past::Failed(why)
            }
        };
        if let Moment::Past { at, .. } = self.moment {
            self.show_past(at);
        }
    }
}
