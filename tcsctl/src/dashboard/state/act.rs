//! Operating services: the question before, the request, and its outcome.

use std::sync::Arc;

use chrono::TimeDelta;
use tcs_core::fleet::graph::Graph;
use tcs_core::fleet::{Phase, ServiceView, format_duration};
use tcs_core::wire::Status;
use tcs_present::selection::launcher;
use tcs_present::touched::{Standing, consequences};
use tcs_present::{Line, Look, Role, text, touched};

use super::batch::Batch;
use super::overlay::{Overlay, Purpose, Question};
use super::work::{nobody, parameters};
use super::{Stale, State};
use crate::dashboard::event::{Action, Operation, Reply, Request};
use crate::dashboard::layout;

/// Why nothing is asked while there are results to come.
pub(super) const BUSY: &str = "the last operation on several services is not done yet (:results)";

/// Cells of the question about one service, and about many.
pub(super) const WIDTHS: (u16, u16) = (64, 110);

impl State {
    /// Asks whether it is meant, and says what it would touch: the marked services, else the chosen one.
    pub(super) fn ask(&mut self, operation: Operation) {
        match self.targets() {
            Ok((ids, is_bulk)) => self.ask_about(Purpose::Request, operation, ids, is_bulk),
            Err(why) => self.tell(why, true),
        }
    }

