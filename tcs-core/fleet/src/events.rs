//! What each registry event means: where it is kept, whether it tells of the service's life or of an
//! end, and which phase it sets (`docs/spec/truth.md#phase`).

use tcs_wire::Event;

use super::verdict::Phase;

/// The registry events that are kept one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Waiting,
    Start,
    Ready,
    Stopping,
    Stop,
    Crashed,
    Restarting,
    Failed,
    Other,
}

impl Slot {
    pub(super) const COUNT: usize = 9;

    /// What tells of the service's life: the newest of these sets the phase.
    pub(super) const OF_LIFE: [Self; 8] = [
        Self::Waiting,
        Self::Start,
        Self::Ready,
        Self::Stopping,
        Self::Stop,
        Self::Crashed,
        Self::Restarting,
        Self::Failed,
    ];

    /// How a process ends.
    pub(super) const EXITS: [Self; 2] = [Self::Stop, Self::Crashed];

    /// After which nothing runs.
    pub(super) const ENDS: [Self; 3] = [Self::Stop, Self::Crashed, Self::Failed];

    /// Where an event is kept; `None`: with the declarations, one of each launcher.
    pub(super) const fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Declared(_) => return None,
            Event::Waiting { .. } => Self::Waiting,
            Event::Start { .. } => Self::Start,
            Event::Ready { .. } => Self::Ready,
            Event::Stopping { .. } => Self::Stopping,
            Event::Stop(_) => Self::Stop,
            Event::Crashed(_) => Self::Crashed,
            Event::Restarting { .. } => Self::Restarting,
            Event::Failed { .. } => Self::Failed,
            // the rest changes nothing, as an event of an unknown name
            _ => Self::Other,
        })
    }
}

/// The phase that an event sets. `is_up`: the service has said so itself since its start;
/// `has_failed`: it has reported that it failed.
pub(super) fn phase(event: &Event, is_up: bool, has_failed: bool) -> Phase {
    match event {
        Event::Waiting { .. } => Phase::Waiting,
        Event::Start { .. } if is_up => Phase::Running,
        Event::Start { .. } | Event::Restarting { .. } => Phase::Starting,
        Event::Ready { .. } => Phase::Running,
        Event::Stopping { .. } => Phase::Stopping,
        Event::Stop(_) if has_failed => Phase::Failed,
        Event::Stop(stop) => {
            let is_done = stop.is_completed() && stop.exit_code == Some(0);
            if is_done { Phase::Completed } else { Phase::Stopped }
        }
        Event::Crashed(crashed) if crashed.will_restart => Phase::Backoff,
        Event::Crashed(_) | Event::Failed { .. } => Phase::Failed,
        // the rest does not tell of the life
        _ => Phase::Declared,
    }
}
