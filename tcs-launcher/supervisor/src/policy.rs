//! Whether a service is started again, and when. Times are monotonic: a wall clock that jumps
//! moves nothing here.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{RestartPolicy, RestartWhen};

/// Restarts remembered of one service: enough for any limit that makes sense.
const REMEMBERED: usize = 4096;

/// A run that ends sooner than this is a short one: starts after short runs are throttled.
const SHORT_RUN: Duration = Duration::from_secs(1);

/// From one start to the next after the first short run; twice as long after each further one.
const FLOOR: Duration = Duration::from_millis(100);

/// The longest that throttling makes of [`FLOOR`].
const LONGEST_FLOOR: Duration = Duration::from_secs(5);

/// How far back crashes count as recent.
const RECENT: Duration = Duration::from_mins(10);

/// Recent crashes counted of one service at most. Throttled starts allow no more of short runs.
const MOST_RECENT: usize = 1000;

/// What an end that nobody asked for amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// `None`: not known, which is a failure.
    code: Option<i32>,
    fault: Fault,
}

/// What, beside the code, says that a run has failed. A code of 0 does not excuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing does.
    None,
    /// The service's own last status.
    Said,
    /// We ended it because it did not get ready, or hung.
    Ours,
    /// The service ran before, and could not be started again.
    NotStarted,
}

impl End {
    pub(super) fn new(code: Option<i32>, fault: Fault) -> Self {
        Self { code, fault }
    }

    pub(super) fn is_failure(self) -> bool {
        self.code != Some(0) || self.fault != Fault::None
    }

    fn is_abnormal(self) -> bool {
        let by_code = self.code.is_none_or(|code| !(0..=128).contains(&code));
        by_code || matches!(self.fault, Fault::Ours | Fault::NotStarted)
    }

    fn is_answered_by(self, when: RestartWhen) -> bool {
        match when {
            RestartWhen::No => false,
            RestartWhen::Always => true,
            RestartWhen::OnFailure => self.is_failure(),
            RestartWhen::OnAbnormal => self.is_abnormal(),
        }
    }
}

/// What follows an end that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartDecision {
    /// It had done its work.
    Completed,
    /// It is started again.
    Restart {
        /// From 1.
        attempt: u32,
        /// After this time.
        delay: Duration,
        /// The delay is longer than the policy's, for the first time in a row of short runs.
        throttled: bool,
    },
    /// It would be, but for the limit.
    GiveUp,
    /// The policy does not answer this end.
    Leave,
}

/// The restarts of one service since somebody last asked for a start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct History {
    restarts: VecDeque<Duration>,
    /// Crashes in a row, none after a run as long as the window: what the back-off grows with.
    streak: u32,
    /// Short runs in a row: what the floor between starts grows with.
    short_runs: u32,
    /// Said already, in this row of short runs.
    throttled: bool,
}

impl History {
    /// Decides on an end at `now` after a run of `uptime`.
    pub(super) fn judge(
        &mut self,
        restart: &RestartPolicy,
        end: End,
        uptime: Duration,
        now: Duration,
    ) -> RestartDecision {
        if !end.is_answered_by(restart.when) {
            return if end.is_failure() {
                RestartDecision::Leave
            } else {
                RestartDecision::Completed
            };
        }
        self.forget_before(now.saturating_sub(restart.window));
        if restart.limit.is_some_and(|limit| self.count() >= limit.get()) {
            return RestartDecision::GiveUp;
        }
        self.streak = if uptime >= restart.window { 1 } else { self.streak.saturating_add(1) };
        self.short_runs = if uptime < SHORT_RUN { self.short_runs.saturating_add(1) } else { 0 };
        let (wanted, floor) = (delay(restart, self.streak), floor(self.short_runs));
        let least = floor.saturating_sub(uptime);
        let throttled = wanted < least && !self.throttled;
        self.throttled = self.short_runs > 0 && (self.throttled || throttled);
        RestartDecision::Restart { attempt: self.count() + 1, delay: wanted.max(least), throttled }
    }

    /// A restart happens now.
    pub(super) fn restarted(&mut self, now: Duration) {
        self.restarts.push_back(now);
        if self.restarts.len() > REMEMBERED {
            self.restarts.pop_front();
        }
    }

    /// Restarts inside the window, as it was at the last judgement.
    pub(super) fn count(&self) -> u32 {
        self.restarts.len() as u32
    }

    fn forget_before(&mut self, start: Duration) {
        while self.restarts.front().is_some_and(|&at| at < start) {
            self.restarts.pop_front();
        }
    }
}

/// The shortest time between two starts after so many short runs in a row.
fn floor(short_runs: u32) -> Duration {
    match short_runs.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => FLOOR
            .checked_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .map_or(LONGEST_FLOOR, |floor| floor.min(LONGEST_FLOOR)),
    }
}

/// The crashes of one service in the last 10 minutes, whoever started it in between.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Crashes(VecDeque<Duration>);

