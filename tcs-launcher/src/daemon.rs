//! The launcher at work: one loop owns the supervisor, and joins it to the runners, the broker,
//! signals and callers. Nothing in it waits for the broker.

mod conflicts;
mod drill;
mod event_record;
mod files;
mod handlers;
mod inbound;
mod instance_lock;
mod kept;
mod launch;
mod lifecycle;
mod link;
mod log_subscriptions;
mod outputs;
mod own_status;
mod plan;
mod profiles;
mod proxy_heartbeat;
mod publisher;
mod readiness;
mod reloads;
mod requests;
mod runtime_dir;
mod schedules;
mod signals;
mod spawn;
mod systemd;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use tcs_core::clock;
use tcs_core::config::{Environment, How, Secrets};
use tcs_core::service::Registry;
use tcs_core::wire::Event as Wire;
use tcs_core::wire::{Status, how_ended};
use tokio::sync::{mpsc, oneshot, watch};

use crate::control::{ControlRequest, ProfileChoice};
use crate::runner::{EventSender, Handle, ProcessRunner, RunnerEvent};
use drill::Drill;
use event_record::EventRecord;
use handlers::Last;
use instance_lock::InstanceLock;
use kept::KeptFile;
pub(crate) use launch::Options;
pub(crate) use launch::broker;
pub(crate) use launch::{could_take_over, main};
use outputs::Outputs;
pub(crate) use plan::absolute;
use plan::{Plan, Site};
pub(crate) use plan::{known_types, not_linked};
use publisher::StatusPublisher;
use runtime_dir::RuntimeDir;
use signals::{SignalAction, Signals};
use systemd::Systemd;
use tcs_supervisor::{
    Agenda, Answer, Conclusion, Delay, Effect, Event, Run, ServiceId, Supervisor, Ticket,
};
use upgrade::Upgrade;

/// Reports and requests that may wait for the loop.
const BACKLOG: usize = 1024;

/// What comes in from this process.
struct Inputs {
    told: mpsc::Receiver<RunnerEvent>,
    lasts: mpsc::Receiver<Last>,
    asked: mpsc::Receiver<ControlRequest>,
}

/// A run that is under way.
struct Spawned {
    run: Run,
    handle: Handle,
    is_task: bool,
    /// By this host's clock: what was sent before is of an earlier run.
    at: DateTime<Utc>,
    /// When the launcher beats for it next; `None`: it speaks for itself.
    beat_at: Option<Duration>,
    /// When it counts as ready although it has published no status; `None`: it has, or other
    /// things say that it is ready.
    assume_at: Option<Duration>,
    /// Whether the service has published something itself.
    speaks: bool,
    /// The last status that it published.
    said: Option<(Status, Option<String>)>,
}

struct Daemon<'a> {
    options: &'a Options,
    lock: InstanceLock,
    /// How often a program has taken over in this process.
    upgrades: u64,
    /// The one that is under way.
    upgrade: Option<Upgrade>,
    /// The fault that is made on purpose just now.
    drill: Option<Drill>,
    environment: Environment,
    registry: Registry,
    /// Absolute.
    config: PathBuf,
    nats: Option<(String, String)>,
    /// Variables that hold credentials for NATS.
    credentials: BTreeSet<String>,
    /// What is not to be shown of what services write.
    secrets: Secrets,
    /// What the file said at start, and only a start can change.
    given: reloads::StartupConfig,
    origin: Instant,
    supervisor: Supervisor,
    /// When it is told next what services wait for that are being started; `None`: for nothing.
    waits_told_at: Option<Duration>,
    /// When scheduled services run.
    agenda: Agenda,
    kept: Arc<KeptFile>,
    plans: BTreeMap<ServiceId, Plan>,
    outputs: Outputs,
    handles: BTreeMap<ServiceId, Spawned>,
    replies: HashMap<Ticket, oneshot::Sender<Answer>>,
    next_ticket: u64,
    runner: Arc<ProcessRunner>,
    /// Threads for tasks.
    services: tokio::runtime::Handle,
    tell: EventSender,
    /// Reports that wait for the service's last word.
    ended: BTreeMap<ServiceId, Vec<RunnerEvent>>,
    last: mpsc::Sender<Last>,
    events: Arc<EventRecord>,
    publisher: StatusPublisher,
    systemd: Systemd,
}

