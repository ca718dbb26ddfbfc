//! The supervisor against a script: events at literal times, effects as short lines.

use std::num::NonZeroU32;
use std::time::Duration;

use tcs_wire::{Event as RegistryEvent, Limit, Stop};

use super::*;

mod agenda;
mod held;
mod machine;
mod order;
mod pair;
mod random;
mod requests;
mod schedule;
mod scheduled;

pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The id of the service that these tests call `name`.
pub(super) fn id(name: &str) -> ServiceId {
    format!("{name}.x").parse().unwrap()
}

/// A service, ready at once, restarted twice in a minute after failures.
pub(super) fn spec(name: &str) -> Spec {
    Spec {
        id: id(name),
        enabled: true,
        schedule: None,
        restart: RestartPolicy {
            when: RestartWhen::OnFailure,
            delay: s(5),
            limit: NonZeroU32::new(2),
            window: s(60),
            backoff: None,
        },
        readiness: Readiness::AtOnce,
        start_timeout: s(60),
        stop_timeout: s(10),
        after: Vec::new(),
        level: 0,
    }
}

/// The same, ready when it says so, within 30 s.
pub(super) fn slow(name: &str) -> Spec {
    Spec { readiness: Readiness::Within(s(30)), ..spec(name) }
}

pub(super) fn exit(code: i32) -> Report {
    Report::Exited(Exit::code(code))
}

/// A supervisor and the time.
#[derive(Debug)]
pub(super) struct World {
    pub(super) supervisor: Supervisor,
    pub(super) now: Duration,
    tickets: u64,
}

impl World {
    /// Launched with these services at 100 s.
    pub(super) fn launch(specs: Vec<Spec>) -> (Self, Vec<String>) {
        Self::launch_with(100, specs)
    }

    pub(super) fn launch_with(places: usize, specs: Vec<Spec>) -> (Self, Vec<String>) {
        let mut world = Self { supervisor: Supervisor::new(places), now: s(100), tickets: 0 };
        let diff = Diff { added: specs, ..Diff::default() };
        let lines = world.on(Event::Apply { diff, request: None });
        (world, lines)
    }

    pub(super) fn on(&mut self, event: Event) -> Vec<String> {
        self.supervisor.handle(event, self.now).iter().map(line).collect()
    }

    /// A word of the latest run.
    pub(super) fn report(&mut self, name: &str, report: Report) -> Vec<String> {
        let run = self.supervisor.services[&id(name)].run;
        self.on(Event::Report { id: id(name), run, report })
    }

    pub(super) fn up(&mut self, name: &str) -> Vec<String> {
        self.report(name, Report::Spawned { pid: Some(7) })
    }

    /// The end of a run and of all it left.
    pub(super) fn ends(&mut self, name: &str, code: i32) -> Vec<String> {
        let mut lines = self.report(name, exit(code));
        lines.extend(self.report(name, Report::Cleared));
        lines
    }

    pub(super) fn ask(&mut self, name: &str, command: Command) -> Vec<String> {
        self.tickets += 1;
        let operation = operation(self.tickets);
        self.on(Event::Request { ticket: Ticket(self.tickets), operation, id: id(name), command })
    }

    /// Time passes until the next deadline.
    pub(super) fn tick(&mut self) -> Vec<String> {
        self.now = self.supervisor.deadline().expect("nothing is awaited");
        self.on(Event::Tick)
    }

    pub(super) fn phase(&self, name: &str) -> Phase {
        self.supervisor.service(&id(name)).expect("no such service").phase
    }
}

pub(super) fn operation(number: u64) -> Operation {
    Operation { sender: format!("op{number}").into(), message: "1".into() }
}

/// An effect in a few words, with ids as the tests call them.
pub(super) fn line(effect: &Effect) -> String {
    let line = match effect {
        Effect::Spawn { id, run } => format!("spawn {id}{}", run.0),
        Effect::Stop { id, run } => format!("stop {id}{}", run.0),
        Effect::Kill { id, run } => format!("kill {id}{}", run.0),
        Effect::Publish { id, event, restart, requested_by } => {
            let by = requested_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            format!("{id} {}{by}", event_line(event, *restart))
        }
        Effect::Reply { ticket, answer } => format!("reply {} {}", ticket.0, answer_line(answer)),
        Effect::Forget { id } => format!("forget {id}"),
        Effect::Done(conclusion) => format!("done {}", *conclusion == Conclusion::Success),
    };
    line.replace(".x", "")
}

fn event_line(event: &RegistryEvent, delay: Option<Delay>) -> String {
    let max = |limit: &Option<Limit>| match limit {
        Some(Limit::Times(times)) => times.to_string(),
        Some(Limit::Unlimited) => "inf".to_owned(),
        None => panic!("no limit: {event:?}"),
    };
    match event {
        RegistryEvent::Waiting { waiting_for, timed_out } => {
            let how = if *timed_out { "gave up waiting" } else { "waiting" };
            format!("{how} for {}", waiting_for.join(" "))
        }
        RegistryEvent::Ready { startup_duration_seconds } => {
            format!("ready in {} s", startup_duration_seconds.unwrap())
        }
        RegistryEvent::Stopping { reason } => format!("stopping: {}", reason.as_ref().unwrap()),
        RegistryEvent::Stop(Stop { reason, exit_code, .. }) => {
            let code = exit_code.map(|code| format!(" {code}")).unwrap_or_default();
            format!("{}{code}", reason.as_ref().unwrap())
        }
        RegistryEvent::Crashed(crash) => {
            let code = crash.exit_code.map_or("unstarted".to_owned(), |code| code.to_string());
            let error = crash.error.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            assert_eq!(
                (crash.will_restart, crash.restart_attempt.is_some()),
                (delay.is_some(), delay.is_some())
            );
            let restart = delay.map_or("left".to_owned(), |delay| {
                let attempt = crash.restart_attempt.unwrap();
                format!("{attempt}/{} in {} s", max(&crash.max_restarts), delay.length.as_secs())
            });
            let throttled = if delay.is_some_and(|it| it.throttled) { ", throttled" } else { "" };
            format!("crashed {code}{error}, {restart}{throttled}")
        }
        RegistryEvent::Restarting { restart_attempt, max_restarts, .. } => {
            format!("restarting {}/{}", restart_attempt.unwrap(), max(max_restarts))
        }
        RegistryEvent::Failed { reason, restart_count, .. } => {
            format!("failed: {} after {}", reason.as_ref().unwrap(), restart_count.unwrap())
        }
        RegistryEvent::Declared(_)
        | RegistryEvent::Start { .. }
        | RegistryEvent::Missed(_)
        | RegistryEvent::Other(_) => event.name().to_owned(),
    }
}

fn answer_line(answer: &Answer) -> String {
    let result = |result: &Result<Success, Refusal>| match result {
        Ok(Success { state, changed }) => {
            let state = match state {
                Reached::Running { .. } => "running".to_owned(),
                Reached::Starting { .. } => "starting".into(),
                Reached::Completed => "completed".into(),
                Reached::Stopped { code: Some(code) } => format!("stopped {code}"),
                Reached::Stopped { code: None } => "stopped".into(),
                Reached::Updated => "updated".into(),
            };
            if *changed { state } else { format!("{state} already") }
        }
        Err(refusal) => format!("refused: {refusal}"),
    };
    match answer {
        Answer::Service(answer) => result(answer),
        Answer::Reload(parts) => {
            let parts: Vec<_> =
                parts.iter().map(|(id, part)| format!("{id} {}", result(part))).collect();
            format!("[{}]", parts.join(", "))
        }
    }
}
