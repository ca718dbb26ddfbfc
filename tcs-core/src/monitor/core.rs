//! The pure part of a monitor: a tree of statuses, what each change means for the whole, and what
//! is to be reported. No clock, no I/O, no callbacks: those are the reporter's.
//!
//! The root is the monitored object; the nodes below it are its submonitors. A message is due
//! when the root's own status changes, a little later when only its words do, not when a node's do
//! (`docs/spec/wire.md#status`); and once the root itself has spoken, when trouble of a node makes
//! the whole worse, or ends: that is always reported (`docs/spec/wire.md#status`).

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

mod draft;

pub(crate) use draft::Draft;

use super::health::Opinion;
use super::pace::Pace;
use crate::wire::text::cut;
use crate::wire::{Status, StatusMessage};

/// How long after its last task a monitor becomes idle.
pub(crate) const IDLE_AFTER: Duration = Duration::from_secs(1);
/// A new message with the same status is sent after this delay, together with later changes.
const WORDS_AFTER: Duration = Duration::from_secs(1);
/// Minimum time between two reports that change the message alone.
const WORDS_EVERY: Duration = Duration::from_secs(30);

/// One moment by three clocks: wall clock for display, monotonic clock for measuring, and the time
/// since this run began, by which readers order messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall: DateTime<Utc>,
    pub(crate) mono: Instant,
    /// Seconds on `CLOCK_BOOTTIME` since this run of the program began.
    pub(crate) run_s: f64,
}

/// A node of the tree; [`NodeId::ROOT`] is the monitored object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

impl NodeId {
    pub(crate) const ROOT: Self = Self(0);
}

/// A status and its words.
#[derive(Debug, Clone, Default, PartialEq)]
struct StatusText {
    status: Status,
    message: Option<String>,
}

#[derive(Debug, Default)]
struct Node {
    name: String,
    said: StatusText,
    /// Own status and that of all nodes below.
    aggregate: Status,
    /// What was said before a health check replaced it.
    before_check: Option<StatusText>,
    children: Vec<NodeId>,
    parent: Option<NodeId>,
    tasks: u32,
    /// Whether tasks were ever tracked: then "well" is idle or busy, not ok.
    tracking: bool,
    idle_at: Option<Instant>,
    metrics: Map<String, Value>,
    removed: bool,
}

/// What a change asks of the reporter.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Nothing to report.
    None,
    /// Send this.
    Send(Box<Draft>),
    /// [`Core::due`] has changed.
    Rearm,
}

#[derive(Debug)]
pub(crate) struct Core {
    nodes: Vec<Node>,
    pace: Pace,
    template: StatusMessage,
    /// When what the root reports of itself began: its own status, or that it is blocked.
    own_since: Option<Instant>,
    /// Why the program's own code does not run, although its heartbeats go on.
    blocked: Option<String>,
    /// When the root's new words are to be sent, where they are new.
    words_due: Option<Instant>,
    /// When words alone were sent last.
    words_sent: Option<Instant>,
}

impl Core {
    /// `template` holds what is the same in each message: name, parent, pid, host.
    pub(crate) fn new(template: StatusMessage) -> Self {
        let root = Node { name: template.name.clone(), ..Node::default() };
        Self {
            nodes: vec![root],
            pace: Pace::default(),
            template,
            own_since: None,
            blocked: None,
            words_due: None,
            words_sent: None,
        }
    }

    /// The child of that name; made if there is none.
    pub(crate) fn child(&mut self, parent: NodeId, name: &str) -> NodeId {
        let found = self.nodes[parent.0].children.iter().find(|id| self.nodes[id.0].name == name);
        if let Some(id) = found {
            return *id;
        }
        let node = Node { name: name.to_owned(), parent: Some(parent), ..Node::default() };
        let slot = self.nodes.iter().position(|node| node.removed);
        let id = NodeId(slot.unwrap_or(self.nodes.len()));
        match slot {
            Some(slot) => self.nodes[slot] = node,
            None => self.nodes.push(node),
        }
        self.nodes[parent.0].children.push(id);
        id
    }

    /// A node and all below it.
    pub(crate) fn below(&self, node: NodeId) -> Vec<NodeId> {
        let mut all = vec![node];
        let mut at = 0;
        while let Some(id) = all.get(at) {
            all.extend(self.nodes[id.0].children.clone());
            at += 1;
        }
        all
    }

    /// Takes a submonitor and all below it out of the tree.
    pub(crate) fn remove(&mut self, node: NodeId, now: Moment) -> Effect {
        let Some(parent) = self.nodes[node.0].parent else { return Effect::None };
        let before = self.heard();
        self.nodes[parent.0].children.retain(|child| *child != node);
        for id in self.below(node) {
            self.nodes[id.0] = Node { removed: true, ..Node::default() };
        }
        self.aggregate_up(parent);
        self.after(before, now)
    }

    pub(crate) fn status(&self, node: NodeId) -> Status {
        self.nodes[node.0].said.status
    }

