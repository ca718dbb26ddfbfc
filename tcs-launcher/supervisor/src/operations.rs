//! What was asked for, and who waits for the answer.
//!
//! An answer is not an event's work but a reading of the state: an operation is answered as soon
//! as the services it concerns say that its aim is reached, or cannot be any more. So no path
//! through the state machine can forget a caller. An operation is known by its sender and message
//! id; asked again it is not done again, but answered again, for [`REMEMBERED_FOR`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::effect::{Answer, Effect, Reached, Refusal, Success};
use super::event::{Operation, Run, Ticket};
use super::service::{Out, Service, State};
use super::spec::ServiceId;

/// How long a finished operation is known (`docs/spec/wire.md#requests`).
const REMEMBERED_FOR: Duration = Duration::from_mins(10);

/// Finished operations known at a time: the oldest go first.
const REMEMBERED: usize = 4096;

/// Operations under way, and callers of one operation, at a time.
const UNDER_WAY: usize = 1024;

/// What an operation wants of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// A run later than this one is up.
    Up(Run),
    /// This run, and what it left, is gone.
    Down(Run),
    /// Nothing: it is so already.
    Nothing,
}

/// One service's part in an operation.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) id: ServiceId,
    pub(super) aim: Aim,
    pub(super) changed: bool,
    result: Option<Result<Success, Refusal>>,
}

impl Part {
    pub(super) fn new(id: ServiceId, aim: Aim, changed: bool) -> Self {
        Self { id, aim, changed, result: None }
    }
}

#[derive(Debug, Clone)]
struct Pending {
    tickets: Vec<Ticket>,
    parts: Vec<Part>,
    is_reload: bool,
}

impl Pending {
    fn answer(&self) -> Option<Answer> {
        let mut results = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            results.push((part.id.clone(), part.result.clone()?));
        }
        match results.pop() {
            Some((_, result)) if !self.is_reload => Some(Answer::Service(result)),
            last => Some(Answer::Reload(results.into_iter().chain(last).collect())),
        }
    }
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The request is new: do it.
    No,
    /// The request is under way or done: the caller gets its answer.
    Yes,
}

/// All operations under way or lately finished.
#[derive(Debug, Clone, Default)]
pub(super) struct Operations {
    pending: BTreeMap<Operation, Pending>,
    finished: BTreeMap<Operation, Answer>,
    ages: VecDeque<(Duration, Operation)>,
}

impl Operations {
    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Sees to a caller whose operation is known already, or who is one too many.
    pub(super) fn is_known(
        &mut self,
        operation: &Operation,
        ticket: Ticket,
        out: &mut Out<'_>,
    ) -> Known {
        self.forget(out.now);
        let reply = |answer| Effect::Reply { ticket, answer };
        let too_many = Answer::Service(Err(Refusal::TooManyRequests));
        if let Some(pending) = self.pending.get_mut(operation) {
            if pending.tickets.len() < UNDER_WAY {
                pending.tickets.push(ticket);
            } else {
                out.effects.push(reply(too_many));
            }
            Known::Yes
        } else if let Some(answer) = self.finished.get(operation) {
            out.effects.push(reply(answer.clone()));
            Known::Yes
        } else if self.pending.len() >= UNDER_WAY {
            out.effects.push(reply(too_many));
            Known::Yes
        } else {
            Known::No
        }
    }

    /// Waits for the aims of an operation to be reached.
    pub(super) fn wait(
        &mut self,
        operation: Operation,
        ticket: Ticket,
        parts: Vec<Part>,
        is_reload: bool,
    ) {
        let pending = Pending { tickets: vec![ticket], parts, is_reload };
        self.pending.insert(operation, pending);
    }

    /// An operation that is refused at once.
    pub(super) fn refuse(
        &mut self,
        operation: Operation,
        ticket: Ticket,
        refusal: Refusal,
        out: &mut Out<'_>,
    ) {
        let answer = Answer::Service(Err(refusal));
        out.effects.push(Effect::Reply { ticket, answer: answer.clone() });
        self.remember(operation, answer, out.now);
    }