    /// The marked services, else the chosen one; whether they are those that are marked.
    pub(super) fn targets(&self) -> Result<(Vec<Arc<str>>, bool), &'static str> {
        if self.marks.is_empty() {
            return Ok((self.table.chosen().cloned().into_iter().collect(), false));
        }
        if self.is_batch_running() {
            return Err(BUSY);
        }
        Ok((self.marks.iter().cloned().collect(), true))
    }

    /// The same about these services.
    pub(super) fn ask_about(
        &mut self,
        purpose: Purpose,
        operation: Operation,
        ids: Vec<Arc<str>>,
        is_bulk: bool,
    ) {
        match self.question(purpose, operation, ids, is_bulk) {
            Ok(question) => self.overlay = Some(Overlay::Confirm(question)),
            Err(why) => self.tell(why, true),
        }
    }

    /// What is asked about these services as they are now; or why nothing is.
    fn question(
        &self,
        purpose: Purpose,
        operation: Operation,
        ids: Vec<Arc<str>>,
        is_bulk: bool,
    ) -> Result<Question, String> {
        let ids = self.meant_now(&purpose).unwrap_or(ids);
        let mut requests = Vec::new();
        let mut services = Vec::new();
        let mut left_out = Vec::new();
        for id in &ids {
            let service = self.picture.get(id).ok_or_else(|| format!("{id} is no longer known"));
            let request = service.and_then(|it| Ok((it, self.request(&purpose, operation, it)?)));
            match request {
                Ok((service, request)) => {
                    services.push(service);
                    requests.push(request);
                }
                Err(why) => left_out.push(why),
            }
        }
        let [only, ..] = &requests[..] else {
            return Err(match left_out.pop().filter(|_| !is_bulk) {
                Some(why) => why,
                None => nobody(&purpose, operation),
            });
        };
        let width = if is_bulk { WIDTHS.1 } else { WIDTHS.0 };
        let mut lines = self.lines_of_purpose(&purpose);
        if is_bulk {
            lines.extend(self.lines_of_many(operation, &services, &left_out));
        } else {
            let touched = self.touched(services[0], only).into_iter();
            let touched = touched.map(|line| Line::new().with(Role::Text, &format!("  {line}")));
            lines.push(Line::new().with(Role::Strong, &only.service));
            lines.extend(touched);
        }
        let standing = Standing::of(&self.picture, &services, operation != Operation::Start);
        let (title, meant) = words(&purpose, operation, requests.len());
        Ok(Question {
            title,
            meant: Some(meant),
            purpose,
            operation,
            ids,
            is_bulk,
            requests,
            standing,
            lines,
            width,
            scrolled: 0,
        })
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
            Operation::Start | Operation::Profile => touched::lines(&self.picture, services, &look),
            Operation::Stop | Operation::Restart => {
                touched::lines_of_end(&self.picture, services, &look)
            }
        };
        let left_out = left_out.iter().map(|why| format!("  left out: {why}"));
        lines.extend(left_out.map(|why| Line::new().with(Role::Warn, &why)));
        lines
    }

    /// The request, or why nobody can be asked.
    fn request(
        &self,
        purpose: &Purpose,
        operation: Operation,
        service: &ServiceView,
    ) -> Result<Request, String> {
        let id = &service.id;
        if service.is_launcher {
            return Err(format!("{id} is a launcher: its host's service manager runs it"));
        }
        match launcher(&self.picture, service) {
            Some(launcher) => Ok(Request {
                operation,
                service: Arc::clone(id),
                launcher: launcher.into(),
                parameters: parameters(purpose),
            }),
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
            (Operation::Start | Operation::Stop | Operation::Restart | Operation::Profile, ..) => {}
        }
        if request.operation != Operation::Start {
            if service.own_status == Some(Status::Busy) {
                let doing = service.message.clone().unwrap_or_default();
                lines.push(format!("it is busy: {doing}").trim_end_matches([':', ' ']).to_owned());
            }
            let graph = Graph::of(&self.picture);
            lines.extend(consequences(&self.picture, &graph, service, &[service]));
            if request.parameters.comment.is_some() {
                let text = "it stays stopped, also when its launcher starts again, until somebody";
                lines.push(format!("{text} starts it"));
            } else if request.operation == Operation::Stop && service.restart_policy.is_some() {
                lines.push("it stays stopped until somebody starts it".to_owned());
            }
        }
        lines
    }

    /// Does what was asked about, if nothing has changed since that matters; otherwise asks anew.
    pub(super) fn agreed(&mut self, question: Question) -> Vec<Action> {
        self.stale = Stale::Now;
        self.settle_here();
        let Question { purpose, operation, ids, is_bulk, standing, .. } = question;
        let purpose = match purpose {
            Purpose::Profile(to) => return self.check_profile(*to),
            purpose => purpose,
        };
        let mut now = match self.question(purpose, operation, ids, is_bulk) {
            Ok(now) => now,
            Err(why) => {
                self.tell(format!("{why}; nothing was done"), true);
                return Vec::new();
            }
        };
        let changes = touched::changes(&standing, &now.standing);
        if !changes.is_empty() {
            let told = changes.iter().map(|change| format!("changed: {change}"));
            let told: Vec<_> = told.map(|text| Line::new().with(Role::Warn, &text)).collect();
            now.lines.splice(0..0, told);
            self.overlay = Some(Overlay::Confirm(now));
            return Vec::new();
        }
        match now.purpose {
            Purpose::Maintenance(work) => self.begin_maintenance(&work, now.requests),
            Purpose::EndOfMaintenance(of) => self.end_maintenance(&of, now.requests),
            Purpose::Request | Purpose::Work(_) | Purpose::Profile(_) if is_bulk => {
                let title = operation.as_str().to_owned();
                self.begin_batch(Batch::new(title, vec![now.requests]))
            }
            Purpose::Request | Purpose::Work(_) | Purpose::Profile(_) => {
                now.requests.into_iter().flat_map(|request| self.send(request)).collect()
            }
        }
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

/// The question, and what `y` does.
fn words(purpose: &Purpose, operation: Operation, count: usize) -> (String, String) {
    let word = operation.as_str();
    let (whom, all) = match count {
        1 => (String::new(), "it".to_owned()),
        n => (format!(" {n} services"), format!("all {n}")),
    };
    match purpose {
        Purpose::Maintenance(of) => {
            let services = text::count(count, "service");
            let title = format!("maintenance of {}: stop {services}?", text::shown(&of.host));
            (title, "begin it".to_owned())
        }
        Purpose::EndOfMaintenance(of) => {
            let services = text::count(count, "service");
            (
                format!("end the maintenance of {}: start {services}?", text::shown(of)),
                "end it".to_owned(),
            )
        }
        Purpose::Work(_) => (format!("{word}{whom} for planned work?"), format!("{word} {all}")),
        Purpose::Request | Purpose::Profile(_) => {
            (format!("{word}{whom}?"), format!("{word} {all}"))
        }
    }
}
