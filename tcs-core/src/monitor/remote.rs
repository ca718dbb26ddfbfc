//! What every monitored object answers: `health`, `stats` and `commands`
//! (`docs/spec/wire.md#commands-of-a-service`). On the reporter's thread, so that a blocked service
//! answers too.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use super::reporter::Reporter;
use super::shared::{Shared, moment};
use super::speak::check_now;
use crate::bus::outbox::Counts;
use crate::bus::rpc::{Announcement, Call, Command, Reply, Responders, Serving};
use crate::clock;
use crate::wire::Timestamp;
use crate::wire::control::command;

/// How long a `health` request waits for the health checks: less than a client waits for it.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// The commands of one monitored object.
pub(super) struct Remote {
    state: Mutex<State>,
    /// What `commands` lists: name, parameters.
    offered: Mutex<Vec<(String, Value)>>,
}

enum State {
    /// Not listening yet.
    Pending(Vec<Command>),
    Open(Arc<Serving>),
    Closed,
}

impl Remote {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Pending(Vec::new())), offered: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, name: &str, parameters: &Value) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        offered.retain(|(known, _)| known != name);
        offered.push((name.to_owned(), parameters.clone()));
    }

    /// The commands of its own, as `commands` answers.
    fn list(&self) -> Map<String, Value> {
        let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        let each =
            |(name, parameters): &(String, Value)| json!({"name": name, "parameters": parameters});
        object(json!({ "commands": offered.iter().map(each).collect::<Vec<_>>() }))
    }

    /// Adds a command, now or as soon as there is a connection.
    pub(super) fn add(&self, command: Command, reporter: &Handle) {
        match &mut *self.state() {
            State::Pending(commands) => commands.push(command),
            State::Open(serving) => {
                let serving = Arc::clone(serving);
                reporter.spawn(async move {
                    if let Err(error) = serving.add(command).await {
                        tracing::warn!("{error}");
                    }
                });
            }
            State::Closed => {}
        }
    }

    async fn open(&self, responders: Responders, announcement: Announcement) {
        let serving = match responders.serve(announcement, []).await {
            Ok(serving) => Arc::new(serving),
            Err(error) => return tracing::warn!("no remote control: {error}"),
        };
        loop {
            let commands = {
                let mut state = self.state();
                match &mut *state {
                    State::Pending(commands) if commands.is_empty() => {
                        *state = State::Open(serving);
                        return;
                    }
                    State::Pending(commands) => std::mem::take(commands),
                    State::Open(_) | State::Closed => return,
                }
            };
            for command in commands {
                if let Err(error) = serving.add(command).await {
                    tracing::warn!("{error}");
                }
            }
        }
    }

    /// Begins to answer for a monitored object, as soon as there is a connection.
    pub(super) fn answer(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        reporter: &Reporter,
        description: String,
        version: String,
    ) {
        let serve = |command: Command| {
            reporter.note_command(&shared.name, &command);
            self.add(command, reporter.handle());
        };
        let asked = Arc::clone(shared);
        serve(Command::new(command::HEALTH, move |_: Call| {
            let shared = Arc::clone(&asked);
            async move { health(&shared).await }
        }));
        let asked = Arc::clone(shared);
        let outlet = reporter.outlet().clone();
        serve(Command::new(command::STATS, move |_: Call| {
            let stats = stats(&asked, outlet.counts());
            async move { Ok(stats) }
        }));
        let remote = Arc::downgrade(self);
        serve(Command::new(command::COMMANDS, move |_: Call| {
            let list = remote.upgrade().map(|remote| remote.list()).unwrap_or_default();
            async move { Ok(list) }
        }));
        let Some(responders) = reporter.responders().cloned() else { return };
        let announcement = Announcement { name: shared.name.clone(), description, version };
        let remote = Arc::clone(self);
        reporter.handle().spawn(async move { remote.open(responders, announcement).await });
    }

    /// Answers no more, and lets go of what the commands hold.
    pub(super) fn close(&self) {
        let state = std::mem::replace(&mut *self.state(), State::Closed);
        drop(state);
    }
}

async fn health(shared: &Shared) -> Reply {
    check_now(shared, CHECK_LIMIT.min(shared.times.check_limit)).await;
    let checks: Map<String, Value> = shared
        .said()
        .into_iter()
        .map(|(name, status)| (name.to_string(), status.as_str().into()))
        .collect();
    let (status, message) = shared.read(|core| {
        (core.aggregate(), core.message(super::core::NodeId::ROOT).map(str::to_owned))
    });
    Ok(object(json!({
        "service_id": shared.name,
        "status": status,
        "message": message,
        "timestamp": Timestamp::new(clock::wall()),
        "checks": checks,
    })))
}

fn stats(shared: &Shared, outbox: Counts) -> Map<String, Value> {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (status, children, metrics) = shared.for_beat();
    let uptime = (moment().mono - shared.started.mono).as_secs_f64();
    object(json!({
        "service_id": shared.name,
        "timestamp": Timestamp::new(clock::wall()),
        "uptime_seconds": (uptime * 1000.0).round() / 1000.0,
        "stats": {
            "own_status": status,
            "children": children,
            "heartbeats": count(&shared.counts.beats),
            "heartbeats_missed": count(&shared.counts.beats_missed),
            "statuses": count(&shared.counts.statuses),
            "outbox": {
                "waiting": outbox.waiting,
                "sent": outbox.sent,
                "dropped": outbox.dropped,
                "refused": outbox.refused,
            },
            "metrics": metrics,
        },
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
