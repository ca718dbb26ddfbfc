//! Planned work: a stop with a reason, and the maintenance of a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tcs_alarms::{MAX_SHELF, Record, ShelfMatch, ShelfRecord, Span};
use tcs_core::fleet::{ServiceView, short_host};
use tcs_core::wire::Status;
use tcs_core::wire::control::MAX_COMMENT;
use tcs_present::{Line as Shown, Role, text};

use super::State;
use super::act::BUSY;
use super::batch::Batch;
use super::overlay::{Line, Overlay, Purpose};
use crate::dashboard::event::{Action, AlarmAct, AlarmRequest, Operation, Parameters, Request};
use crate::maintenance::{filter_of, host_of, is_to_run, prefix, waves};

/// What is typed before something is done for planned work.
#[derive(Debug, Clone)]
pub struct WorkDialog {
    /// What is to be done.
    pub(super) what: Work,
    /// What is typed.
    pub line: Line,
    /// Why it cannot be done as typed.
    pub error: Option<String>,
}

/// Something that is done for planned work.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// These services are stopped.
    Stop { ids: Vec<Arc<str>>, is_bulk: bool },
    /// What runs on this host is stopped.
    Maintenance { host: Arc<str> },
}

/// The maintenance of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// Its name, in full.
    pub host: Arc<str>,
    /// The filter that lets through what is on it, as `tcsctl maintenance` takes it.
    filter: Arc<str>,
    /// For how long its alarms are shelved.
    span: TimeDelta,
    /// What its services are stopped with, and its alarms shelved.
    comment: Arc<str>,
}

impl WorkDialog {
    fn new(what: Work) -> Self {
        Self { what, line: Line::default(), error: None }
    }

    /// What is to be done, in one line.
    pub fn title(&self) -> String {
        match &self.what {
            Work::Stop { ids, .. } => match &ids[..] {
                [only] => format!("stop {} for planned work", text::shown(only)),
                many => format!("stop {} services for planned work", many.len()),
            },
            Work::Maintenance { host } => format!("maintenance of {}", text::shown(host)),
        }
    }

    /// What to type.
    pub const fn hint(&self) -> &'static str {
        match self.what {
            Work::Stop { .. } => "why: mirror washing",
            Work::Maintenance { .. } => "how long and why: 30m new disk",
        }
    }
}

/// What requests for this say.
pub(super) fn parameters(purpose: &Purpose) -> Parameters {
    match purpose {
        Purpose::Work(comment) => {
            Parameters { comment: Some(Arc::clone(comment)), ..Parameters::default() }
        }
        Purpose::Maintenance(work) => Parameters {
            comment: Some(Arc::clone(&work.comment)),
            when_idle: true,
            ..Parameters::default()
        },
        Purpose::Request | Purpose::EndOfMaintenance(_) | Purpose::Profile(_) => {
            Parameters::default()
        }
    }
}

/// Why there is nobody to ask.
pub(super) fn nobody(purpose: &Purpose, operation: Operation) -> String {
    match purpose {
        Purpose::Maintenance(work) => {
            format!("nothing runs on {} that a launcher can stop", work.host)
        }
        Purpose::EndOfMaintenance(of) => {
            format!("no service is stopped for a maintenance of {of}")
        }
        Purpose::Request | Purpose::Work(_) | Purpose::Profile(_) => {
            format!("none of the marked can be asked to {}", operation.as_str())
        }
    }
}

/// A length of time and a reason: `30m new disk`.
fn span_and_reason(typed: &str) -> Result<(TimeDelta, &str), String> {
    let (span, reason) = typed.split_once(' ').unwrap_or((typed, ""));
    let length: Span =
        span.parse().map_err(|_| format!("`{span}` is not a duration: write 30m or 2h"))?;
    if length.delta() > MAX_SHELF || length.delta().is_zero() {
        return Err("the duration must be more than 0 and at most 7 days".to_owned());
    }
    if reason.trim().is_empty() {
        return Err("type the reason after the duration: 30m new disk".to_owned());
    }
    Ok((length.delta(), reason.trim()))
}

fn fits(comment: String) -> Result<Arc<str>, String> {
    if comment.chars().count() > MAX_COMMENT {
        return Err(format!("that is longer than {MAX_COMMENT} characters"));
    }
    Ok(comment.into())
}

impl State {
    /// Asks for which planned work the marked services, else the chosen one, are to stop.
    pub(super) fn ask_for_work(&mut self) {
        match self.targets() {
            Ok((ids, is_bulk)) => self.ask_for_work_on(ids, is_bulk),
            Err(why) => self.tell(why, true),
        }
    }

    /// Opens the planned-work dialog for stopping these services.
    pub(super) fn ask_for_work_on(&mut self, ids: Vec<Arc<str>>, is_bulk: bool) {
        self.overlay = Some(Overlay::Work(WorkDialog::new(Work::Stop { ids, is_bulk })));
    }

