//! The timers of one service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A tick that comes later than this after its time says that it was we who did not run (stopped,
/// frozen, starved), so that what is overdue may have happened and only not reached us yet.
const LATE: Duration = Duration::from_secs(2);

/// What an overdue deadline is then prolonged by, at most, and once.
const GRACE: Duration = Duration::from_secs(10);

/// What a service can be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// Its start-up has failed if it is not finished by then.
    Ready,
    /// Its start-up no longer takes one of the places.
    Place,
    /// Its start-up no longer holds up those that come after it.
    StartTimeout,
    /// A patient stop waits no longer.
    Idle,
    /// Its watchdog must have been served.
    Watchdog,
    /// It is killed, if still there.
    Kill,
    /// It is started again.
    Restart,
}

impl Timer {
    const ALL: [Self; 7] = [
        Self::Ready,
        Self::Place,
        Self::StartTimeout,
        Self::Idle,
        Self::Watchdog,
        Self::Kill,
        Self::Restart,
    ];

    /// Whether something is ended when it fires: then a late tick must not be held against the
    /// service.
    fn is_hard(self) -> bool {
        match self {
            Self::Ready | Self::Idle | Self::Watchdog | Self::Kill => true,
            Self::Place | Self::StartTimeout | Self::Restart => false,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Deadline {
    at: Duration,
    length: Duration,
    prolonged: bool,
}

/// One deadline a timer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Deadlines([Option<Deadline>; Timer::ALL.len()]);

impl Deadlines {
    /// Arms `timer` anew.
    pub(super) fn arm(&mut self, timer: Timer, length: Duration, now: Duration) {
        let at = now.saturating_add(length);
        self.0[timer as usize] = Some(Deadline { at, length, prolonged: false });
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn is_armed(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    pub(super) fn at(&self, timer: Timer) -> Option<Duration> {
        self.0[timer as usize].map(|deadline| deadline.at)
    }

    pub(super) fn length(&self, timer: Timer) -> Option<Duration> {
        self.0[timer as usize].map(|deadline| deadline.length)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.0.iter().flatten().map(|deadline| deadline.at).min()
    }

    /// Takes one that is due; prolongs those that are due only because we did not run.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Timer> {
        for timer in Timer::ALL {
            let slot = &mut self.0[timer as usize];
            let Some(deadline) = slot.as_mut().filter(|deadline| deadline.at <= now) else {
                continue;
            };
            if timer.is_hard() && !deadline.prolonged && now > deadline.at.saturating_add(LATE) {
                deadline.at = now.saturating_add(deadline.length.min(GRACE));
                deadline.prolonged = true;
                if deadline.at > now {
                    continue;
                }
            }
            *slot = None;
            return Some(timer);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_tick_in_time_fires_and_a_late_one_gives_grace_once() {
        let mut deadlines = Deadlines::default();
        deadlines.arm(Timer::Kill, s(5), s(100));
        deadlines.arm(Timer::Restart, s(5), s(100));
        assert_eq!(deadlines.next(), Some(s(105)));
        assert_eq!(deadlines.take_due(s(104)), None);
        // frozen for a minute: the restart is due, the kill is not held against the service
        assert_eq!(deadlines.take_due(s(165)), Some(Timer::Restart));
        assert_eq!(deadlines.take_due(s(165)), None);
        assert_eq!(deadlines.next(), Some(s(170)));
        assert_eq!(deadlines.take_due(s(230)), Some(Timer::Kill));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_deadline_of_no_length_fires_however_late() {
        let mut deadlines = Deadlines::default();
        deadlines.arm(Timer::Kill, s(0), s(100));
        assert_eq!(deadlines.take_due(s(200)), Some(Timer::Kill));
    }
}
