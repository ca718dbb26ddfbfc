//! What happened: the life of services, changes of their status, and silence that began or ended.
//!
//! Made from messages as they come, in any order, each once; and, because silence sends no message,
//! from one picture to the next.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::{FleetView, Verdict, words};
use tcs_core::wire::{Decoded, Event as Registry, Message, Status};

use crate::output::events as output;

/// Entries kept.
pub const MAX_ENTRIES: usize = 5000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When, by the broker's clock.
    pub at: DateTime<Utc>,
    /// To whom.
    pub id: Arc<str>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It crashed, and is to be started again.
    Crash {
        /// The signal, the error, or the exit code.
        how: String,
    },
    /// A step on its way up, after a crash or for the first time.
    Return {
        /// In words.
        text: String,
        /// How grave.
        weight: Verdict,
    },
    /// Something else that its launcher said.
    Life {
        /// In words.
        text: String,
        /// How grave.
        weight: Verdict,
    },
    /// It says another status than before.
    Status {
        /// What it said before.
        from: Option<(Status, TimeDelta)>,
        /// What it says.
        to: Status,
        /// And with which message.
        message: String,
    },
    /// Its heart fell silent, or beats again.
    Heart {
        /// What was so before, and for how long, where that is known.
        from: Option<(Verdict, TimeDelta)>,
        /// What is so.
        to: Verdict,
    },
}

impl Entry {
    /// What it says, in words: `error → ok after 42 s: recovered`.
    pub fn words(&self, arrow: &str) -> String {
        match &self.what {
            What::Crash { how } => output::crashed(how, true),
            What::Return { text, .. } | What::Life { text, .. } => text.clone(),
            What::Status { from, to, message } => {
                let mut text = match from {
                    Some((from, lasted)) if from != to => {
                        format!("{from} {arrow} {to} after {}", words(*lasted))
                    }
                    _ => format!("says {to}"),
                };
                if !message.is_empty() {
                    text.push_str(": ");
                    text.push_str(message);
                }
                text
            }
            What::Heart { from: Some((from, lasted)), to } => {
                format!("{from} {arrow} {to} after {}", words(*lasted))
            }
            What::Heart { from: None, to } => format!("{to}: its heart is not heard"),
        }
    }

    /// Whether it only tells that a service that is well works or rests.
    pub fn is_routine(&self) -> bool {
        let is_well = |status: Status| matches!(status, Status::Ok | Status::Idle | Status::Busy);
        match &self.what {
            What::Status { from: Some((from, _)), to, .. } => is_well(*from) && is_well(*to),
            What::Status { from: None, .. }
            | What::Crash { .. }
            | What::Return { .. }
            | What::Life { .. }
            | What::Heart { .. } => false,
        }
    }

    /// How grave: the verdict whose colour it has.
    pub fn weight(&self) -> Verdict {
        match &self.what {
            What::Crash { .. } => Verdict::Restarting,
            What::Return { weight, .. } | What::Life { weight, .. } => *weight,
            What::Heart { to, .. } => *to,
            What::Status { to, .. } => match to {
                Status::Unknown | Status::Shutdown => Verdict::Stopped,
                Status::Ok | Status::Idle | Status::Busy => Verdict::Ok,
                Status::Startup => Verdict::Starting,
                Status::Degraded | Status::Warning => Verdict::Degraded,
                Status::Error => Verdict::Error,
                Status::Failed => Verdict::Failed,
            },
        }
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Oldest first.
    entries: Vec<Entry>,
    said: HashMap<Arc<str>, (DateTime<Utc>, Status)>,
}

impl History {
    /// All that is held of the time up to `now`, oldest first.
    pub fn until(&self, now: DateTime<Utc>) -> &[Entry] {
        &self.entries[..self.entries.partition_point(|entry| entry.at <= now)]
    }