    pub(crate) fn message(&self, node: NodeId) -> Option<&str> {
        self.nodes[node.0].said.message.as_deref()
    }

    pub(crate) fn aggregate(&self) -> Status {
        self.nodes[0].aggregate
    }

    /// Submonitors at all levels.
    pub(crate) fn children_count(&self) -> usize {
        self.nodes.iter().filter(|node| !node.removed).count() - 1
    }

    /// Sets a status by hand. It stands until the next one, or until a health check disagrees.
    pub(crate) fn set_status(
        &mut self,
        node: NodeId,
        status: Status,
        message: Option<String>,
        now: Moment,
    ) -> Effect {
        self.nodes[node.0].before_check = None;
        self.say(node, StatusText { status, message }, now)
    }

    /// Sets a status, and reports it even if only the message is new: for the life cycle.
    pub(crate) fn announce(&mut self, status: Status, message: &str, now: Moment) -> Effect {
        let said = StatusText { status, message: Some(message.to_owned()) };
        let only_words = self.nodes[0].said.status == status && self.nodes[0].said != said;
        self.nodes[0].before_check = None;
        let effect = self.say(NodeId::ROOT, said, now);
        if only_words { self.changed(now) } else { effect }
    }

    /// `error`, `failed` and `degraded` end; `ok` follows, or `idle`/`busy` where tasks are tracked.
    pub(crate) fn cancel_error(&mut self, node: NodeId, now: Moment) -> Effect {
        match self.status(node) {
            Status::Error | Status::Failed | Status::Degraded => {
                let success = self.success_status(node);
                self.set_status(node, success, Some("Error resolved".to_owned()), now)
            }
            Status::Unknown
            | Status::Ok
            | Status::Idle
            | Status::Busy
            | Status::Shutdown
            | Status::Startup
            | Status::Warning => Effect::None,
        }
    }

    pub(crate) fn task_started(&mut self, node: NodeId, now: Moment) -> Effect {
        let this = &mut self.nodes[node.0];
        this.tasks += 1;
        this.tracking = true;
        this.idle_at = None;
        self.show_tasks(node, now)
    }

    pub(crate) fn task_finished(&mut self, node: NodeId, now: Moment) -> Effect {
        let this = &mut self.nodes[node.0];
        this.tasks = this.tasks.saturating_sub(1);
        if this.tasks > 0 {
            return self.show_tasks(node, now);
        }
        this.idle_at = Some(now.mono + IDLE_AFTER);
        Effect::Rearm
    }

    /// Busy, unless the status is graver: a task must not hide a warning.
    fn show_tasks(&mut self, node: NodeId, now: Moment) -> Effect {
        let message = format!("Processing tasks ({} active)", self.nodes[node.0].tasks);
        match self.status(node) {
            Status::Busy => {
                // the number alone is no news
                self.nodes[node.0].said.message = Some(message);
                Effect::None
            }
            Status::Unknown | Status::Ok | Status::Idle => {
                self.set_status(node, Status::Busy, Some(message), now)
            }
            Status::Shutdown
            | Status::Startup
            | Status::Degraded
            | Status::Warning
            | Status::Error
            | Status::Failed => Effect::None,
        }
    }

    /// Takes in what the health checks of a node say, all together. `None`: no opinion, so what
    /// was said before the checks spoke stands again.
    pub(crate) fn health(
        &mut self,
        node: NodeId,
        opinion: Option<&Opinion>,
        now: Moment,
    ) -> Effect {
        let current = self.status(node);
        if matches!(current, Status::Startup | Status::Shutdown) {
            return Effect::None; // starting and ending are reported by the life cycle
        }
        let this = &mut self.nodes[node.0];
        match opinion {
            None => match this.before_check.take() {
                Some(before) => self.say(node, before, now),
                None => Effect::None,
            },
            // ends a status that is wrong; changes nothing if all is well
            Some(Opinion { status: Status::Ok | Status::Idle | Status::Busy, message }) => {
                if matches!(current, Status::Ok | Status::Idle | Status::Busy) {
                    return Effect::None;
                }
                let message = message.clone().or_else(|| Some("Recovered".to_owned()));
                let success = self.success_status(node);
                self.set_status(node, success, message, now)
            }
            Some(Opinion { status, message }) => {
                if this.before_check.is_none() {
                    if current == *status {
                        return Effect::None; // set by hand already, with a better message
                    }
                    this.before_check = Some(this.said.clone());
                }
                let message =
                    message.clone().unwrap_or_else(|| "Updated from healthcheck".to_owned());
                self.say(node, StatusText { status: *status, message: Some(message) }, now)
            }
        }
    }

    fn success_status(&self, node: NodeId) -> Status {
        let node = &self.nodes[node.0];
        match (node.tracking, node.tasks) {
            (false, _) => Status::Ok,
            (true, 0) => Status::Idle,
            (true, _) => Status::Busy,
        }
    }

