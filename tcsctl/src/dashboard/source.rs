//! Where messages come from, and where wishes go: a live site, or a recording.

mod alarms;
pub mod live;
mod logs;
mod profiles;
pub mod replay;
pub mod timeline;
mod usage;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tcs_core::bus::BrokerClock;
use tcs_core::observer::Observer;
use tokio::sync::mpsc::Sender;
use tokio::task::AbortHandle;

use super::event::{
    Action, AlarmReply, Event, Heard, LinkFacts, LogNews, ProfilePlan, Reply, UsageNews,
};
use replay::Recording;

/// What a source tells the loop.
#[derive(Debug)]
pub enum Feed {
    /// Something happened.
    Event(Event),
    /// The broker's clock was measured.
    Clock(BrokerClock),
}

impl Feed {
    /// Whether it tells no more than that services are alive.
    pub(super) fn is_beat(&self) -> bool {
        match self {
            Self::Event(Event::Heard(heard)) => heard.iter().all(Heard::is_beat),
            Self::Event(Event::Contact(_)) | Self::Clock(_) => true,
            Self::Event(_) => false,
        }
    }
}

/// A site, and the log that is followed on it.
#[derive(Debug)]
pub struct Live {
    observer: Observer,
    log: Mutex<Option<AbortHandle>>,
    timeline: Mutex<Option<AbortHandle>>,
}

/// Where messages come from: a live site, or a recording.
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

/// The clock that `now` is read from.
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
        Self::Live(Live { observer, log: Mutex::default(), timeline: Mutex::default() })
    }

    /// Starts it; returns its clock, and the link to begin with.
    pub fn start(&self, feed: &Sender<Feed>) -> (Clock, LinkFacts) {
        match self {
            Self::Live(live) => {
                let clock = BrokerClock::local();
                tokio::spawn(live::follow(live.observer.clone(), feed.clone()));
                tokio::spawn(alarms::follow(live.observer.clone(), feed.clone()));
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
            Self::Recording(recording) => {
                const WHY: &str = "a recording is playing: there is nobody to ask";
                let event = match action {
                    Action::Request(request) => Event::Reply(Reply {
                        request,
                        outcome: Err(WHY.to_owned()),
                        took: chrono::TimeDelta::zero(),
                    }),
                    Action::AskProfiles(launchers) => {
                        let none = |it| (it, Err(WHY.to_owned()));
                        Event::Profiles(launchers.into_iter().map(none).collect())
                    }
                    Action::PlanProfile { name, launchers } => {
                        let none = |it| (it, Err(WHY.to_owned()));
                        let plans = launchers.into_iter().map(none).collect();
                        Event::ProfilePlan(ProfilePlan { name, plans })
                    }
                    Action::FetchLogs { service, .. } => {
                        let (outcome, runs) = (Err(WHY.to_owned()), Vec::new());
                        Event::Logs(LogNews { service, outcome, runs, whole: true })
                    }
                    Action::Explain(subject) => {
                        let read = recording.material(&subject);
                        Event::Explained(subject, Ok(Box::new(read)))
                    }
                    Action::ReadTimeline(span) => Event::Timeline(span, Ok(recording.period(span))),
                    Action::LoadHistory(span) => Event::Past(span, Err(WHY.to_owned())),
                    Action::Alarm(request) => {
                        Event::AlarmReply(AlarmReply { request, outcome: Err(WHY.to_owned()) })
                    }
                    Action::AskUsage { launchers, .. } => {
                        let problems = launchers.into_iter().map(|it| (it, WHY.to_owned()));
                        let problems = problems.collect();
                        Event::Usage(Box::new(UsageNews { problems, ..UsageNews::default() }))
                    }
                    Action::DropLogs
                    | Action::Quit
                    | Action::Suspend
                    | Action::Redraw
                    | Action::Copy(_)
                    | Action::Save(_)
                    | Action::SaveLog(_)
                    | Action::PageLog
                    | Action::Run(_)
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
            Action::LoadHistory(span) => {
                tokio::spawn(live::load(observer, span, feed));
            }
            Action::ReadTimeline(span) => {
                let task = tokio::spawn(timeline::read(observer, span, feed));
                replace(&self.timeline, Some(task.abort_handle()));
            }
            Action::Request(request) => {
                tokio::spawn(live::ask(observer, request, feed));
            }
            Action::AskProfiles(launchers) => {
                tokio::spawn(profiles::read(observer, launchers, feed));
            }
            Action::PlanProfile { name, launchers } => {
                tokio::spawn(profiles::plan(observer, name, launchers, feed));
            }
            Action::FetchLogs { service, launcher, lines } => {
                let task = tokio::spawn(logs::follow(observer, service, launcher, lines, feed));
                replace(&self.log, Some(task.abort_handle()));
            }
            Action::Explain(subject) => {
                tokio::spawn(live::explain(observer, subject, feed));
            }
            Action::AskUsage { launchers, history } => {
                tokio::spawn(usage::ask(observer, launchers, history, feed));
            }
            Action::DropLogs => replace(&self.log, None),
            Action::Alarm(request) => {
                tokio::spawn(alarms::write(observer, request, feed));
            }
            Action::Quit
            | Action::Suspend
            | Action::Redraw
            | Action::Copy(_)
            | Action::Save(_)
            | Action::SaveLog(_)
            | Action::PageLog
            | Action::Run(_)
            | Action::Mouse(_) => {}
        }
    }
}

/// Ends what went on before.
fn replace(held: &Mutex<Option<AbortHandle>>, next: Option<AbortHandle>) {
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(before) = std::mem::replace(&mut *held, next) {
        before.abort();
    }
}
