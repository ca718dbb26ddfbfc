//! Operating services: the question before, the request, and copying.

use std::sync::Arc;

use tcs_core::fleet::{Phase, ServiceView, format_duration};
use tcs_core::wire::Status;

use super::overlay::Overlay;
use super::{State, launcher_of};
use crate::dashboard::event::{Action, Operation, Request};

impl State {
    /// Asks whether it is meant, and says what it would touch.
    pub(super) fn ask(&mut self, operation: Operation) {
        let Some(service) = self.chosen() else { return };
        if service.is_launcher {
            let text = format!("{} is a launcher: its host's service manager runs it", service.id);
            self.tell(text, true);
            return;
        }
        let Some(launcher) = launcher_of(service) else {
            let text =
                format!("{} has no launcher: nothing can {} it", service.id, operation.as_str());
            self.tell(text, true);
            return;
        };
        let request = Request { operation, service: Arc::clone(&service.id), launcher };
        let touched = self.touched(service, &request);
        self.overlay = Some(Overlay::Confirm { request, touched });
    }

    fn touched(&self, service: &ServiceView, request: &Request) -> Vec<String> {
        let now = self.picture.now;
        let mut lines = vec![format!("asks {}", request.launcher)];
        let up = service.phase.is_up();
        match (request.operation, up, service.uptime(now)) {
            (Operation::Start, true, _) => lines.push("it is already up".to_owned()),
            (Operation::Stop | Operation::Restart, true, Some(uptime)) => {
                lines.push(format!("it has been up for {}", format_duration(uptime)));
            }
            (Operation::Stop, false, _)
                if !matches!(service.phase, Phase::Backoff | Phase::Waiting) =>
            {
                lines.push(format!("it is not up: {}", service.phase));
            }
            (Operation::Start | Operation::Stop | Operation::Restart, ..) => {}
        }
        if request.operation != Operation::Start {
            if service.own_status == Some(Status::Busy) {
                let doing = service.message.clone().unwrap_or_default();
                lines.push(format!("it is busy: {doing}").trim_end_matches([':', ' ']).to_owned());
            }
            let below: Vec<&str> = service
                .children
                .iter()
                .map(|child| &self.picture.services[*child])
                .filter(|child| child.phase.is_up())
                .map(|child| &*child.id)
                .collect();
            match below.len() {
                0 => {}
                1..4 => lines.push(format!("touches {}", below.join(", "))),
                n => lines.push(format!("touches {} and {} more", below[..2].join(", "), n - 2)),
            }
            if request.operation == Operation::Stop && service.restart_policy.is_some() {
                lines.push("it stays stopped until somebody starts it".to_owned());
            }
        }
        lines
    }

    pub(super) fn send(&mut self, request: Request) -> Vec<Action> {
        self.pending += 1;
        let text = format!("{} {} ...", request.operation.as_str(), request.service);
        self.tell(text, false);
        vec![Action::Request(request)]
    }
}