    /// Asks for which work on a host what runs there is to stop; without a name on that of the chosen
    /// service.
    pub(super) fn ask_for_maintenance(&mut self, host: Option<&str>) {
        let host = host.map(Arc::from).or_else(|| self.chosen()?.host.clone());
        let host: Arc<str> = match host {
            Some(_) if self.is_batch_running() => return self.tell(BUSY, true),
            Some(host) => host,
            None => return self.tell("the host of this service is not known", true),
        };
        if self.on_host(&host).next().is_none() {
            return self.tell(format!("nothing runs on {host} that a launcher can stop"), true);
        }
        self.overlay = Some(Overlay::Work(WorkDialog::new(Work::Maintenance { host })));
    }

    /// Asks whether what was stopped for a maintenance is to start again.
    pub(super) fn ask_for_end_of_maintenance(&mut self, of: &str) {
        if self.is_batch_running() {
            return self.tell(BUSY, true);
        }
        let purpose = Purpose::EndOfMaintenance(of.into());
        self.ask_about(purpose, Operation::Start, Vec::new(), true);
    }

    /// Enter in the dialog.
    pub(super) fn work_typed(&mut self) {
        let Some(Overlay::Work(mut dialog)) = self.overlay.take() else { return };
        let (purpose, ids, is_bulk) = match self.work(&dialog) {
            Ok(work) => work,
            Err(why) => {
                dialog.error = Some(why);
                self.overlay = Some(Overlay::Work(dialog));
                return;
            }
        };
        self.ask_about(purpose, Operation::Stop, ids, is_bulk);
    }

    fn work(&self, dialog: &WorkDialog) -> Result<(Purpose, Vec<Arc<str>>, bool), String> {
        let typed = dialog.line.text().trim();
        if typed.is_empty() {
            return Err(format!("type {}", dialog.hint()));
        }
        match &dialog.what {
            Work::Stop { ids, is_bulk } => {
                Ok((Purpose::Work(fits(typed.to_owned())?), ids.clone(), *is_bulk))
            }
            Work::Maintenance { host } => {
                let (span, reason) = span_and_reason(typed)?;
                let filter = self.filter_of_host(host)?;
                let comment = fits(format!("{}{reason}", prefix(&filter)))?;
                let host = Arc::clone(host);
                let work = Maintenance { host, filter: filter.into(), span, comment };
                Ok((Purpose::Maintenance(work), Vec::new(), true))
            }
        }
    }

