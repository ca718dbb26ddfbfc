//! The life of one service as a pure state machine: what has happened goes in, what is to be done
//! comes out. The host does it.
//!
//! ```text
//! creating -> starting -> running -> stopping -> ended
//! ```
//! The statuses are those of the Python framework: what fails in creating or starting is `failed`,
//! what fails in running or stopping is `error`. `stop` runs after a failed `run` too, never after
//! a failed `start`.

use std::time::Duration;

use super::outcome::{Failure, Outcome};
use crate::wire::Status;

/// A part of the service's own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Settings are read, the service is made.
    Create,
    Start,
    Run,
    Stop,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// The service's code of this phase has ended.
    Done(Phase, Result<(), Failure>),
    /// It was ended from outside, as [`Effect::Abort`] asked.
    Aborted(Phase),
    /// A stop has been requested.
    StopWanted,
    /// The service's work is done, and why.
    Completed(&'static str),
    /// The time of the last [`Effect::Limit`] is up.
    TimeUp,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Publish a status.
    Say(Status, String),
    /// Run the service's code of this phase.
    Begin(Phase),
    /// Tell the service that it is to stop.
    Cancel,
    /// End the code of this phase at its next `.await`.
    Abort(Phase),
    /// Give the time-up event after this time; it replaces the last one. `None`: never.
    Limit(Option<Duration>),
    /// That was all.
    End(Outcome),
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `on_start`, or `start` of a permanent service. `None`: as long as it likes.
    pub start: Option<Duration>,
    /// From the stop request to the end. The main loop gets half of it to end by itself, and is
    /// then ended at its next `.await`; the rest is for `on_stop`.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { start: Some(Duration::from_mins(5)), stop: Duration::from_secs(10) }
    }
}

#[derive(Debug)]
enum State {
    Creating {
        stop: bool,
    },
    Starting,
    /// Starting, and a stop has been requested.
    StartingStop {
        aborted: bool,
    },
    Running,
    /// The main loop is asked to end; then this is how it ended.
    Leaving {
        aborted: bool,
        outcome: Outcome,
    },
    /// Cleaning up; then this is how it ended.
    Stopping(Outcome),
    Ended,
}

#[derive(Debug)]
pub(crate) struct LifeCycle {
    state: State,
    limits: Limits,
}

const RUNNING: &str = "Service running";
const STOPPING: &str = "Stopping service";
const STOPPED: &str = "Service stopped";

fn say(status: Status, text: impl Into<String>) -> Effect {
    Effect::Say(status, text.into())
}

impl LifeCycle {
    /// A new life, and what it begins with.
    pub(crate) fn new(limits: Limits) -> (Self, Vec<Effect>) {
        let begin =
            vec![say(Status::Startup, "Initializing service"), Effect::Begin(Phase::Create)];
        (Self { state: State::Creating { stop: false }, limits }, begin)
    }

    pub(crate) fn handle(&mut self, event: Event) -> Vec<Effect> {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (state, effects) = self.next(state, event);
        self.state = state;
        effects
    }

