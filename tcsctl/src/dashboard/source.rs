//! Where messages come from, and where wishes go: a live site, or a recording.

pub mod live;
mod logs;
pub mod replay;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tcs_core::bus::BrokerClock;
use tcs_core::observer::Observer;
use tokio::sync::mpsc::Sender;
use tokio::task::AbortHandle;

use super::event::{Action, Event, LinkFacts, LogNews, Reply};
use replay::Recording;

/// What a source tells the loop.
#[derive(Debug)]
pub enum Feed {
    /// Something happened.
    Event(Event),
    /// The broker's clock was measured.
    Clock(BrokerClock),
}

/// A site, and the log that is followed on it.
#[derive(Debug)]
pub struct Live {
    observer: Observer,
    log: Mutex<Option<AbortHandle>>,
}

/// See the module.
#[derive(Debug)]
pub enum Source {
    /// A site, over NATS.
    Live(Live),
    /// A file.
    Recording(Recording),
}

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is nothing in it that could be played.
    #[error("{}: no messages in it{}{why}", path.display(), if why.is_empty() { "" } else { "; " })]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is wrong with its lines; empty: nothing is.
        why: String,
    },
}

/// By which `now` is told.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The broker's, as far as it is known.
    Broker(BrokerClock),
    /// A recording's own.
    Recording(replay::Pace),
}

impl Clock {
    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Broker(clock) => clock.now(),
            Self::Recording(pace) => pace.now(),
        }
    }
}

impl Source {
    /// A site over this observer.
    pub fn live(observer: Observer) -> Self {
        Self::Live(Live { observer, log: Mutex::new(None) })
    }

    /// Starts it; returns its clock, and the link to begin with.
    pub fn start(&self, feed: &Sender<Feed>) -> (Clock, LinkFacts) {
        match self {
            Self::Live(live) => {
                let clock = BrokerClock::local();
                tokio::spawn(live::follow(live.observer.clone(), feed.clone()));
                (
                    Clock::Broker(clock),
                    LinkFacts::Connecting { since: clock.now(), attempts: 0, why: None },
                )
            }
            Self::Recording(recording) => {
                let pace = recording.pace();
                tokio::spawn(replay::play(recording.clone(), pace, feed.clone()));
                (Clock::Recording(pace), LinkFacts::Recording { file: recording.name.clone() })
            }
        }
    }

    /// Does what the state wants of the network. The answer comes as an event.
    pub fn perform(&self, action: Action, feed: &Sender<Feed>) {
        match self {
            Self::Live(live) => live.perform(action, feed),
            Self::Recording(_) => {
                const WHY: &str = "a recording is playing: there is nobody to ask";
                let event = match action {
                    Action::Request(request) => Event::Reply(Reply {
                        request,
                        outcome: Err(WHY.to_owned()),
                        took: chrono::TimeDelta::zero(),
                    }),
                    Action::FetchLogs { service, .. } => {
                        Event::Logs(LogNews { service, outcome: Err(WHY.to_owned()), whole: true })
                    }
                    Action::LoadHistory(_) => Event::Past(Err(WHY.to_owned())),
                    Action::DropLogs
                    | Action::Quit
                    | Action::Suspend
                    | Action::Redraw
                    | Action::Copy(_)
                    | Action::Save(_)
                    | Action::Mouse(_) => return,
                };
                let feed = feed.clone();
                tokio::spawn(async move { feed.send(Feed::Event(event)).await });
            }
        }
    }
}

impl Live {
    /// Where it looks.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    fn perform(&self, action: Action, feed: &Sender<Feed>) {
        let (observer, feed) = (self.observer.clone(), feed.clone());
        match action {
            Action::LoadHistory(since) => {
                tokio::spawn(live::load(observer, since, feed));
            }
            Action::Request(request) => {
                tokio::spawn(live::ask(observer, request, feed));
            }
            Action::FetchLogs { service, launcher } => {
                let task = tokio::spawn(logs::follow(observer, service, launcher, feed));
                self.replace_log(Some(task.abort_handle()));
            }
            Action::DropLogs => self.replace_log(None),
            Action::Quit
            | Action::Suspend
            | Action::Redraw
            | Action::Copy(_)
            | Action::Save(_)
            | Action::Mouse(_) => {}
        }
    }

    fn replace_log(&self, next: Option<AbortHandle>) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *log, next) {
            before.abort();
        }
    }
}
