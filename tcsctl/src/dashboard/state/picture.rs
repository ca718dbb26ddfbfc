//! The picture of a large fleet: ordered, made by another thread, and taken over.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::{Fleet, FleetView, Link};
use tcs_core::observer::Problem;

use super::{Moment, Stale, State};

/// The picture of a larger fleet is made beside the loop, so often; each service takes about 4 µs.
const LARGE_FLEET_EVERY: TimeDelta = TimeDelta::milliseconds(250);
const HUGE_FLEET: usize = 5_000;
const HUGE_FLEET_EVERY: TimeDelta = TimeDelta::milliseconds(500);
/// Where heartbeats came and nothing else: with what it takes to make and to draw it, within a second.
const HEARTBEATS_EVERY: TimeDelta = TimeDelta::milliseconds(700);
/// A picture so old still passes for that of now.
const PRESENT: TimeDelta = TimeDelta::seconds(1);

/// A picture that is to be made of what was known at a moment: [`State::settle`] asks for it, and
/// the loop has it made by another thread, so that no key waits for it.
#[derive(Debug)]
pub struct PictureOrder {
    fleet: Fleet,
    now: DateTime<Utc>,
    link: Link,
}

/// What [`PictureOrder::make`] gives.
#[derive(Debug, Clone)]
pub struct MadePicture {
    pub(super) picture: FleetView,
    pub(super) record: Vec<String>,
}

impl PictureOrder {
    /// Makes it.
    pub fn make(self) -> MadePicture {
        let record = Problem::of_record(&self.fleet);
        MadePicture {
            picture: self.fleet.view(self.now, self.link),
            record: record.iter().map(ToString::to_string).collect(),
        }
    }
}

impl State {
    pub(super) fn picture_order(&self) -> PictureOrder {
        let link = self.fleet_link(self.now);
        PictureOrder { fleet: self.fleet.clone(), now: self.now, link }
    }

    /// The picture of a large fleet, if none is being made and it is time. What a person wants to see
    /// is shown at once, of the picture that is there; unless that is of another moment.
    pub(super) fn order(&mut self, stale: Stale) -> Option<PictureOrder> {
        if stale == Stale::Now && (self.now - self.picture.now).abs() > PRESENT {
            let made = self.picture_order().make();
            (self.picture, self.record) = (made.picture, made.record);
        }
        if stale == Stale::Now {
            self.show_picture();
        }
        let is_huge = self.fleet.len() >= HUGE_FLEET;
        let wait = match stale {
            Stale::Later => HEARTBEATS_EVERY,
            _ if is_huge => HUGE_FLEET_EVERY,
            _ => LARGE_FLEET_EVERY,
        };
        let is_time = stale == Stale::Now || (self.now - self.picture.now).abs() >= wait;
        if self.making || !is_time {
            self.stale = stale;
            return None;
        }
        self.making = true;
        Some(self.picture_order())
    }

    /// The same here and now, for what a person is about to be asked or told.
    pub(super) fn settle_here(&mut self) {
        let order = self.settle(self.now);
        let is_old = self.stale != Stale::Fresh && matches!(self.moment, Moment::Live);
        if let Some(order) = order.or_else(|| is_old.then(|| self.picture_order())) {
            self.stale = Stale::Fresh;
            self.take_picture(Some(order.make()));
        }
    }

    /// An order was carried out; `None`: that failed.
    pub(super) fn take_picture(&mut self, made: Option<MadePicture>) {
        self.making = false;
        match made {
            // of a time to come is only one that was made before the clock was set back
            Some(made)
                if matches!(self.moment, Moment::Live)
                    && (made.picture.now >= self.picture.now || self.picture.now > self.now) =>
            {
                (self.picture, self.record) = (made.picture, made.record);
                self.show_picture();
            }
            Some(_) => {}
            None => self.stale = self.stale.max(Stale::Soon),
        }
    }

    /// Lays out what is shown anew.
    pub(super) fn show_picture(&mut self) {
        self.alarms.rebuild(&self.picture, &self.moment);
        self.alarms.scroll(self.alarm_rows());
        self.rebuild();
    }
}

#[cfg(test)]
mod tests {
    use crate::dashboard::event::{Event, Heard};
    use crate::dashboard::pace::{Pace, Wanted};
    use crate::dashboard::tests::fixture::{Messages, night, observatory, origin, state};
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    fn crowd(status: &str, ago: f64) -> Vec<Heard> {
        let mut messages = Messages::default();
        for i in 0..super::super::SMALL_FLEET {
            let id = format!("crowd.s{i:03}");
            messages.send(ago, &format!("status.{id}"), json!({"name": id, "status": status}));
        }
        messages.take().into_iter().map(Heard::Message).collect()
    }

