//! Holding the picture, and going back in time.

use chrono::{DateTime, TimeDelta, Utc};

use super::past::{Goal, Reading};
use super::{Moment, Page, Stale, State, stops, tape};
use crate::cli::moment::PointInTime;
use crate::dashboard::event::Action;

impl State {
    pub(super) fn pause(&mut self) {
        match &self.moment {
            Moment::Live => {
                self.moment = Moment::Paused { waiting: 0 };
                self.stale = Stale::Now;
            }
            Moment::Paused { .. } | Moment::Past { .. } => self.live(),
        }
    }

    /// Returns to the present.
    pub(super) fn live(&mut self) {
        self.past.cancel();
        self.compare_with_now();
        self.past.far = None;
        self.moment = Moment::Live;
        self.stale = Stale::Now;
    }

    /// Begins at the moment that was wanted on the command line.
    pub(super) fn begin_in_the_past(&mut self) -> Vec<Action> {
        let Some(moment) = self.options.at.take() else { return Vec::new() };
        match self.options.moments.past(moment, self.now) {
            Ok(point) => {
                let at = self.tell_which(point);
                self.travel_to(at)
            }
            Err(why) => {
                self.tell(why, true);
                Vec::new()
            }
        }
    }

    /// Goes to a moment as typed.
    ///
    /// # Errors
    /// It is none, or not of the past.
    pub(super) fn travel_to_typed(&mut self, text: &str) -> Result<Vec<Action>, String> {
        let point = self.options.moments.read(text, self.now)?;
        let at = self.tell_which(point);
        if self.page == Page::Timeline {
            return Ok(self.go_to_cursor(at));
        }
        Ok(self.travel_to(at))
    }

    /// Where a clock showed a time twice, it is told which one is meant.
    fn tell_which(&mut self, point: PointInTime) -> DateTime<Utc> {
        if let Some(note) = point.note {
            self.tell(note, false);
        }
        point.at
    }

    /// Goes to another moment, `by` from the one that is shown, or that is being read.
    pub(super) fn travel(&mut self, by: TimeDelta) -> Vec<Action> {
        if self.page == Page::Timeline {
            return self.move_cursor(by);
        }
        let from = match self.past.goal {
            Some(Goal::At(at)) => at,
            Some(Goal::Problem { .. }) | None => self.picture.now,
        };
        self.travel_to(from + by)
    }

    /// Goes to where a problem began before the moment shown (or after it): of the chosen service,
    /// or of the fleet.
    pub(super) fn travel_to_problem(&mut self, earlier: bool, own: bool) -> Vec<Action> {
        if self.page == Page::Timeline {
            return self.cursor_to_problem(earlier, own);
        }
        let of = self.table.chosen().filter(|_| own).cloned();
        if let Some(at) = self.next_stop(earlier, of.as_deref()) {
            return self.travel_to(at);
        }
        let Some((first, last)) = self.reach_around() else {
            self.tell("nothing is stored of the past", false);
            return self.read_hour();
        };
        let is_far = self.far(self.picture.now).is_some();
        let goal = Goal::Problem { earlier, of };
        match (earlier, is_far) {
            (true, false)
                if !matches!(self.past.hour, Reading::Read(_)) && !self.is_recording() =>
            {
                self.past.goal = Some(goal);
                self.read_hour()
            }
            (true, _) if self.is_recording() || self.past.begins.is_some_and(|at| first <= at) => {
                self.tell("no earlier problem is stored", false);
                Vec::new()
            }
            (true, _) => {
                self.past.goal = Some(goal);
                self.read_part(first - tape::SPAN, first)
            }
            (false, true) if self.reach().is_none_or(|reach| last < reach) => {
                self.past.goal = Some(goal);
                self.read_part(last, last + tape::SPAN)
            }
            (false, true) => match self.next_recent_stop(last, goal) {
                Some(at) => self.travel_to(at),
                None => self.return_live(),
            },
            (false, false) => self.return_live(),
        }
    }