    /// Answers those whose aims are reached, or cannot be any more.
    pub(super) fn settle(&mut self, services: &BTreeMap<ServiceId, Service>, out: &mut Out<'_>) {
        let mut answered = Vec::new();
        for (operation, pending) in &mut self.pending {
            for part in pending.parts.iter_mut().filter(|part| part.result.is_none()) {
                let result = outcome(services.get(&part.id), part);
                part.result = result
                    .map(|result| result.map(|state| Success { state, changed: part.changed }));
            }
            if let Some(answer) = pending.answer() {
                answered.push((operation.clone(), answer));
            }
        }
        for (operation, answer) in answered {
            for ticket in self.pending.remove(&operation).into_iter().flat_map(|it| it.tickets) {
                out.effects.push(Effect::Reply { ticket, answer: answer.clone() });
            }
            self.remember(operation, answer, out.now);
        }
    }

    fn remember(&mut self, operation: Operation, answer: Answer, now: Duration) {
        self.ages.push_back((now, operation.clone()));
        self.finished.insert(operation, answer);
        self.forget(now);
    }

    fn forget(&mut self, now: Duration) {
        let too_old = now.checked_sub(REMEMBERED_FOR);
        while self.ages.len() > REMEMBERED
            || self.ages.front().is_some_and(|(at, _)| Some(*at) < too_old)
        {
            if let Some((_, operation)) = self.ages.pop_front() {
                self.finished.remove(&operation);
            }
        }
    }
}

/// Whether a part's aim is reached (`Ok`), can no more be reached (`Err`), or is still to come.
fn outcome(service: Option<&Service>, part: &Part) -> Option<Result<Reached, Refusal>> {
    let Some(service) = service else {
        return Some(match part.aim {
            Aim::Up(_) => Err(Refusal::UnknownService(part.id.clone())),
            Aim::Down(_) => Ok(Reached::Stopped { code: None }),
            Aim::Nothing => Ok(Reached::Updated),
        });
    };
    match part.aim {
        Aim::Up(before) => up(service, before),
        Aim::Down(run) => down(service, run),
        Aim::Nothing => Some(Ok(Reached::Updated)),
    }
}

fn up(service: &Service, before: Run) -> Option<Result<Reached, Refusal>> {
    let is_new = service.run > before;
    match &service.state {
        State::Running { live } if is_new => Some(Ok(Reached::Running { pid: live.pid })),
        // it may say that it is ready in an hour, or never
        State::Starting { live, .. } if is_new && service.is_overdue() => {
            Some(Ok(Reached::Starting { pid: live.pid }))
        }
        State::Spawning { .. } if is_new && service.is_overdue() => {
            Some(Ok(Reached::Starting { pid: None }))
        }
        State::Completed if is_new => Some(Ok(Reached::Completed)),
        State::Failed if is_new => Some(Err(failure(service, false))),
        State::Backoff { .. } | State::Waiting { attempt: 1.. } if is_new => {
            Some(Err(failure(service, true)))
        }
        State::Declared | State::Stopped | State::Completed | State::Failed => {
            Some(Err(overtaken(service)))
        }
        // the restart that would have ended this run was called off
        State::Starting { .. } | State::Running { .. } if !is_new && service.later.is_none() => {
            Some(Err(overtaken(service)))
        }
        State::Waiting { .. } | State::Stopping { .. } if service.is_unkillable() => {
            Some(Err(Refusal::Unkillable))
        }
        State::Waiting { .. }
        | State::Spawning { .. }
        | State::Starting { .. }
        | State::Running { .. }
        | State::Stopping { .. }
        | State::Backoff { .. } => None,
    }
}

fn down(service: &Service, run: Run) -> Option<Result<Reached, Refusal>> {
    let stopped = Some(Ok(Reached::Stopped { code: service.last.code }));
    if service.run > run {
        return stopped;
    }
    if service.is_unkillable() {
        return Some(Err(Refusal::Unkillable));
    }
    match service.state {
        State::Declared
        | State::Stopped
        | State::Completed
        | State::Failed
        | State::Waiting { .. }
        | State::Backoff { .. } => {
            if service.remains {
                None
            } else {
                stopped
            }
        }
        // the stop was called off
        State::Starting { .. } | State::Running { .. } if service.later.is_none() => {
            Some(Err(overtaken(service)))
        }
        State::Spawning { .. }
        | State::Starting { .. }
        | State::Running { .. }
        | State::Stopping { .. } => None,
    }
}

fn failure(service: &Service, will_restart: bool) -> Refusal {
    let last = service.last.clone();
    match last.error {
        Some(error) if last.not_started => Refusal::NotStarted(error),
        error => Refusal::Crashed { code: last.code, error, will_restart },
    }
}

fn overtaken(service: &Service) -> Refusal {
    let by = service.asked_by.clone().unwrap_or_else(|| Arc::from("the launcher"));
    Refusal::Overtaken { by }
}
