//! A recording, played at its own pace or faster, without any broker.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tcs_alarms::{Address, Alarms, Place, Record};
use tcs_core::clock;
use tcs_core::fleet::why::Subject;
use tcs_core::fleet::{Order, Stamp};
use tcs_core::observer::Observed;
use tcs_core::wire::{Subjects, decode};
use tcs_present::why::Material;
use tokio::sync::mpsc::Sender;

use super::{Feed, SourceError};
use crate::dashboard::event::{AlarmNews, Event, Heard, PeriodRead, Span};
use crate::recording::{Entry, Recorded};

/// A recording, read.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The file's name.
    pub name: String,
    /// What to tell of the lines that could not be read.
    pub warnings: Vec<String>,
    /// By stored time; those that come at the beginning, all at once, first.
    messages: Arc<Vec<(DateTime<Utc>, Played)>>,
    began: DateTime<Utc>,
    /// Whether it begins with what was held.
    held: bool,
    speed: f64,
}

/// A line of a recording.
#[derive(Debug, Clone)]
enum Played {
    Fleet(Heard),
    Alarm(AlarmNews),
}

impl Played {
    /// `None`: it is of neither.
    fn of(subjects: &Subjects, number: u64, stored: DateTime<Utc>, entry: Entry) -> Option<Self> {
        if let Some(address) = Address::parse(subjects, &entry.subject) {
            let record = Arc::new(Record::decode(&address, entry.payload.as_bytes()).ok()?);
            let Place { created, seq } = entry.place?;
            let stamp = Stamp { stored, order: Order::Stream { created: created.time(), seq } };
            return Some(Self::Alarm(AlarmNews::Record { address, record, stamp }));
        }
        let subject = subjects.parse(&entry.subject)?;
        let order = Order::Stream { created: DateTime::UNIX_EPOCH, seq: number };
        let stamp = Stamp { stored, order };
        Some(Self::Fleet(match decode(subject, entry.payload.as_bytes()) {
            Ok(decoded) => Heard::Message(Arc::new(Observed {
                bytes: entry.payload.len(),
                subject: entry.subject,
                decoded,
                stamp,
            })),
            Err(error) => Heard::Malformed { subject: entry.subject, error },
        }))
    }
}

/// Messages that come together.
fn events(played: &[(DateTime<Utc>, Played)]) -> Vec<Event> {
    let (mut heard, mut alarms) = (Vec::new(), Vec::new());
    for (_, played) in played {
        match played {
            Played::Fleet(message) => heard.push(message.clone()),
            Played::Alarm(news) => alarms.push(news.clone()),
        }
    }
    let mut events = vec![Event::Heard(heard)];
    if !alarms.is_empty() {
        alarms.push(AlarmNews::Current);
        events.push(Event::Alarms(alarms));
    }
    events
}

/// The time in a recording.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    started: Instant,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    speed: f64,
}

impl Pace {
    /// The time in the recording: it stays a second after its last message.
    pub fn now(&self) -> DateTime<Utc> {
        let passed = clock::monotonic().saturating_duration_since(self.started).as_secs_f64();
        let millis = (passed * self.speed * 1000.0).min(1e15) as i64;
        let end = self.last + TimeDelta::seconds(1);
        self.first.checked_add_signed(TimeDelta::milliseconds(millis)).map_or(end, |at| at.min(end))
    }

    fn wait(&self, until: DateTime<Utc>) -> Duration {
        let left = (until - self.now()).num_milliseconds().max(0) as f64 / 1000.0 / self.speed;
        Duration::from_secs_f64(left.min(3600.0))
    }
}

impl Recording {
    /// Reads a file. `speed` is how many of its seconds pass in one of ours.
    pub fn read(path: &Path, subjects: &Subjects, speed: f64) -> Result<Self, SourceError> {
        let content = std::fs::read(path)
            .map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
        let recorded = Recorded::parse(&content);
        drop(content);
        let warnings = recorded.warnings();
        let held_at = recorded.entries.iter().find_map(Entry::held_at);
        let mut messages = Vec::new();
        for (i, entry) in recorded.entries.into_iter().enumerate() {
            let Some(stored) = entry.stored() else { continue };
            let played = Played::of(subjects, i as u64 + 1, stored, entry);
            messages.extend(played.map(|played| (stored, played)));
        }
        messages.sort_by_key(|(stored, _)| *stored);
        let Some((first, _)) = messages.first() else {
            let why = warnings.join("; ");
            return Err(SourceError::Empty { path: path.to_owned(), why });
        };
        let began = held_at.unwrap_or(*first);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            name: name.unwrap_or_default(),
            warnings,
            messages: Arc::new(messages),
            began,
            held: held_at.is_some(),
            speed,
        })
    }

    /// What tells why a service is as it is, as far as the recording has it.
    pub(super) fn material(&self, subject: &Subject) -> Material {
        let messages = self.messages.iter().filter_map(|(_, played)| match played {
            Played::Fleet(Heard::Message(message)) => Some(&**message),
            Played::Fleet(Heard::Malformed { .. }) | Played::Alarm(_) => None,
        });
        Material { alarms: self.alarms(subject.now), ..crate::why::of_messages(subject, messages) }
    }

    /// The alarms at a moment; `None`: the recording has none.
    fn alarms(&self, until: DateTime<Utc>) -> Option<Alarms> {
        let mut alarms = None;
        for (_, played) in &*self.messages {
            let Played::Alarm(AlarmNews::Record { address, record, stamp }) = played else {
                continue;
            };
            let alarms = alarms.get_or_insert_with(Alarms::new);
            if stamp.stored <= until {
                alarms.apply(address, (**record).clone(), stamp);
            }
        }
        alarms
    }

    /// The verdicts of a period, as far as the recording has it.
    pub(super) fn period(&self, span: Span) -> PeriodRead {
        let messages = self.messages.iter().filter_map(|(at, played)| match played {
            Played::Fleet(Heard::Message(message)) => Some((*at, message)),
            Played::Fleet(Heard::Malformed { .. }) | Played::Alarm(_) => None,
        });
        super::timeline::of_messages(messages, self.began, span)
    }

    /// Begins now.
    pub(super) fn pace(&self) -> Pace {
        let last = self.messages.last().map_or(self.began, |(last, _)| (*last).max(self.began));
        Pace { started: clock::monotonic(), first: self.began, last, speed: self.speed }
    }
}

/// Hands the messages on as their time comes.
pub(super) async fn play(recording: Recording, pace: Pace, feed: Sender<Feed>) {
    let mut rest = &recording.messages[..];
    // what was held when it began is no news
    let held =
        if recording.held { rest.partition_point(|(at, _)| *at <= recording.began) } else { 0 };
    let begin = events(&rest[..held]);
    rest = &rest[held..];
    for event in begin.into_iter().chain([Event::Settled]) {
        if feed.send(Feed::Event(event)).await.is_err() {
            return;
        }
    }
    while let Some((next, _)) = rest.first() {
        tokio::time::sleep(pace.wait(*next)).await;
        let now = pace.now();
        let due = rest.partition_point(|(stored, _)| *stored <= now).clamp(1, 4096);
        let batch = events(&rest[..due]);
        rest = &rest[due..];
        for event in batch {
            if feed.send(Feed::Event(event)).await.is_err() {
                return;
            }
        }
    }
    tokio::time::sleep(pace.wait(pace.last + TimeDelta::seconds(1))).await;
    feed.send(Feed::Event(Event::ReplayEnded)).await.ok();
}