    fn return_live(&mut self) -> Vec<Action> {
        self.live();
        Vec::new()
    }

    fn next_recent_stop(&self, after: DateTime<Utc>, goal: Goal) -> Option<DateTime<Utc>> {
        let Goal::Problem { of, .. } = goal else { return None };
        let entries = self.history.until(self.now);
        stops::of(entries, of.as_deref()).into_iter().find(|at| *at > after)
    }

    /// The nearest problem before or after the moment shown, in what can be shown around it.
    fn next_stop(&self, earlier: bool, of: Option<&str>) -> Option<DateTime<Utc>> {
        let shown = self.picture.now;
        let history = self.far(shown).map_or(&self.history, |far| &far.history);
        let entries = history.until(self.now);
        let mut stops = stops::of(entries, of).into_iter();
        if earlier { stops.rfind(|at| *at < shown) } else { stops.find(|at| *at > shown) }
    }

    /// Goes to a moment; what is not held of it is read first.
    pub(super) fn travel_to(&mut self, to: DateTime<Utc>) -> Vec<Action> {
        if to >= self.now {
            return self.return_live();
        }
        let begins = self.past.begins.unwrap_or(DateTime::<Utc>::MIN_UTC);
        if to < begins {
            self.tell("nothing older is stored", false);
        }
        let to = to.max(begins);
        if self.fleet_at(to).is_some() {
            self.past.cancel();
            self.show_past(to);
            return self.read_hour();
        }
        if self.is_recording() {
            self.tell("nothing older is recorded", false);
            if let Some(first) = self.reach() {
                self.show_past(first);
            }
            return Vec::new();
        }
        self.past.goal = Some(Goal::At(to));
        let is_hour = to >= self.now - tape::SPAN && !matches!(self.past.hour, Reading::Read(_));
        if is_hour { self.read_hour() } else { self.read_around(to) }
    }

    /// Called when something has been read: goes to the wanted time, if that can be shown now.
    pub(super) fn arrive(&mut self, is_hour: bool) -> Vec<Action> {
        let waits_for_hour = self.past.reading.is_none();
        if is_hour != waits_for_hour {
            return Vec::new();
        }
        let span = self.past.reading.take();
        match self.past.goal.take() {
            None => Vec::new(),
            Some(Goal::At(at)) => {
                // what was read begins later than was asked for
                let first = match (&self.past.far, is_hour) {
                    (Some(far), false) => Some(far.since),
                    _ => self.reach(),
                };
                if let Some(first) = first.filter(|first| at < *first) {
                    self.tell("nothing older is stored", false);
                    return self.travel_to(first);
                }
                self.show_past(at);
                Vec::new()
            }
            Some(Goal::Problem { earlier, of }) if span.is_none() => {
                self.travel_to_problem(earlier, of.is_some())
            }
            Some(Goal::Problem { earlier, of }) => {
                self.arrive_at_problem(earlier, of.as_deref());
                Vec::new()
            }
        }
    }

    /// Shows the problem in what was read that is nearest to where the search began, or its far end.
    fn arrive_at_problem(&mut self, earlier: bool, of: Option<&str>) {
        let Some(far) = &self.past.far else { return };
        let entries = far.history.until(self.now);
        let stops = stops::of(entries, of);
        let (since, until) = (far.since, far.until);
        let mut within = stops.into_iter().filter(|at| since <= *at && *at <= until);
        let found = if earlier { within.next_back() } else { within.next() };
        if let Some(at) = found {
            return self.show_past(at);
        }
        let [from, to] = [since, until].map(|at| self.options.times.wall(at).format("%H:%M"));
        self.tell(format!("no problem between {from} and {to}; again: look further"), false);
        self.show_past(if earlier { since } else { until });
    }

    pub(super) fn show_past(&mut self, at: DateTime<Utc>) {
        let Some(fleet) = self.fleet_at(at) else { return };
        self.past.difference = None;
        self.moment = Moment::Past { at, fleet: Box::new(fleet) };
        self.stale = Stale::Now;
        self.find_stops();
    }
}