    fn say(&mut self, node: NodeId, mut said: StatusText, now: Moment) -> Effect {
        if let Some(message) = &mut said.message {
            cut(message);
        }
        let before = self.heard();
        let old = &self.nodes[node.0].said;
        if node == NodeId::ROOT && old.status != said.status {
            self.own_since = Some(now.mono);
        }
        let new_words = node == NodeId::ROOT
            && old.message != said.message
            && said.message.is_some()
            && said.status != Status::Unknown;
        self.nodes[node.0].said = said;
        self.aggregate_up(node);
        match self.after(before, now) {
            Effect::None if new_words && self.words_due.is_none() => {
                let soon = now.mono + WORDS_AFTER;
                let again = self.words_sent.map_or(soon, |sent| sent + WORDS_EVERY);
                self.words_due = Some(soon.max(again));
                Effect::Rearm
            }
            effect => effect,
        }
    }

    /// What a listener is told of at once: the root's own status, and what is wrong with the
    /// whole; nothing before the root itself has spoken.
    fn heard(&self) -> (Status, Option<Status>) {
        let Node { said, aggregate, .. } = &self.nodes[0];
        let told = said.status != Status::Unknown && *aggregate >= Status::Degraded;
        (said.status, told.then_some(*aggregate))
    }

    fn aggregate_up(&mut self, from: NodeId) {
        let mut at = Some(from);
        while let Some(id) = at {
            let node = &self.nodes[id.0];
            let below = node.children.iter().map(|child| self.nodes[child.0].aggregate);
            let aggregate = Status::aggregate(below.chain([node.said.status]));
            if aggregate == node.aggregate && id != from {
                return;
            }
            at = node.parent;
            self.nodes[id.0].aggregate = aggregate;
        }
    }

    fn after(&mut self, before: (Status, Option<Status>), now: Moment) -> Effect {
        if before == self.heard() { Effect::None } else { self.changed(now) }
    }

    fn changed(&mut self, now: Moment) -> Effect {
        let armed = self.pace.due().is_some();
        match self.pace.change(now.mono) {
            Some(changes) => {
                self.words_due = None; // sent with this report
                Effect::Send(Box::new(self.draft(changes, now)))
            }
            None if armed => Effect::None,
            None => Effect::Rearm,
        }
    }

    /// The program's own code no longer runs, or does again: tells it of an object that is up, as
    /// its own status, which cannot change meanwhile, would be believed for ever.
    pub(crate) fn set_blocked(&mut self, why: Option<String>, now: Moment) -> Effect {
        let before = self.is_blocked();
        if why.is_none() || self.blocked.is_none() {
            self.blocked = why;
        }
        if before == self.is_blocked() {
            return Effect::None;
        }
        self.own_since = Some(now.mono);
        self.changed(now)
    }

    /// Whether a report says blocked: not while starting or ending, nor instead of a worse status.
    fn is_blocked(&self) -> bool {
        let Node { said, aggregate, .. } = &self.nodes[0];
        let is_up = !matches!(said.status, Status::Unknown | Status::Startup | Status::Shutdown);
        self.blocked.is_some() && is_up && *aggregate <= Status::Warning
    }

    /// When [`Core::tick`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        let idle = self.nodes.iter().filter_map(|node| node.idle_at);
        idle.chain(self.pace.due()).chain(self.words_due).min()
    }

    /// Does what has fallen due: idle after the last task, and changes that had to wait.
    pub(crate) fn tick(&mut self, now: Moment) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for id in (0..self.nodes.len()).map(NodeId) {
            let node = &mut self.nodes[id.0];
            if node.idle_at.is_some_and(|at| at <= now.mono) {
                node.idle_at = None;
                if node.said.status == Status::Busy {
                    let message = Some("No active tasks".to_owned());
                    if let Effect::Send(draft) = self.set_status(id, Status::Idle, message, now) {
                        drafts.push(*draft);
                    }
                }
            }
        }
        let words = self.words_due.is_some_and(|due| due <= now.mono);
        if let Some(changes) = self.pace.take(now.mono) {
            self.words_due = None;
            drafts.push(self.draft(changes, now));
        } else if words {
            self.words_due = None;
            self.words_sent = Some(now.mono);
            drafts.push(self.draft(1, now));
        }
        drafts
    }

    /// The final report: what still waits to be sent.
    pub(crate) fn flush(&mut self, now: Moment) -> Option<Draft> {
        let words = self.words_due.take().map(|_| 1);
        self.pace.flush().or(words).map(|changes| self.draft(changes, now))
    }

    /// Reports the state again, without a change: after a reconnect and every few hours.
    pub(crate) fn repeat(&self, now: Moment) -> Draft {
        self.draft(1, now)
    }

    pub(crate) fn set_metrics(&mut self, node: NodeId, metrics: Map<String, Value>) {
        self.nodes[node.0].metrics = metrics;
    }

    pub(crate) fn metrics(&self, node: NodeId) -> &Map<String, Value> {
        &self.nodes[node.0].metrics
    }
}

#[cfg(test)]
mod tests;
