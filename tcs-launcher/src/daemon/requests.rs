//! What callers ask for: to the supervisor, or answered out of what is known.

use std::sync::Arc;

use tcs_core::bus::publish::hostname;
use tcs_core::clock;
use tcs_core::wire::Timestamp;
use tcs_core::wire::control::{ListReply, ListedService, LogLine, LogsReply};
use tokio::sync::oneshot;

use super::Daemon;
use super::kept::Work;
use crate::control::ControlRequest;
use crate::runner::output::{Line, Output};
use tcs_supervisor::{Answer, Command, Conclusion, Event, Patience, ServiceId, Ticket};

impl Daemon<'_> {
    pub(super) fn asked(&mut self, ask: ControlRequest) -> Option<Conclusion> {
        match ask {
            ControlRequest::Service { operation, id, command, comment, back } => {
                let ticket = self.ticket(back);
                let waits = matches!(
                    command,
                    Command::Stop(Patience::WhenIdle(_))
                        | Command::Hold(Patience::WhenIdle(_))
                        | Command::Restart(Patience::WhenIdle(_))
                );
                self.note_work(&id, command, comment, &operation.sender);
                let request = Event::Request { ticket, operation, id: id.clone(), command };
                // whether it is at work, it may have said just now
                if waits { self.after_last_word(&id, request) } else { self.handle(request) }
            }
            ControlRequest::Plan(profile, back) => {
                let _ = back.send(self.prepare(profile).map(|prepared| prepared.report));
                None
            }
            ControlRequest::Profiles(back) => {
                let _ = back.send(self.profiles());
                None
            }
            ControlRequest::Reload(operation, profile, back) => {
                let (answered, answer) = oneshot::channel();
                let ticket = self.ticket(answered);
                match self.read_again(profile, Some((ticket, operation))) {
                    Ok(report) => {
                        tokio::spawn(async move {
                            if let Ok(answer) = answer.await {
                                let _ = back.send(Ok((report, answer)));
                            }
                        });
                    }
                    Err(error) => {
                        self.replies.remove(&ticket);
                        let _ = back.send(Err(error));
                    }
                }
                None
            }
            ControlRequest::Upgrade(by, back) => {
                self.asked_to_upgrade(&by, back);
                None
            }
            ControlRequest::Drill(by, id, request, back) => {
                let _ = back.send(self.asked_for_drill(&by, &id, request));
                None
            }
            ControlRequest::List(back) => {
                let services = self.supervisor.services().map(|it| self.listed(&it));
                let _ = back.send(ListReply {
                    config: self.config.display().to_string(),
                    host: hostname(),
                    pid: std::process::id(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    upgrades: self.upgrades,
                    services: services.collect(),
                });
                None
            }
            ControlRequest::Logs { id, count, run, follow, back } => {
                let lines = self.logs(&id, count, run);
                if let (Ok(_), Some(lease)) = (&lines, follow) {
                    self.outputs.subscriptions.renew(&id, lease, clock::monotonic());
                }
                let _ = back.send(lines);
                None
            }
        }
    }

    /// Remembers for which work a service is to stay stopped, until somebody starts it.
    fn note_work(&self, id: &ServiceId, command: Command, comment: Option<String>, by: &str) {
        match (command, comment) {
            (Command::Hold(_), Some(comment)) if self.plans.contains_key(id) => {
                let work = Work { comment, by: by.to_owned(), since: clock::machine_wall() };
                self.kept.change(|kept| {
                    kept.stopped.insert(id.to_string(), work);
                });
            }
            (Command::Start | Command::Restart(_), _) => self.forget_work(id),
            (Command::Stop(_) | Command::Hold(_), _) => {}
        }
    }

    pub(super) fn forget_work(&self, id: &ServiceId) {
        self.kept.change(|kept| {
            kept.stopped.remove(id.as_str());
        });
    }

    fn ticket(&mut self, back: oneshot::Sender<Answer>) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.replies.insert(ticket, back);
        ticket
    }

    fn listed(&self, it: &tcs_supervisor::Snapshot<'_>) -> ListedService {
        let id = &it.spec.id;
        ListedService {
            service_id: id.to_string(),
            status: it.phase,
            pid: it.pid,
            uptime_seconds: it.since.map(|since| self.now().saturating_sub(since).as_secs_f64()),
            restarts: it.restarts,
            last_exit_code: it.last_code,
            enabled: it.spec.enabled,
            busy: it.busy,
            restart_policy: it.spec.restart.when.as_str().to_owned(),
            waiting_for: self.supervisor.waits_for(id).iter().map(ToString::to_string).collect(),
        }
    }

    fn logs(&self, id: &ServiceId, count: usize, run: Option<i64>) -> Result<LogsReply, String> {
        if !self.plans.contains_key(id) {
            return Err(format!("no such service here: {id}"));
        }
        let output = self.outputs.of(id);
        let of_all = || output.map(|output| output.last(count)).unwrap_or_default();
        let (lines, dropped, run) = match (run, output) {
            (Some(back), Some(output)) => {
                let (lines, run) = output.last_of(back, count);
                (lines, 0, run)
            }
            (_, output) => {
                let (lines, dropped) = of_all();
                (lines, dropped, output.and_then(Output::run))
            }
        };
        let line = |line: &Arc<Line>| LogLine {
            timestamp: Some(Timestamp::new(line.time)),
            stream: Some(line.stream),
            level: line.level,
            logger: line.logger.clone(),
            message: line.text.clone(),
            run: Some(line.run.0),
        };
        Ok(LogsReply {
            service_id: id.to_string(),
            lines: lines.iter().map(line).collect(),
            dropped,
            never_started: Some(output.is_none()),
            run: run.map(|run| run.0),
            runs: output.map(Output::ends).unwrap_or_default(),
        })
    }
}
