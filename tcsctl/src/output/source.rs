//! What a picture says of itself (`docs/spec/truth.md#what-the-picture-says-of-itself`): where it
//! comes from, how fresh it is, whether it is complete.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use tcs_core::fleet::{FleetView, Tally};
use tcs_present::{Look, ago};

use super::screen::{Screen, Word};

/// Where a picture comes from.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Source {
    /// Address of the server that answered, without credentials.
    pub server: String,
    /// Its version.
    pub server_version: Option<String>,
    /// Subject prefix.
    pub prefix: String,
    /// Whether we were connected at `taken_at`.
    pub connected: bool,
    /// Whether `JetStream` answered.
    pub jetstream: bool,
    /// `streams`, or `core`: heard while listening, with no history.
    pub mode: Mode,
    /// Whether everything that the site keeps was read.
    pub complete: bool,
    /// Whether what was asked for was read: everything, or all that can be heard with `--core`.
    #[serde(skip)]
    pub answered: bool,
    /// What is missing or doubtful, in words.
    pub problems: Vec<String>,
    /// The same as codes, in the same order ([`tcs_core::observer::Problem::code`]).
    pub problem_codes: Vec<&'static str>,
    /// Whether what was read has a fault: events are missing, or not stored.
    #[serde(skip)]
    pub faulty: bool,
    /// What to do about it.
    #[serde(skip)]
    pub hints: Vec<String>,
    /// The streams that were read, by kind of message.
    pub streams: BTreeMap<String, Vec<String>>,
    /// How well the broker's clock is known: `measured`, `arrivals` or `local`.
    #[schemars(extend("enum" = ["measured", "arrivals", "local"]))]
    pub clock: String,
    /// Stored time of the newest message of all.
    pub newest_message_at: Option<DateTime<Utc>>,
    /// Messages read.
    pub messages: u64,
    /// Of those, dropped whole or in part because they could not be read.
    pub malformed: u64,
    /// The last of those: subject and reason.
    pub last_malformed: Vec<Malformed>,
    /// Messages of which something was cut by a bound.
    pub cut: u64,
    /// Services forgotten because there were too many.
    pub evicted: u64,
    /// How long the reading took.
    #[serde(rename = "took_s", serialize_with = "seconds")]
    #[schemars(with = "f64")]
    pub took: Duration,
    /// For a picture of the past: its moment.
    pub at: Option<DateTime<Utc>>,
}

/// By what means a picture was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From the site's streams.
    #[default]
    Streams,
    /// By listening alone (`--core`).
    Core,
}

/// One message that could not be read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Malformed {
    /// Its subject.
    pub subject: String,
    /// What was wrong.
    pub reason: String,
}

impl Source {
    /// Takes over what the fleet counted.
    pub fn count(&mut self, tally: &Tally) {
        self.messages = tally.received;
        self.malformed = tally.malformed;
        self.cut = tally.cut;
        self.evicted = tally.evicted;
        self.last_malformed = tally
            .last_malformed
            .iter()
            .map(|(subject, reason)| Malformed { subject: subject.clone(), reason: reason.clone() })
            .collect();
    }

    /// Why not all that the site keeps was read; that it keeps nothing is no reason.
    pub fn unread(&self) -> Option<&str> {
        const KNOWN: [&str; 4] = ["no_streams", "no_jetstream", "events_missing", "not_stored"];
        let problems = self.problem_codes.iter().zip(&self.problems);
        problems.into_iter().find(|(code, _)| !KNOWN.contains(code)).map(|(_, text)| text.as_str())
    }

    /// Says on standard error what is missing or doubtful.
    pub fn warn(&self, screen: &Screen) {
        let word = if self.answered { Word::Warning } else { Word::Error };
        for problem in &self.problems {
            screen.tell(word, problem);
        }
        for hint in &self.hints {
            screen.tell(Word::Hint, hint);
        }
        let more = |n: u64, what: &str| {
            if n > 0 {
                screen.tell(Word::Warning, &format!("{n} {what}"));
            }
        };
        let last = self.last_malformed.last();
        let last =
            last.map_or_else(String::new, |m| format!("; the last: {}: {}", m.subject, m.reason));
        more(self.malformed, &format!("messages could not be read completely{last}"));
        more(self.cut, "messages were cut: too long");
        more(self.evicted, "services are left out: there are too many");
    }

    /// Whether messages were read and the broker's clock is not known: ages are by this machine's
    /// clock then.
    pub fn is_clock_unchecked(&self) -> bool {
        self.clock == "local" && self.newest_message_at.is_some() && self.at.is_none()
    }

    /// The footer's right part.
    pub fn line(&self, view: &FleetView, look: &Look) -> String {
        let from = &self.server;
        if let Some(at) = self.at {
            return format!("as of {} from {from}", look.times.point(at, at));
        }
        let took = format!("{:.2} s", self.took.as_secs_f64());
        let unchecked = if self.is_clock_unchecked() { ", clock unchecked" } else { "" };
        match (self.mode, view.newest) {
            (Mode::Core, _) => {
                format!("received {} in {took} from {from}, no history", self.messages)
            }
            (Mode::Streams, Some(newest)) => {
                let age = ago(view.now - newest);
                format!("newest message {age}, read in {took} from {from}{unchecked}")
            }
            (Mode::Streams, None) => format!("read in {took} from {from}"),
        }
    }
}

/// A length of time in JSON: seconds, to the millisecond.
pub(super) fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((span.as_secs_f64() * 1000.0).round() / 1000.0)
}
