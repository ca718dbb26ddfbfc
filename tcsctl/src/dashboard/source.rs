//! Where messages come from, and where wishes go: a live site, or a recording.

pub mod live;
pub mod replay;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use tcs_core::bus::BrokerClock;
use tcs_core::observer::Observer;
use tokio::sync::mpsc::Sender;

use super::event::{Action, Event, LinkFacts, LogNews, Reply};
use crate::recording::LineError;
use replay::Recording;

/// What a source tells the loop.
#[derive(Debug)]
pub enum Feed {
    /// Something happened.
    Event(Event),
    /// The broker's clock was measured.
    Clock(BrokerClock),
}

/// See the module.
#[derive(Debug)]
pub enum Source {
    /// A site, over NATS.
    Live(Observer),
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
    /// A line of it is no message.
    #[error("{}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, and why not.
        source: LineError,
    },
    /// There is nothing in it.
    #[error("{}: no messages in it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
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
    /// Starts it; returns its clock, and the link to begin with.
    pub fn start(&self, feed: &Sender<Feed>) -> (Clock, LinkFacts) {
        match self {
            Self::Live(observer) => {
                let clock = BrokerClock::local();
                tokio::spawn(live::follow(observer.clone(), feed.clone()));
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
            Self::Live(observer) => {
                tokio::spawn(live::perform(observer.clone(), action, feed.clone()));
            }
            Self::Recording(_) => {
                const WHY: &str = "a recording is played: nobody answers";
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
                    | Action::Mouse(_) => return,
                };
                let feed = feed.clone();
                tokio::spawn(async move { feed.send(Feed::Event(event)).await });
            }
        }
    }
}