    /// A filter for one host, as short as it can be.
    fn filter_of_host(&self, host: &str) -> Result<String, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if host.is_empty() || !host.chars().all(is_plain) {
            return Err("the name of this host cannot stand in a filter".to_owned());
        }
        let short = short_host(host);
        let is_enough = self.others_named(host, short).is_empty();
        Ok(format!("host:{}", if is_enough { short } else { host }))
    }

    /// Other hosts whose names hold this part.
    fn others_named(&self, host: &str, part: &str) -> Vec<&str> {
        let part = part.to_lowercase();
        let hosts = self.picture.services.iter().filter_map(|it| it.host.as_deref());
        let mut others: Vec<&str> =
            hosts.filter(|it| *it != host && it.to_lowercase().contains(&part)).collect();
        others.sort_unstable();
        others.dedup();
        others
    }

    /// What maintenance of a host stops.
    fn on_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a ServiceView> {
        let services = self.picture.services.iter();
        let is_there =
            |it: &ServiceView| host_of(&self.picture, it).is_some_and(|it| **it == *host);
        services.filter(move |it| is_to_run(it) && is_there(it))
    }

    /// What was stopped for the maintenance of what a filter lets through.
    fn stopped_for<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = &'a ServiceView> {
        self.picture.services.iter().filter(move |it| filter_of(it) == Some(filter))
    }

    /// The services that are meant now, where the purpose says which.
    pub(super) fn meant_now(&self, purpose: &Purpose) -> Option<Vec<Arc<str>>> {
        let ids = |services: &mut dyn Iterator<Item = &ServiceView>| {
            services.map(|it| Arc::clone(&it.id)).collect()
        };
        match purpose {
            Purpose::Maintenance(work) => Some(ids(&mut self.on_host(&work.host))),
            Purpose::EndOfMaintenance(of) => Some(ids(&mut self.stopped_for(of))),
            Purpose::Request | Purpose::Work(_) | Purpose::Profile(_) => None,
        }
    }

    /// What is told above the services.
    pub(super) fn lines_of_purpose(&self, purpose: &Purpose) -> Vec<Shown> {
        let plain = |text: &str| Shown::new().with(Role::Text, text);
        let warn = |text: &str| Shown::new().with(Role::Warn, text);
        match purpose {
            Purpose::Work(comment) => vec![plain(&format!("for planned work: {comment}"))],
            Purpose::Maintenance(work) => {
                let mut lines = vec![plain(&format!("comment: {}", work.comment))];
                let until = self.options.times.point(self.now + work.span, self.now);
                lines.push(if self.keeps_alarms() {
                    plain(&format!("alarms are shelved until {until}"))
                } else {
                    warn("no alarms are shelved: there is no stream of alarms")
                });
                let part = work.filter.trim_start_matches("host:");
                let others = self.others_named(&work.host, part).join(", ");
                if !others.is_empty() && self.keeps_alarms() {
                    let text =
                        format!("alarms of {others} are shelved too: the name is part of theirs");
                    lines.push(warn(&text));
                }
                let is_busy = |it: &&ServiceView| it.own_status == Some(Status::Busy);
                let busy = self.on_host(&work.host).filter(is_busy).count();
                if busy > 0 {
                    lines.push(plain(&format!("{busy} busy: stopped when idle")));
                }
                lines.push(plain("they start again with `:end-maintenance`, not by themselves"));
                lines
            }
            Purpose::EndOfMaintenance(_) | Purpose::Request | Purpose::Profile(_) => Vec::new(),
        }
    }

    const fn keeps_alarms(&self) -> bool {
        self.alarms.is_read && self.alarms.trouble.is_none()
    }

    /// Shelves the alarms of a host, and stops what runs there, in the reverse of its order.
    pub(super) fn begin_maintenance(
        &mut self,
        work: &Maintenance,
        requests: Vec<Request>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.keeps_alarms() {
            let record = ShelfRecord {
                covers: ShelfMatch { rule: None, filter: Some(work.filter.to_string()) },
                until: (self.now + work.span).into(),
                reason: work.comment.to_string(),
                by: self.options.operator.clone(),
                ended: false,
                restored: false,
            };
            self.pending += 1;
            actions.push(shelf(record, None));
        }
        let mut waves = self.in_waves(requests);
        waves.reverse();
        let title = format!("maintenance of {}, stop", work.host);
        actions.extend(self.begin_batch(Batch::new(title, waves)));
        actions
    }

    /// Starts what was stopped for a maintenance, in order, and ends the shelves of it.
    pub(super) fn end_maintenance(&mut self, of: &str, requests: Vec<Request>) -> Vec<Action> {
        let work = prefix(of);
        let shelves = self.alarms.folded().shelves();
        let ours = shelves.filter(|(_, shelf)| {
            shelf.end() > self.now && shelf.held.record.reason.starts_with(&work)
        });
        let ends = ours.map(|(id, it)| {
            let record = ShelfRecord {
                ended: true,
                by: self.options.operator.clone(),
                restored: false,
                ..(*it.held.record).clone()
            };
            shelf(record, Some((id.to_owned(), it.held.place.seq)))
        });
        let ends = ends.collect();
        let waves = self.in_waves(requests);
        let title = format!("end of the maintenance of {of}, start");
        self.begin_batch(Batch::new(title, waves).then(ends))
    }

    /// In the order in which their services start.
    pub(super) fn in_waves(&self, requests: Vec<Request>) -> Vec<Vec<Request>> {
        let ids: Vec<String> = requests.iter().map(|it| it.service.to_string()).collect();
        let mut by_id: BTreeMap<String, Request> =
            requests.into_iter().map(|it| (it.service.to_string(), it)).collect();
        let wave = |ids: Vec<String>| ids.iter().filter_map(|id| by_id.remove(id)).collect();
        waves(&self.picture, &ids).into_iter().map(wave).collect()
    }

    /// Hosts on which something runs, with how much.
    pub(super) fn hosts_to_maintain(&self) -> Vec<(Arc<str>, String)> {
        let mut hosts: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for service in self.picture.services.iter().filter(|it| is_to_run(it)) {
            if let Some(host) = host_of(&self.picture, service) {
                *hosts.entry(Arc::clone(host)).or_default() += 1;
            }
        }
        let told = |(host, n)| (host, format!("{} there", text::count(n, "service")));
        hosts.into_iter().map(told).collect()
    }

    /// What services are stopped for, with how many.
    pub(super) fn maintenances(&self) -> Vec<(Arc<str>, String)> {
        let mut all: BTreeMap<&str, usize> = BTreeMap::new();
        for filter in self.picture.services.iter().filter_map(filter_of) {
            *all.entry(filter).or_default() += 1;
        }
        let told =
            |(filter, n)| (Arc::from(filter), format!("{} stopped", text::count(n, "service")));
        all.into_iter().map(told).collect()
    }
}

/// Stores a shelf: a new one, or the change of one.
fn shelf(record: ShelfRecord, changes: Option<(String, u64)>) -> Action {
    Action::Alarm(AlarmRequest {
        act: AlarmAct::Shelve,
        records: vec![Record::Shelf(record)],
        about: Vec::new(),
        shelf: changes,
    })
}