impl Crashes {
    /// A crash happens now.
    pub(super) fn add(&mut self, now: Duration) {
        self.0.retain(|&at| now.saturating_sub(at) < RECENT);
        if self.0.len() == MOST_RECENT {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }

    /// How many there are at `now`, 1000 at most.
    pub(super) fn recent(&self, now: Duration) -> u32 {
        self.0.iter().filter(|&&at| now.saturating_sub(at) < RECENT).count() as u32
    }
}

fn delay(restart: &RestartPolicy, streak: u32) -> Duration {
    let Some(backoff) = restart.backoff else { return restart.delay };
    let times = backoff.factor.max(1.0).powf(f64::from(streak.saturating_sub(1)));
    let longest = backoff.max.max(restart.delay);
    Duration::try_from_secs_f64(restart.delay.as_secs_f64() * times)
        .map_or(longest, |delay| delay.min(longest))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::Backoff;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn restart(when: RestartWhen, limit: u32) -> RestartPolicy {
        RestartPolicy {
            when,
            delay: s(5),
            limit: NonZeroU32::new(limit),
            window: s(60),
            backoff: None,
        }
    }

    #[test]
    fn each_policy_answers_the_ends_it_names() {
        use RestartDecision::{Completed, Leave};
        let again = RestartDecision::Restart { attempt: 1, delay: s(5), throttled: false };
        let table = [
            // code, fault | no, always, on-failure, on-abnormal
            (0, Fault::None, [Completed, again, Completed, Completed]),
            (0, Fault::Said, [Leave, again, again, Leave]),
            (0, Fault::Ours, [Leave, again, again, again]),
            (1, Fault::None, [Leave, again, again, Leave]),
            (1, Fault::NotStarted, [Leave, again, again, again]),
            (128, Fault::None, [Leave, again, again, Leave]),
            (129, Fault::None, [Leave, again, again, again]),
            (137, Fault::None, [Leave, again, again, again]),
            (-9, Fault::None, [Leave, again, again, again]),
            (-15, Fault::None, [Leave, again, again, again]),
        ];
        for (code, fault, expected) in table {
            let whens = [
                RestartWhen::No,
                RestartWhen::Always,
                RestartWhen::OnFailure,
                RestartWhen::OnAbnormal,
            ];
            for (when, expected) in whens.into_iter().zip(expected) {
                let end = End::new(Some(code), fault);
                let judged = History::default().judge(&restart(when, 2), end, s(1), s(100));
                assert_eq!(judged, expected, "{code} {fault:?} {when:?}");
            }
        }
    }

    #[test]
    fn the_limit_counts_restarts_inside_the_window() {
        let mut history = History::default();
        let policy = restart(RestartWhen::Always, 2);
        let mut crash = |at| history_step(&mut history, &policy, s(at));
        assert_eq!(crash(10), Some(1));
        assert_eq!(crash(20), Some(2));
        assert_eq!(crash(30), None, "two restarts inside 60 s");
        assert_eq!(crash(71), Some(2), "the one at 10 is out of the window");
    }

    /// A crash at `now`, restarted at once if it may be.
    fn history_step(history: &mut History, policy: &RestartPolicy, now: Duration) -> Option<u32> {
        match history.judge(policy, End::new(Some(1), Fault::None), s(1), now) {
            RestartDecision::Restart { attempt, .. } => {
                history.restarted(now);
                Some(attempt)
            }
            RestartDecision::Completed | RestartDecision::GiveUp | RestartDecision::Leave => None,
        }
    }

    #[test]
    fn a_back_off_grows_to_its_cap_and_a_long_run_resets_it() {
        let backoff = Some(Backoff { factor: 2.0, max: s(30) });
        let policy = RestartPolicy { backoff, ..restart(RestartWhen::Always, 0) };
        let mut history = History::default();
        let mut delay_after = |uptime| match history.judge(
            &policy,
            End::new(Some(1), Fault::None),
            uptime,
            s(1000),
        ) {
            RestartDecision::Restart { delay, .. } => delay,
            other => panic!("{other:?}"),
        };
        let delays: Vec<_> = (0..5).map(|_| delay_after(s(1)).as_secs()).collect();
        assert_eq!(delays, [5, 10, 20, 30, 30]);
        assert_eq!(delay_after(s(60)), s(5));
        assert_eq!(delay_after(s(1)), s(10));
    }

    #[test]
    fn starts_after_short_runs_are_throttled_and_it_is_said_once() {
        let policy = RestartPolicy { delay: Duration::ZERO, ..restart(RestartWhen::Always, 0) };
        let mut history = History::default();
        let mut after = |uptime: u64| {
            let (uptime, end) = (Duration::from_millis(uptime), End::new(Some(1), Fault::None));
            match history.judge(&policy, end, uptime, s(1000)) {
                RestartDecision::Restart { delay, throttled, .. } => (delay.as_millis(), throttled),
                other => panic!("{other:?}"),
            }
        };
        let floors: Vec<_> = (0..8).map(|_| after(0)).collect();
        let said = floors.iter().map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(
            floors.iter().map(|it| it.0).collect::<Vec<_>>(),
            [100, 200, 400, 800, 1600, 3200, 5000, 5000]
        );
        assert_eq!(said, [true, false, false, false, false, false, false, false]);
        assert_eq!(after(999), (4001, false), "between starts, not from an end");
        assert_eq!(after(1000), (0, false), "a run of a second is restarted at once");
        assert_eq!(after(30), (70, true));
        assert_eq!(floor(u32::MAX), s(5));
    }

    #[test]
    fn crashes_of_ten_minutes_are_counted_and_bounded() {
        let mut crashes = Crashes::default();
        for at in [0, 100, 599] {
            crashes.add(s(at));
        }
        assert_eq!((crashes.recent(s(599)), crashes.recent(s(600))), (3, 2));
        (0..5000).for_each(|_| crashes.add(s(700)));
        assert_eq!(crashes.recent(s(700)), 1000);
        assert_eq!(crashes.recent(s(1300)), 0);
    }

    #[test]
    fn no_factor_and_no_number_of_crashes_breaks_the_delay() {
        for factor in [0.0, -3.0, 1.0, 1e300, f64::INFINITY, f64::NAN] {
            let backoff = Some(Backoff { factor, max: s(30) });
            let policy = RestartPolicy { backoff, ..restart(RestartWhen::Always, 0) };
            for streak in [1, 2, 1000, u32::MAX] {
                let delay = delay(&policy, streak);
                assert!((s(5)..=s(30)).contains(&delay), "{factor} {streak}: {delay:?}");
            }
        }
    }
}