    fn next(&self, state: State, event: Event) -> (State, Vec<Effect>) {
        match (state, event) {
            (State::Creating { .. }, Event::StopWanted) => {
                (State::Creating { stop: true }, vec![Effect::Cancel])
            }
            (State::Creating { stop: true }, Event::Done(Phase::Create, Ok(()))) => {
                end(Outcome::Cancelled)
            }
            (State::Creating { stop: false }, Event::Done(Phase::Create, Ok(()))) => (
                State::Starting,
                vec![
                    say(Status::Startup, "Starting service"),
                    Effect::Limit(self.limits.start),
                    Effect::Begin(Phase::Start),
                ],
            ),
            (State::Creating { .. }, Event::Done(Phase::Create, Err(failure))) => {
                end_saying(Status::Failed, "Initialization failed", Outcome::StartFailed, failure)
            }

            (State::Starting, Event::Done(Phase::Start, Ok(()))) => (
                State::Running,
                vec![Effect::Limit(None), say(Status::Ok, RUNNING), Effect::Begin(Phase::Run)],
            ),
            (State::Starting, Event::Done(Phase::Start, Err(failure))) => {
                end_saying(Status::Failed, "Startup failed", Outcome::StartFailed, failure)
            }
            (State::Starting, Event::TimeUp) => {
                let limit = self.limits.start.unwrap_or_default();
                let failure = Failure::timed_out("start-up", limit);
                let (state, mut effects) =
                    end_saying(Status::Failed, "Startup failed", Outcome::StartFailed, failure);
                effects.insert(0, Effect::Abort(Phase::Start));
                (state, effects)
            }
            (State::Starting, Event::StopWanted) => (
                State::StartingStop { aborted: false },
                vec![
                    say(Status::Shutdown, STOPPING),
                    Effect::Cancel,
                    Effect::Limit(Some(self.limits.stop / 2)),
                ],
            ),

            // what had been set up is cleaned up
            (State::StartingStop { .. }, Event::Done(Phase::Start, Ok(()))) => {
                self.stop(Outcome::Cancelled)
            }
            // the stop was requested: a failed start is not reported
            (
                State::StartingStop { .. },
                Event::Done(Phase::Start, Err(_)) | Event::Aborted(Phase::Start),
            ) => end(Outcome::Cancelled),
            (State::StartingStop { aborted: false }, Event::TimeUp) => (
                State::StartingStop { aborted: true },
                vec![Effect::Abort(Phase::Start), Effect::Limit(Some(self.limits.stop / 2))],
            ),
            (
                State::StartingStop { aborted: true } | State::Leaving { aborted: true, .. },
                Event::TimeUp,
            ) => {
                end_saying(Status::Error, "Shutdown failed", Outcome::StopFailed, Failure::stuck())
            }

            (State::Running, Event::Done(Phase::Run, Ok(()))) => {
                let (state, mut effects) = self.stop(Outcome::Completed);
                effects.splice(0..0, [say(Status::Shutdown, STOPPING), Effect::Cancel]);
                (state, effects)
            }
            (State::Running, Event::Done(Phase::Run, Err(failure))) => {
                let text = format!("Runtime error: {failure}");
                let (state, mut effects) = self.stop(Outcome::Failed(failure));
                effects.splice(0..0, [say(Status::Error, text), Effect::Cancel]);
                (state, effects)
            }
            (State::Running, Event::StopWanted) => self.leave(STOPPING, Outcome::Cancelled),
            (State::Running, Event::Completed(why)) => self.leave(why, Outcome::Completed),

            (
                State::Leaving { outcome, .. },
                Event::Done(Phase::Run, Ok(())) | Event::Aborted(Phase::Run),
            ) => self.stop(outcome),
            (State::Leaving { .. }, Event::Done(Phase::Run, Err(failure))) => {
                let text = format!("Runtime error: {failure}");
                let (state, mut effects) = self.stop(Outcome::StopFailed(failure));
                effects.insert(0, say(Status::Error, text));
                (state, effects)
            }
            (State::Leaving { aborted: false, outcome }, Event::TimeUp) => (
                State::Leaving { aborted: true, outcome },
                vec![Effect::Abort(Phase::Run), Effect::Limit(Some(self.limits.stop / 2))],
            ),

            (State::Stopping(outcome), Event::Done(Phase::Stop, Ok(()))) => end(outcome),
            (State::Stopping(outcome), Event::Done(Phase::Stop, Err(failure))) => {
                stop_failed(outcome, failure)
            }
            (State::Stopping(outcome), Event::TimeUp) => {
                let failure = Failure::timed_out("clean-up", self.limits.stop);
                let (state, mut effects) = stop_failed(outcome, failure);
                effects.insert(0, Effect::Abort(Phase::Stop));
                (state, effects)
            }

            // asked again, or late: nothing new
            (
                state,
                Event::StopWanted
                | Event::Completed(_)
                | Event::TimeUp
                | Event::Done(..)
                | Event::Aborted(_),
            ) => (state, Vec::new()),
        }
    }

    /// Asks the main loop to end.
    fn leave(&self, why: &str, outcome: Outcome) -> (State, Vec<Effect>) {
        let limit = Effect::Limit(Some(self.limits.stop / 2));
        let effects = vec![say(Status::Shutdown, why), Effect::Cancel, limit];
        (State::Leaving { aborted: false, outcome }, effects)
    }

    fn stop(&self, outcome: Outcome) -> (State, Vec<Effect>) {
        let effects = vec![Effect::Limit(Some(self.limits.stop)), Effect::Begin(Phase::Stop)];
        (State::Stopping(outcome), effects)
    }
}

/// The end, with the final status: the failure's if there was one, else that it has stopped.
fn end(outcome: Outcome) -> (State, Vec<Effect>) {
    let mut effects = vec![Effect::Limit(None)];
    if outcome.failure().is_none() {
        effects.push(say(Status::Shutdown, STOPPED));
    }
    effects.push(Effect::End(outcome));
    (State::Ended, effects)
}

fn end_saying(
    status: Status,
    what: &str,
    outcome: fn(Failure) -> Outcome,
    failure: Failure,
) -> (State, Vec<Effect>) {
    let text = format!("{what}: {failure}");
    (State::Ended, vec![Effect::Limit(None), say(status, text), Effect::End(outcome(failure))])
}

/// The first failure is the outcome; a failed clean-up is reported in addition.
fn stop_failed(outcome: Outcome, failure: Failure) -> (State, Vec<Effect>) {
    let (state, mut effects) =
        end_saying(Status::Error, "Shutdown failed", Outcome::StopFailed, failure);
    if outcome.failure().is_some() {
        effects.pop();
        effects.push(Effect::End(outcome));
    }
    (state, effects)
}

#[cfg(test)]
mod tests;
