//! What a monitor's handles and its task share: the core behind a lock that is never held for
//! long, and the reports that wait to be sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};

use super::callbacks::{Check, HealthOpinion, Metrics};
use super::core::{Core, Draft, Effect, Moment, NodeId};
use super::health::{Opinion, gravest};
use super::lag::Lag;
use crate::bus::publish::run_seconds;
use crate::clock;
use crate::wire::{Status, StatusMessage};

/// Reports that may wait. Pacing keeps them far below this.
const MAX_DRAFTS: usize = 256;

/// This moment by all clocks.
pub(super) fn moment() -> Moment {
    Moment { wall: clock::wall(), mono: clock::monotonic(), run_s: run_seconds() }
}

/// How often things happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) heartbeat: Duration,
    pub(crate) check: Duration,
    pub(crate) check_limit: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            check: Duration::from_secs(30),
            check_limit: Duration::from_secs(10),
        }
    }
}

/// What was done, for the `stats` request.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) statuses: AtomicU64,
    pub(super) beats: AtomicU64,
    pub(super) beats_missed: AtomicU64,
}

pub(super) struct Shared {
    pub(super) name: String,
    pub(super) times: Times,
    pub(super) started: Moment,
    pub(super) lag: Option<Lag>,
    pub(super) wake: Notify,
    pub(super) closed: AtomicBool,
    /// Whether the final report has been handed over.
    pub(super) ended: watch::Sender<bool>,
    pub(super) counts: Tally,
    inner: Mutex<Inner>,
}

struct Inner {
    core: Core,
    drafts: VecDeque<Draft>,
    checks: Vec<Check>,
    metrics: Vec<Metrics>,
    /// What each health check said last, by name.
    said: BTreeMap<Arc<str>, Status>,
}

impl Shared {
    pub(super) fn new(template: StatusMessage, times: Times, lag: Option<Lag>) -> Self {
        Self {
            name: template.name.clone(),
            times,
            started: moment(),
            lag,
            wake: Notify::new(),
            closed: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            counts: Tally::default(),
            inner: Mutex::new(Inner {
                core: Core::new(template),
                drafts: VecDeque::new(),
                checks: Vec::new(),
                metrics: Vec::new(),
                said: BTreeMap::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the core, now, and lets the task know if there is something to do for it.
    pub(super) fn change(&self, act: impl FnOnce(&mut Core, Moment) -> Effect) {
        let wake = {
            let mut inner = self.lock();
            match act(&mut inner.core, moment()) {
                Effect::None => false,
                Effect::Rearm => true,
                Effect::Send(draft) => {
                    inner.push(*draft);
                    true
                }
            }
        };
        if wake {
            self.wake.notify_one();
        }
    }

    pub(super) fn close(&self) {
        let callbacks = {
            let mut inner = self.lock();
            // dropped outside the lock: callbacks may hold the monitor
            (std::mem::take(&mut inner.checks), std::mem::take(&mut inner.metrics))
        };
        drop(callbacks);
        self.closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Core) -> T) -> T {
        look(&self.lock().core)
    }

    pub(super) fn child(&self, parent: NodeId, name: &str) -> NodeId {
        self.lock().core.child(parent, name)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.lock().core.due()
    }

    pub(super) fn tick(&self) {
        let mut inner = self.lock();
        let drafts = inner.core.tick(moment());
        for draft in drafts {
            inner.push(draft);
        }
    }

    pub(super) fn repeat(&self) {
        let mut inner = self.lock();
        let draft = inner.core.repeat(moment());
        inner.push(draft);
    }

    pub(super) fn flush(&self) {
        let mut inner = self.lock();
        if let Some(draft) = inner.core.flush(moment()) {
            inner.push(draft);
        }
    }

    pub(super) fn take_drafts(&self) -> VecDeque<Draft> {
        std::mem::take(&mut self.lock().drafts)
    }

    pub(super) fn add_check(&self, check: Check) {
        self.lock().checks.push(check);
    }

    pub(super) fn add_metrics(&self, metrics: Metrics) {
        self.lock().metrics.push(metrics);
    }

    /// Forgets the callbacks of the nodes that are gone.
    pub(super) fn forget(&self, gone: &[NodeId]) {
        let mut inner = self.lock();
        inner.checks.retain(|check| !gone.contains(&check.node));
        inner.metrics.retain(|metrics| !gone.contains(&metrics.node));
    }

    /// The health checks to call; none while the service starts or ends.
    pub(super) fn checks(&self) -> Vec<Check> {
        let inner = self.lock();
        match inner.core.status(NodeId::ROOT) {
            Status::Startup | Status::Shutdown => Vec::new(),
            Status::Unknown
            | Status::Ok
            | Status::Idle
            | Status::Busy
            | Status::Degraded
            | Status::Warning
            | Status::Error
            | Status::Failed => inner.checks.clone(),
        }
    }

    pub(super) fn metrics(&self) -> Vec<Metrics> {
        self.lock().metrics.clone()
    }

    pub(super) fn keep_metrics(&self, samples: &[(NodeId, Map<String, Value>)]) {
        let mut inner = self.lock();
        for (node, values) in samples {
            inner.core.set_metrics(*node, values.clone());
        }
    }

    /// Takes in what a round of health checks said: of each node, the gravest.
    pub(super) fn take_in(&self, verdicts: Vec<HealthOpinion>) {
        let mut by_node: BTreeMap<NodeId, Vec<Opinion>> = BTreeMap::new();
        for verdict in verdicts {
            let said = verdict.opinion.as_ref().map_or(Status::Ok, |opinion| opinion.status);
            self.lock().said.insert(verdict.name, said);
            by_node.entry(verdict.node).or_default().extend(verdict.opinion);
        }
        for (node, opinions) in by_node {
            let opinion = gravest(opinions);
            self.change(|core, now| core.health(node, opinion.as_ref(), now));
        }
    }

    pub(super) fn said(&self) -> BTreeMap<Arc<str>, Status> {
        self.lock().said.clone()
    }

    /// Own status, number of submonitors and metrics.
    pub(super) fn for_beat(&self) -> (Status, usize, Map<String, Value>) {
        let core = &self.lock().core;
        (core.status(NodeId::ROOT), core.children_count(), core.metrics(NodeId::ROOT).clone())
    }
}

impl Inner {
    fn push(&mut self, draft: Draft) {
        if self.drafts.len() >= MAX_DRAFTS {
            self.drafts.pop_front();
        }
        self.drafts.push_back(draft);
    }
}
