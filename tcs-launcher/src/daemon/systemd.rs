//! Words to a service manager (`sd_notify(3)`): ready, reloading, stopping, what runs, and, from
//! the loop that supervises, that it still goes round.
//!
//! Nothing in it waits: a manager that does not read loses words, it does not hold the loop up.

use std::time::Duration;

use tcs_core::clock;
use tcs_core::service::NotifySocket;
use tcs_supervisor::{Phase, Supervisor};

/// How often to check whether there is something to report.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// How much more time each look asks for, while starting or stopping goes on.
const EXTENSION: Duration = Duration::from_secs(30);

/// A first round of starts that takes longer no longer keeps the manager waiting.
const FIRST_ROUND: Duration = Duration::from_mins(1);

/// Failed services that are named.
const NAMED: usize = 3;

/// Where the launcher is, as the manager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Up,
    Stopping,
}

/// The manager that has started us, if one has.
#[derive(Debug)]
pub(super) struct Systemd {
    socket: Option<NotifySocket>,
    /// Half of what it allows between two signs of life.
    watchdog: Option<Duration>,
    stage: Stage,
    /// When to look next, and when the next sign of life is due; since the loop's origin.
    look_at: Duration,
    alive_at: Duration,
    /// The last text said.
    status: String,
    /// What the last reload was refused for; said until one succeeds.
    refused: Option<String>,
}

impl Systemd {
    /// By `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. A socket that is not there is told,
    /// and does not keep the launcher from its work.
    pub(super) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let socket = NotifySocket::from_environment().unwrap_or_else(|error| {
            tracing::warn!("cannot notify the service manager: {error}");
            None
        });
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let for_us = variable("WATCHDOG_PID").is_none()
            || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && for_us);
        Self {
            watchdog: limit.map(|micros| Duration::from_micros(micros / 2)),
            socket,
            stage: Stage::Starting,
            look_at: Duration::ZERO,
            alive_at: Duration::ZERO,
            status: String::new(),
            refused: None,
        }
    }

    /// The program before has said that it is ready.
    pub(super) fn resumed(mut self) -> Self {
        self.stage = Stage::Up;
        self
    }

    /// When to look again; `None`: nobody listens.
    pub(super) fn due(&self) -> Option<Duration> {
        let due = self.watchdog.map_or(self.look_at, |_| self.look_at.min(self.alive_at));
        self.socket.is_some().then_some(due)
    }

    /// Says what is to be said at `now`.
    pub(super) fn look(&mut self, supervisor: &Supervisor, now: Duration) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        let mut words = Vec::new();
        if let Some(every) = self.watchdog
            && now >= self.alive_at
        {
            self.alive_at = now + every;
            words.push("WATCHDOG=1".to_owned());
        }
        if now >= self.look_at {
            self.look_at = now + LOOK;
            if self.stage == Stage::Starting
                && (now >= FIRST_ROUND || first_round_is_up(supervisor))
            {
                self.stage = Stage::Up;
                words.push("READY=1".to_owned());
            }
            words.extend(self.new_status(supervisor));
            if self.stage != Stage::Up {
                words.push(extension());
            }
        }
        self.say(&words);
    }

    /// It is not ready, and for a reason: as often as [`LOOK`] says.
    pub(super) fn waits(&mut self, why: &str) {
        self.say(&[format!("STATUS={}", why.replace(char::is_control, " ")), extension()]);
    }

    /// The configuration is read again; say with [`Systemd::reloaded`] when that is over.
    pub(super) fn reloading(&self) {
        let now = clock::since_boot().as_micros();
        self.say(&["RELOADING=1".to_owned(), format!("MONOTONIC_USEC={now}")]);
    }

    /// A reload is over, well or not.
    pub(super) fn reloaded(&mut self, supervisor: &Supervisor, refused: Option<&str>) {
        self.refused = refused.map(str::to_owned);
        let mut words = Vec::new();
        // a ready one that only reloads says so again
        if self.stage == Stage::Up {
            words.push("READY=1".to_owned());
        }
        words.extend(self.new_status(supervisor));
        self.say(&words);
    }

    /// The launcher begins to stop.
    pub(super) fn stopping(&mut self) {
        self.stage = Stage::Stopping;
        self.say(&["STOPPING=1".to_owned(), extension()]);
    }

    /// All services have ended; what is left to do takes no longer than one extension.
    pub(super) fn last(&self, success: bool) {
        let status = if success {
            "all services have ended"
        } else {
            "a service that should run has failed"
        };
        let alive = self.watchdog.map(|_| "WATCHDOG=1".to_owned());
        let words = [format!("STATUS={status}"), extension()];
        self.say(&words.into_iter().chain(alive).collect::<Vec<_>>());
    }

    /// The launcher cannot do its work.
    pub(super) fn gives_up(&self, error: &anyhow::Error) {
        let text = format!("{error:#}").replace(char::is_control, " ");
        self.say(&[format!("STATUS={text}")]);
    }

    fn new_status(&mut self, supervisor: &Supervisor) -> Option<String> {
        let mut status = status(supervisor);
        if let Some(refused) = &self.refused {
            let line = refused.lines().next().unwrap_or_default();
            status = format!("{status}; not reloaded: {line}");
        }
        // one line is one word to the manager
        let status = status.replace(char::is_control, " ");
        let is_new = status != self.status;
        self.status.clone_from(&status);
        is_new.then(|| format!("STATUS={status}"))
    }

    fn say(&self, words: &[String]) {
        if let Some(socket) = self.socket.as_ref().filter(|_| !words.is_empty())
            && let Err(error) = socket.send(&words.join("\n"))
        {
            tracing::debug!("a message to the service manager failed: {error}");
        }
    }
}

fn extension() -> String {
    format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros())
}

/// Whether no service waits for its first start any more.
fn first_round_is_up(supervisor: &Supervisor) -> bool {
    !supervisor.services().any(|it| it.phase == Phase::Waiting && it.restarts == 0)
}

/// `12 running, 1 failed (guider.jk15)`
fn status(supervisor: &Supervisor) -> String {
    let phases = [
        (Phase::Running, "running"),
        (Phase::Starting, "starting"),
        (Phase::Waiting, "waiting"),
        (Phase::Stopping, "stopping"),
        (Phase::Backoff, "to be restarted"),
        (Phase::Failed, "failed"),
        (Phase::Completed, "completed"),
        (Phase::Stopped, "stopped"),
        (Phase::Declared, "not started"),
    ];
    let counted = phases.map(|(phase, word)| {
        let ids = || supervisor.services().filter(move |it| it.phase == phase);
        let count = ids().count();
        let mut text = format!("{count} {word}");
        if phase == Phase::Failed {
            let mut names: Vec<_> = ids().take(NAMED).map(|it| it.spec.id.to_string()).collect();
            if count > NAMED {
                names.push("...".to_owned());
            }
            text = format!("{text} ({})", names.join(", "));
        }
        (count > 0).then_some(text)
    });
    let counted: Vec<String> = counted.into_iter().flatten().collect();
    if counted.is_empty() { "no services".to_owned() } else { counted.join(", ") }
}
