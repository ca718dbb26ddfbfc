//! What callers ask for: to the supervisor, or answered out of what is known.

use std::sync::Arc;

use serde_json::{Value, json};
use tcs_core::bus::publish::hostname;
use tcs_core::clock;
use tcs_core::wire::Timestamp;
use tokio::sync::oneshot;

use super::Daemon;
use crate::control::Ask;
use crate::runner::output::Line;
use tcs_supervisor::{Answer, Command, Event, Patience, ServiceId, Ticket};

impl Daemon<'_> {
    pub(super) fn asked(&mut self, ask: Ask) -> Option<bool> {
        match ask {
            Ask::Service(operation, id, command, back) => {
                let ticket = self.ticket(back);
                let waits = matches!(
                    command,
                    Command::Stop(Patience::WhenIdle(_)) | Command::Restart(Patience::WhenIdle(_))
                );
                let request = Event::Request { ticket, operation, id: id.clone(), command };
                // whether it is at work, it may have said just now
                if waits { self.after_last_word(&id, request) } else { self.handle(request) }
            }
            Ask::Plan(back) => {
                let _ = back.send(self.prepare().map(|prepared| prepared.report));
                None
            }
            Ask::Reload(operation, back) => {
                let (answered, answer) = oneshot::channel();
                let ticket = self.ticket(answered);
                match self.read_again(Some((ticket, operation))) {
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
            Ask::List(back) => {
                let services = self.supervisor.services().map(|it| self.listed(&it));
                let _ = back.send(json!({
                    "config": self.config.display().to_string(), "host": hostname(),
                    "pid": std::process::id(),
                    "services": services.collect::<Vec<_>>(),
                }));
                None
            }
            Ask::Logs { id, count, follow, back } => {
                let lines = self.logs(&id, count);
                if let (Ok(_), Some(lease)) = (&lines, follow) {
                    self.outputs.readers.renew(&id, lease, clock::monotonic());
                }
                let _ = back.send(lines);
                None
            }
        }
    }

    fn ticket(&mut self, back: oneshot::Sender<Answer>) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.replies.insert(ticket, back);
        ticket
    }

    fn listed(&self, it: &tcs_supervisor::Snapshot<'_>) -> Value {
        let phase = format!("{:?}", it.phase).to_lowercase();
        let uptime = it.since.map(|since| self.now().saturating_sub(since).as_secs_f64());
        json!({
            "service_id": it.spec.id.to_string(), "status": phase, "pid": it.pid,
            "uptime_seconds": uptime, "restarts": it.restarts, "last_exit_code": it.last_code,
            "enabled": it.spec.enabled, "busy": it.busy, "restart_policy": it.spec.restart.when.as_str(),
            "waiting_for": self.supervisor.waits_for(&it.spec.id),
        })
    }

    fn logs(&self, id: &ServiceId, count: usize) -> Result<Value, String> {
        if !self.plans.contains_key(id) {
            return Err(format!("no such service here: {id}"));
        }
        let output = self.outputs.of(id);
        let (lines, gone) = output.map(|output| output.last(count)).unwrap_or_default();
        let line = |line: &Arc<Line>| {
            json!({
                "timestamp": Timestamp::new(line.time), "stream": line.stream.as_str(),
                "level": line.level.0, "logger": line.logger, "message": line.text,
            })
        };
        let lines: Vec<Value> = lines.iter().map(line).collect();
        Ok(json!({ "service_id": id.to_string(), "lines": lines, "dropped": gone,
            "never_started": output.is_none() }))
    }
}
