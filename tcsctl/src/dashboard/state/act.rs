//! Operating services: the question before, the request, and its outcome.

use std::sync::Arc;

use chrono::TimeDelta;
use tcs_core::fleet::graph::Graph;
use tcs_core::fleet::{Phase, ServiceView, format_duration};
use tcs_core::wire::Status;
use tcs_present::selection::launcher;
use tcs_present::touched::{Standing, consequences};
use tcs_present::{Line, Look, Role, touched};

use super::batch::Batch;
use super::overlay::{Overlay, Question};
use super::{Stale, State};
use crate::dashboard::event::{Action, Operation, Reply, Request};
use crate::dashboard::layout;

/// Cells of the question about one service, and about many.
const WIDTHS: (u16, u16) = (64, 110);

impl State {
    /// Asks whether it is meant, and says what it would touch: the marked services, else the chosen one.
    pub(super) fn ask(&mut self, operation: Operation) {
        let is_bulk = !self.marks.is_empty();
        if is_bulk && self.is_batch_running() {
            self.tell("the last operation on several services is not done yet (:results)", true);
            return;
        }
        let ids: Vec<Arc<str>> = if is_bulk {
            self.marks.iter().cloned().collect()
        } else {
            self.table.chosen().cloned().into_iter().collect()
        };
        self.ask_about(operation, ids, is_bulk);
    }

    /// The same about these services.
    pub(super) fn ask_about(&mut self, operation: Operation, ids: Vec<Arc<str>>, is_bulk: bool) {
        match self.question(operation, ids, is_bulk) {
            Ok(question) => self.overlay = Some(Overlay::Confirm(question)),
            Err(why) => self.tell(why, true),
        }
    }

    /// What is asked about these services as they are now; or why nothing is.
    fn question(
        &self,
        operation: Operation,
        ids: Vec<Arc<str>>,
        is_bulk: bool,
    ) -> Result<Question, String> {
        let mut requests = Vec::new();
        let mut services = Vec::new();
        let mut left_out = Vec::new();
        for id in &ids {
            let service = self.picture.get(id).ok_or_else(|| format!("{id} is not known any more"));
            match service.and_then(|it| Ok((it, self.request(operation, it)?))) {
                Ok((service, request)) => {
                    services.push(service);
                    requests.push(request);
                }
                Err(why) => left_out.push(why),
            }
        }
        let word = operation.as_str();
        let [only, ..] = &requests[..] else {
            return Err(match left_out.pop().filter(|_| !is_bulk) {
                Some(why) => why,
                None => format!("none of the marked can be asked to {word}"),
            });
        };
        let width = if is_bulk { WIDTHS.1 } else { WIDTHS.0 };
        let lines = if is_bulk {
            self.lines_of_many(operation, &services, &left_out)
        } else {
            let name = Line::new().with(Role::Strong, &only.service);
            let touched = self.touched(services[0], only).into_iter();
            let touched = touched.map(|line| Line::new().with(Role::Text, &format!("  {line}")));
            [name].into_iter().chain(touched).collect()
        };
        let standing = Standing::of(&self.picture, &services, operation != Operation::Start);
        Ok(Question { operation, ids, is_bulk, requests, standing, lines, width, scrolled: 0 })
    }

    fn lines_of_many(
        &self,
        operation: Operation,
        services: &[&ServiceView],
        left_out: &[String],
    ) -> Vec<Line> {
        let inside = layout::dialog(self.size, WIDTHS.1, 1).width.saturating_sub(4);
        let look = Look { width: Some(inside.into()), times: self.options.times };
        let mut lines = match operation {
            Operation::Start => touched::lines(&self.picture, services, &look),
            Operation::Stop | Operation::Restart => {
                touched::lines_of_end(&self.picture, services, &look)
            }
        };
        let left_out = left_out.iter().map(|why| format!("  left out: {why}"));
        lines.extend(left_out.map(|why| Line::new().with(Role::Warn, &why)));
        lines
    }

    /// The request, or why nobody can be asked.
    fn request(&self, operation: Operation, service: &ServiceView) -> Result<Request, String> {
        let id = &service.id;
        if service.is_launcher {
            return Err(format!("{id} is a launcher: its host's service manager runs it"));
        }
        match launcher(&self.picture, service) {
            Some(launcher) => {
                Ok(Request { operation, service: Arc::clone(id), launcher: launcher.into() })
            }
            None => Err(format!("{id} has no launcher: nothing can {} it", operation.as_str())),
        }
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
            let graph = Graph::of(&self.picture);
            lines.extend(consequences(&self.picture, &graph, service, &[service]));
            if request.operation == Operation::Stop && service.restart_policy.is_some() {
                lines.push("it stays stopped until somebody starts it".to_owned());
            }
        }
        lines
    }

    /// Does what was asked about, if nothing has changed since that matters; otherwise asks anew.
    pub(super) fn agreed(&mut self, question: Question) -> Vec<Action> {
        self.stale = Stale::Now;
        self.settle_here();
        let Question { operation, ids, is_bulk, .. } = question;
        let mut now = match self.question(operation, ids, is_bulk) {
            Ok(now) => now,
            Err(why) => {
                self.tell(format!("{why}; nothing was done"), true);
                return Vec::new();
            }
        };
        let changes = touched::changes(&question.standing, &now.standing);
        if !changes.is_empty() {
            let told = changes.iter().map(|change| format!("changed: {change}"));
            let told: Vec<_> = told.map(|text| Line::new().with(Role::Warn, &text)).collect();
            now.lines.splice(0..0, told);
            self.overlay = Some(Overlay::Confirm(now));
            return Vec::new();
        }
        if is_bulk {
            return self.begin_batch(Batch::new(operation, now.requests));
        }
        now.requests.into_iter().flat_map(|request| self.send(request)).collect()
    }

    fn send(&mut self, request: Request) -> Vec<Action> {
        self.pending += 1;
        let text = format!("{} {} ...", request.operation.as_str(), request.service);
        self.tell(text, false);
        vec![Action::Request(request)]
    }

    /// Takes the outcome of a request.
    pub(super) fn reply(&mut self, reply: &Reply) -> Vec<Action> {
        self.pending = self.pending.saturating_sub(1);
        if let Some(actions) = self.batch_reply(reply) {
            return actions;
        }
        let request = &reply.request;
        let took = match reply.took {
            short if short < TimeDelta::seconds(1) => format!("{} ms", short.num_milliseconds()),
            long => format_duration(long),
        };
        let what = format!("{} {}", request.operation.as_str(), request.service);
        match &reply.outcome {
            Ok(text) => {
                self.tell(format!("{what}: {text}, by {} in {took}", request.launcher), false);
            }
            Err(text) => self.tell(format!("{what}: {text} (asked {})", request.launcher), true),
        }
        Vec::new()
    }
}