    #[test]
    fn what_a_person_is_asked_about_is_of_now() {
        let mut state = state(observatory(), (80, 24), night());
        state.update(Event::Heard(crowd("ok", 2.0)), night());
        let order = state.settle(night() + TimeDelta::milliseconds(500)).unwrap();
        state.update(Event::Heard(crowd("error", 1.0)), night() + TimeDelta::milliseconds(600));
        state.settle_here();
        let now = state.picture.get("crowd.s007").unwrap().verdict;
        assert_eq!(now.as_str(), "error");
        // and what was under way does not hold up the next one
        let later = night() + TimeDelta::seconds(1);
        state.update(Event::Picture(Some(Box::new(order.make()))), later);
        state.update(Event::Heard(crowd("ok", 0.5)), later);
        assert!(state.settle(later).is_some());
    }

    #[test]
    fn the_picture_of_a_large_fleet_is_made_beside_the_loop() {
        let mut state = state(observatory(), (80, 24), night());
        let at = |tenths: i64| night() + TimeDelta::milliseconds(100 * tenths);
        let verdict = |state: &State| state.picture.get("crowd.s007").map(|it| it.verdict.as_str());
        state.update(Event::Heard(crowd("ok", 2.0)), at(5));
        let order = state.settle(at(5)).unwrap();
        assert_eq!(verdict(&state), None);
        // one at a time, and what comes meanwhile is in the next
        state.update(Event::Heard(crowd("error", 1.0)), at(9));
        assert!(state.settle(at(9)).is_none() && state.wanted() == Some(Wanted::News));
        state.update(Event::Picture(Some(Box::new(order.make()))), at(9));
        assert_eq!(verdict(&state), Some("ok"));
        let order = state.settle(at(9)).unwrap();
        // one that cannot be made is ordered again
        state.update(Event::Picture(None), at(10));
        let again = state.settle(at(10)).unwrap();
        // back from another moment nothing of it is shown as the present, not for a moment
        let later = at(50);
        state.stale = Stale::Now;
        let newer = state.settle(later);
        assert!(newer.is_none() && state.picture.now == later, "one is being made");
        assert_eq!(verdict(&state), Some("error"));
        for late in [order, again] {
            state.update(Event::Picture(Some(Box::new(late.make()))), later);
            assert_eq!(state.picture.now, later, "an older one does not replace it");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_freeze_the_picture() {
        let mut state = state(observatory(), (80, 24), night());
        state.update(Event::Heard(crowd("ok", 2.0)), night());
        state.settle_here();
        let before = night() - TimeDelta::seconds(30);
        state.update(Event::Heard(crowd("error", 1.0)), before);
        let order = state.settle(before).unwrap();
        state.update(Event::Picture(Some(Box::new(order.make()))), before);
        assert_eq!(state.picture.get("crowd.s007").unwrap().verdict.as_str(), "error");
    }

    /// Whenever the clock ticks: its frame comes between.
    #[test]
    fn heartbeats_of_a_large_fleet_are_shown_within_a_second() {
        let mut state = state(observatory(), (80, 24), night());
        state.update(Event::Heard(crowd("ok", 2.0)), night());
        state.settle_here();
        let mut beat = Messages::default();
        beat.send(1.0, "heartbeat.crowd.s007", json!({"service_id": "crowd.s007"}));
        let beat: Vec<Heard> = beat.take().into_iter().map(Heard::Message).collect();
        assert!(beat.iter().all(Heard::is_beat) && beat.len() == 1);
        for tick in [100, 300, 500, 600, 690, 900] {
            let (mut pace, mut wanted) = (Pace::default(), None);
            let mut made = None;
            let origin = origin();
            for ms in 0..6000 {
                let at = night() + TimeDelta::milliseconds(10_000 * tick + ms);
                let now = origin + std::time::Duration::from_millis(ms.cast_unsigned());
                if ms % 20 == 0 {
                    state.update(Event::Heard(beat.clone()), at);
                    wanted = wanted.max(Some(Wanted::Beat));
                }
                if ms % 1000 == tick {
                    state.update(Event::Tick, at);
                    wanted = wanted.max(Some(Wanted::News));
                }
                if let Some((_, picture)) = made.take_if(|(ready, _)| *ready <= ms) {
                    state.update(Event::Picture(Some(picture)), at);
                    wanted = wanted.max(Some(Wanted::News));
                }
                if wanted.is_some_and(|wanted| pace.next(wanted, now) <= now) {
                    let order = state.settle(at);
                    made = made.or(order.map(|order| (ms + 30, Box::new(order.make()))));
                    wanted = state.wanted();
                    pace.drawn(now, true, wanted);
                }
                let age = (at - state.picture.now).num_milliseconds();
                assert!(ms < 2000 || age <= 1000, "tick at {tick}: {age} ms at {ms}");
            }
        }
    }
}