impl Daemon<'_> {
    async fn live(
        &mut self,
        mut done: Option<Conclusion>,
        mut signals: Signals,
        mut inputs: Inputs,
        runtime_dir: &RuntimeDir,
    ) -> bool {
        let (links, mut linked) = mpsc::channel(1);
        let (heard, mut inbound) = mpsc::channel(BACKLOG);
        let (found, mut shared) = watch::channel(conflicts::Shared::new());
        if let Some(bus) = self.publisher.reporter.bus().cloned() {
            let outbox = self.publisher.reporter.outbox().cloned().unwrap_or_default();
            let publisher = &self.publisher;
            let own =
                (publisher.name.clone(), publisher.launcher_run.clone(), publisher.ours.clone());
            let (name, events) = (publisher.name.clone(), Arc::clone(&self.events));
            let before = link::Before { outbox, name, events };
            tokio::spawn(link::keep(bus.clone(), before, links));
            tokio::spawn(inbound::listen(bus, own, heard, found));
        }
        self.publisher.own_status.begin();
        let mut stopping = false;
        while done.is_none() {
            // out of this loop and nowhere else: one that stands still is not fed
            self.systemd.look(&self.supervisor, self.now());
            done = tokio::select! {
                biased;
                wish = signals.next() => match wish {
                    SignalAction::Stop(signal) => {
                        self.stop(signal, std::mem::replace(&mut stopping, true))
                    }
                    SignalAction::Reload => {
                        if self.read_again(ProfileChoice::Keep, None).is_ok() {
                            self.upgrade_if_replaced();
                        }
                        None
                    }
                },
                // before an exit is judged: what it said counts
                Some(it) = inbound.recv() => self.heard(it),
                Some(last) = inputs.lasts.recv() => self.last_word(last),
                Some(it) = inputs.told.recv() => self.told(it),
                Some(ask) = inputs.asked.recv() => self.asked(ask),
                Some(lost) = linked.recv() => {
                    self.linked(lost);
                    None
                }
                Ok(()) = shared.changed() => {
                    self.shared(shared.borrow_and_update().clone());
                    None
                }
                () = until(self.origin, self.next_beat()) => {
                    self.beat();
                    None
                }
                () = until(self.origin, self.next_assumption()) => self.assume_ready(),
                () = until(self.origin, self.supervisor.deadline()) => self.handle(Event::Tick),
                () = until(self.origin, self.waits_told_at) => {
                    self.tell_waits();
                    None
                }
                () = until(self.origin, self.next_look()) => self.look_at_schedules(),
                () = until(self.origin, self.systemd.due()) => None,
                () = until(self.origin, self.drill_ends()) => self.end_drill(),
                () = upgrade::due(self.upgrade.as_mut()) => {
                    self.go_on_with_upgrade(&mut inputs, &mut signals, runtime_dir).await
                }
            };
        }
        done == Some(Conclusion::Success)
    }

    /// A signal to stop, the first one or one that comes `again`.
    fn stop(&mut self, signal: Signal, again: bool) -> Option<Conclusion> {
        if again {
            tracing::warn!("{signal} again: killing what has not stopped yet");
        } else {
            tracing::info!("{signal}: stopping all services; a second signal kills them");
            self.end_schedules();
            self.end_drill();
            self.end_upgrade();
            self.publisher.own_status.end();
            self.publisher.own(Wire::Stopping { reason: Some("requested".to_owned()) });
            self.systemd.stopping();
        }
        self.handle(Event::Shutdown)
    }

    fn now(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.origin)
    }

    /// `Some` once all has ended.
    fn handle(&mut self, event: Event) -> Option<Conclusion> {
        let now = self.now();
        let mut done = None;
        let mut touched = BTreeSet::new();
        if let Event::Request { id, .. } | Event::Report { id, .. } = &event {
            touched.insert(id.clone());
        }
        for effect in self.supervisor.handle(event, now) {
            if let Effect::Publish { id, .. } | Effect::Forget { id } = &effect {
                touched.insert(id.clone());
            }
            done = self.act(effect).or(done);
        }
        for id in touched {
            let trouble = self.trouble(&id);
            self.publisher.own_status.set(&id, trouble);
        }
        self.note_waits();
        done
    }

    fn act(&mut self, effect: Effect) -> Option<Conclusion> {
        match effect {
            Effect::Spawn { id, run } => self.spawn(id, run),
            Effect::Stop { id, run } => {
                if let Some(spawned) = self.handles.get(&id).filter(|it| it.run == run) {
                    spawned.handle.stop();
                }
            }
            Effect::Kill { id, run } => {
                if let Some(spawned) = self.handles.get(&id).filter(|it| it.run == run) {
                    spawned.handle.kill();
                }
            }
            Effect::Publish { id, event, restart, requested_by } => {
                self.publish(&id, event, restart, requested_by.as_deref());
            }
            Effect::Reply { ticket, answer } => {
                if let Some(back) = self.replies.remove(&ticket) {
                    let _ = back.send(answer); // a caller may have gone
                }
            }
            Effect::Forget { id } => {
                self.plans.remove(&id);
                self.forget_work(&id);
                self.outputs.forget(&id);
                self.runner.resources().forget(&id);
                self.publisher.forget(&id);
            }
            Effect::Done(conclusion) => return Some(conclusion),
        }
        None
    }

    /// Notes for the readers of a service's output how its run ended.
    fn note_end(&self, id: &ServiceId, event: &Wire) {
        let (code, uptime, crashed) = match event {
            Wire::Crashed(crash) => (crash.exit_code, crash.uptime_seconds, true),
            Wire::Stop(stop) => (stop.exit_code, stop.uptime_seconds, false),
            _ => return,
        };
        if let Some(output) = self.outputs.of(id) {
            output.ended(clock::wall(), code, uptime, crashed);
        }
    }

    fn publish(
        &mut self,
        id: &ServiceId,
        mut event: Wire,
        restart: Option<Delay>,
        requested_by: Option<&str>,
    ) {
        let Some(plan) = self.plans.get(id) else { return };
        lifecycle::log(id, &event, restart);
        if let Wire::Start { pid, .. } = &event {
            let how = plan.how.to_string();
            let how = self.secrets.with_entry(&plan.entry).mask(&how);
            lifecycle::log_start(id, *pid, &how, plan.readiness());
            let (beat_at, assume_at) = (self.first_beat(plan), self.first_assumption(plan));
            // it may have been heard before its start was told here
            if let Some(spawned) = self.handles.get_mut(id) {
                spawned.beat_at = beat_at.filter(|_| !spawned.speaks);
                spawned.assume_at = assume_at.filter(|_| spawned.said.is_none());
            }
        }
        self.note_end(id, &event);
        match &mut event {
            Wire::Crashed(crash) => {
                let output = self.outputs.of(id);
                let how = crash.exit_code.map_or_else(|| "not started".to_owned(), how_ended);
                let killed = crash.exit_code == Some(-9);
                let resources = self.runner.resources().crashed(id, how, killed);
                crash.resources = resources.map(Box::new);
                crash.last_lines = output.map(|it| it.last_lines(id.as_str())).unwrap_or_default();
            }
            Wire::Stop(stop) => stop.planned = self.kept.work(id).map(|work| Box::new(work.into())),
            _ => {}
        }
        self.publisher.say(plan, event.clone(), restart, requested_by);
        let is_silent = !self.handles.get(id).is_some_and(|it| it.speaks);
        let heartbeat = plan.entry.launch.heartbeat;
        // without any heartbeat the old console does not list it
        let dead = lifecycle::final_status(&event, None).filter(|_| is_silent);
        if let Some((status, _)) = dead {
            self.publisher.beat(id, status, Duration::ZERO, heartbeat);
        }
        let program = matches!(plan.how, How::Program(_)) && is_silent;
        if let Some((status, text)) = lifecycle::program_status(&event).filter(|_| program) {
            let pid = self.supervisor.service(id).and_then(|it| it.pid);
            self.publisher.status(id, status, Some(text), pid);
            if status == Status::Ok {
                self.publisher.beat(id, status, Duration::ZERO, heartbeat);
            }
        }
    }

    fn site(&self) -> Site<'_> {
        Site {
            registry: &self.registry,
            environment: &self.environment,
            mode: self.options.mode,
            grace: self.options.grace,
            config: &self.config,
            launcher: (&self.publisher.launcher_id, &self.publisher.name),
            credentials: &self.credentials,
            nats: self.nats.clone(),
        }
    }

    fn linked(&mut self, lost: bool) {
        self.hears_again();
        if !self.publisher.open(lost) {
            self.declare_all();
        }
        if lost {
            self.publisher.reporter.say_again();
        }
    }

    /// Says again what is configured: by that it shows what no longer is
    /// (`docs/spec/truth.md#launchers-and-hosts`).
    fn declare_all(&mut self) {
        let Self { plans, supervisor, publisher, .. } = self;
        publisher.next_batch();
        for (id, plan) in plans {
            if supervisor.service(id).is_some_and(|it| !it.leaving) {
                publisher.declare(plan);
            } else {
                publisher.ours.remove(id.as_str());
            }
        }
    }
}

/// The runtime's timers fire up to 2 ms late, also for a time that has passed: what is due is done
/// at once.
async fn until(origin: Instant, deadline: Option<Duration>) {
    match deadline.map(|deadline| origin + deadline) {
        Some(at) if at <= clock::monotonic() => {}
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