    /// Takes a message that came.
    pub(super) fn note(&mut self, decoded: &Decoded, at: DateTime<Utc>) {
        let Some(name) = decoded.message.name() else { return };
        let what = match &decoded.message {
            Message::Registry(message) => {
                let Some(what) = life(&message.event) else { return };
                what
            }
            // repeats what the launcher's event has told
            Message::Status(message) if message.by_launcher() => return,
            Message::Status(message) => {
                let before = self.said.get(name).copied();
                // what is older than what is known is history that was read later
                let follows = before.filter(|(since, _)| *since <= at);
                if follows.is_some_and(|(_, status)| status == message.status) {
                    return;
                }
                let from = follows.map(|(since, status)| (status, at - since));
                if before.is_none() || follows.is_some() {
                    if self.said.len() >= tcs_core::fleet::MAX_NAMES {
                        self.said.clear();
                    }
                    self.said.insert(name.into(), (at, message.status));
                }
                let message_text = message.message.clone().unwrap_or_default();
                What::Status { from, to: message.status, message: message_text }
            }
            Message::Heartbeat(_) | Message::Journal(_) => return,
        };
        self.insert(Entry { at, id: name.into(), what });
    }

    /// Notes whose heart fell silent or beats again, from one picture to the next.
    pub(super) fn compare(&mut self, before: &FleetView, after: &FleetView) {
        let silent = |verdict| matches!(verdict, Verdict::Late | Verdict::Lost);
        let mut old = before.services.iter().peekable();
        for new in &after.services {
            while old.peek().is_some_and(|old| old.id < new.id) {
                old.next();
            }
            let Some(old) = old.peek().filter(|old| old.id == new.id) else {
                // silent already when we came
                if let Some(at) = new.since.filter(|_| silent(new.verdict)) {
                    let what = What::Heart { from: None, to: new.verdict };
                    self.insert(Entry { at, id: Arc::clone(&new.id), what });
                }
                continue;
            };
            if old.verdict == new.verdict || !(silent(old.verdict) || silent(new.verdict)) {
                continue;
            }
            let at = new.since.map_or(after.now, |since| since.clamp(before.now, after.now));
            let lasted = old.since.map(|since| (at - since).max(TimeDelta::zero()));
            let from = lasted.map(|lasted| (old.verdict, lasted));
            let what = What::Heart { from, to: new.verdict };
            self.insert(Entry { at, id: Arc::clone(&new.id), what });
        }
    }

    fn insert(&mut self, entry: Entry) {
        let place = self.entries.partition_point(|held| held.at <= entry.at);
        let same = self.entries[..place].iter().rev().take_while(|held| held.at == entry.at);
        if same.into_iter().any(|held| *held == entry) {
            return;
        }
        if self.entries.len() >= MAX_ENTRIES {
            if place == 0 {
                return;
            }
            // a tenth at once, because each removal moves all that follow
            self.entries.drain(..MAX_ENTRIES / 10);
            return self.insert(entry);
        }
        self.entries.insert(place, entry);
    }
}

/// What an event tells, with the verdict that it brings about, for its colour; `None`: nothing.
fn life(event: &Registry) -> Option<What> {
    let text = || output::event(event);
    let life = |weight| What::Life { text: text(), weight };
    Some(match event {
        Registry::Declared(_) => return None,
        Registry::Start { .. } => What::Return { text: text(), weight: Verdict::Starting },
        Registry::Ready { .. } => What::Return { text: text(), weight: Verdict::Ok },
        Registry::Restarting { .. } => What::Return { text: text(), weight: Verdict::Restarting },
        Registry::Crashed(crash) if crash.will_restart => What::Crash { how: crash.headline() },
        Registry::Waiting { timed_out: false, .. } => life(Verdict::Starting),
        Registry::Waiting { .. } => life(Verdict::Late),
        Registry::Stopping { .. } => life(Verdict::Stopping),
        Registry::Stop(_) => life(Verdict::Stopped),
        Registry::Crashed(_) | Registry::Failed { .. } => life(Verdict::Failed),
        Registry::Other(_) => life(Verdict::Unknown),
    })
}
