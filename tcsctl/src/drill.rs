//! What a fault that is made on purpose is to look like, and how soon (`docs/spec/supervision.md#drills`).
//! Pure.

use std::time::Duration;

use chrono::TimeDelta;
use tcs_core::fleet::{FleetView, Liveness, Phase, ServiceView, Verdict};
use tcs_core::wire::control::Fault;

/// What a message takes on the way, on a busy site.
const ON_THE_WAY: Duration = Duration::from_secs(5);
/// How long it lasts after it should have been noticed.
const LONGER: Duration = Duration::from_secs(10);
/// Heartbeats that are missing from a service that counts as lost (`docs/spec/truth.md#liveness`).
const LOST: u32 = 12;
/// From this on a clock is wrong.
const WRONG_CLOCK: TimeDelta = TimeDelta::seconds(5);

/// A drill: the service, and its launcher, as they were before.
#[derive(Debug)]
pub(crate) struct Drill<'a> {
    pub(crate) fault: Fault,
    pub(crate) service: &'a ServiceView,
    pub(crate) launcher: &'a ServiceView,
}

impl Drill<'_> {
    /// It is to be shown within this.
    pub(crate) fn promise(&self) -> Duration {
        let interval = |it: &ServiceView| it.interval.to_std().unwrap_or_default();
        match self.fault {
            Fault::Crash | Fault::Flood => ON_THE_WAY,
            Fault::Freeze => interval(self.service) * 3 + ON_THE_WAY,
            Fault::Broker => interval(self.launcher) * 3 + ON_THE_WAY,
            Fault::Clock => interval(self.launcher) + ON_THE_WAY,
        }
    }

    /// By the default rules an alarm is raised within this; `None`: there is no such rule, or the
    /// restart policy decides.
    pub(crate) fn alarm(&self) -> Option<Duration> {
        let interval = self.silent()?.interval.to_std().unwrap_or_default();
        Some(interval * LOST + ON_THE_WAY)
    }

    /// What falls silent.
    fn silent(&self) -> Option<&ServiceView> {
        match self.fault {
            Fault::Freeze => Some(self.service),
            Fault::Broker => Some(self.launcher),
            Fault::Crash | Fault::Flood | Fault::Clock => None,
        }
    }

    /// What would fall silent, and has sent no heartbeat yet: that it sends none would not be noticed
    /// for some time.
    pub(crate) fn unheard(&self) -> Option<&ServiceView> {
        self.silent().filter(|it| it.liveness != Liveness::Live)
    }

    /// How long it lasts, where nobody says.
    pub(crate) fn span(&self, needs_alarm: bool) -> Duration {
        let alarm = self.alarm().filter(|_| needs_alarm).unwrap_or_default();
        self.promise().max(alarm) + LONGER
    }

    /// What is to be shown, in words.
    pub(crate) fn expected(&self) -> &'static str {
        match self.fault {
            Fault::Crash => "the crash",
            Fault::Freeze | Fault::Broker => "missing heartbeats",
            Fault::Flood => "its output, with all else answered in time",
            Fault::Clock => "a wrong clock",
        }
    }

    /// Whether it is shown.
    pub(crate) fn is_shown(&self, view: &FleetView) -> bool {
        let now = |before: &ServiceView| view.get(&before.id);
        let silent = |it: &ServiceView| {
            matches!(it.liveness, Liveness::Late | Liveness::Lost)
                || matches!(it.verdict, Verdict::Late | Verdict::Lost)
        };
        match self.fault {
            Fault::Crash => now(self.service).is_some_and(|it| {
                matches!(it.phase, Phase::Backoff | Phase::Failed)
                    || it.restarts > self.service.restarts
                    || it.pid != self.service.pid
            }),
            Fault::Freeze => now(self.service).is_some_and(silent),
            Fault::Broker => now(self.launcher).is_some_and(silent),
            Fault::Clock => {
                let host = self.launcher.host.as_ref().and_then(|host| view.hosts.get(host));
                host.and_then(|host| host.skew).is_some_and(|skew| skew.abs() >= WRONG_CLOCK)
            }
            // seen in the answers of its launcher
            Fault::Flood => false,
        }
    }

    /// Whether all is as before.
    pub(crate) fn is_over(&self, view: &FleetView) -> bool {
        let as_before = |before: &ServiceView| {
            view.get(&before.id).is_some_and(|it| it.verdict == before.verdict)
        };
        match self.fault {
            Fault::Broker => as_before(self.launcher) && as_before(self.service),
            Fault::Crash | Fault::Freeze => as_before(self.service),
            // the last 20 messages of the host tell its clock
            Fault::Clock | Fault::Flood => true,
        }
    }
}
