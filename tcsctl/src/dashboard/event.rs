//! All that can happen to the dashboard, and all that it can want done.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_alarms::{Address, Episode, Record};
use tcs_core::fleet::history::Chronicle;
use tcs_core::fleet::transitions::Transition;
use tcs_core::fleet::why::Subject;
use tcs_core::fleet::{Fleet, Link, Stamp};
use tcs_core::observer::{Hearing, Observed};
use tcs_core::wire::control::{LogLine, LogRun, ServiceFigures};
use tcs_core::wire::{DecodeError, Message};
use tcs_present::columns::Column;
use tcs_present::top::Answer;
use tcs_present::why::Material;

use super::key::Key;
use super::keymap::table::Command;
use super::state::picture::MadePicture;

mod request;

pub use request::{Operation, Parameters, ProfilePlan, ProfilesRead, Reply, Request};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something to what is shown.
    Mouse(Mouse),
    /// The terminal has another size: columns, rows.
    Resize(u16, u16),
    /// Messages of the fleet, in the order in which they came.
    Heard(Vec<Heard>),
    /// Messages of the past, of which only what they make known counts: they are no news.
    Known(Vec<Heard>),
    /// All that is held has come: what comes from now on is news.
    Settled,
    /// What happened before that, as far as it was read.
    Happened(Vec<Transition>),
    /// An answer to [`Action::LoadHistory`]: that part of the past, or why it could not be read.
    Past(Span, Result<Box<PastRead>, String>),
    /// An answer to [`Action::ReadTimeline`]; or why there is none.
    Timeline(Span, Result<PeriodRead, String>),
    /// The link to the broker stands otherwise than before.
    Link(LinkFacts),
    /// Up to when the fleet could be heard.
    Contact(Hearing),
    /// What could not be read, in words; empty when all could.
    Gaps(Vec<String>),
    /// A recording has been played to its end.
    ReplayEnded,
    /// An answer to [`Action::Request`].
    Reply(Reply),
    /// An answer to [`Action::AskProfiles`].
    Profiles(ProfilesRead),
    /// An answer to [`Action::PlanProfile`].
    ProfilePlan(ProfilePlan),
    /// An answer to [`Action::FetchLogs`], or further lines.
    Logs(LogNews),
    /// An answer to [`Action::Explain`]; or why there is none.
    Explained(Box<Subject>, Result<Box<Material>, String>),
    /// An answer to [`Action::AskUsage`].
    Usage(Box<UsageNews>),
    /// Where [`Action::Save`] has put it, or why nowhere.
    Saved(Result<String, String>),
    /// Why a program was not run, or did not succeed.
    NotRun(String),
    /// News of the stream of alarms.
    Alarms(Vec<AlarmNews>),
    /// An answer to [`Action::Alarm`].
    AlarmReply(AlarmReply),
    /// A picture that was ordered; `None`: it could not be made.
    Picture(Option<Box<MadePicture>>),
    /// Something inside went wrong that does not end the dashboard.
    Fault(String),
    /// A second has passed.
    Tick,
}

/// A message of the fleet.
#[derive(Debug, Clone)]
pub enum Heard {
    /// One that could be read.
    Message(Arc<Observed>),
    /// One that could not.
    Malformed {
        /// Its subject.
        subject: String,
        /// Why not.
        error: DecodeError,
    },
}

impl Heard {
    /// Whether it tells no more than that a service is alive.
    pub(super) fn is_beat(&self) -> bool {
        matches!(self, Self::Message(message)
            if matches!(message.decoded.message, Message::Heartbeat(_)))
    }
}

/// A part of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub since: DateTime<Utc>,
    /// Its end; `None`: the present.
    pub until: Option<DateTime<Utc>>,
}

/// What the stream of alarms tells.
#[derive(Debug, Clone)]
pub enum AlarmNews {
    /// A message of it.
    Record {
        /// Where it stands.
        address: Address,
        /// What it says.
        record: Arc<Record>,
        /// Its place in the stream.
        stamp: Stamp,
    },
    /// All that the stream holds has been told.
    Current,
    /// It cannot be read at present: why.
    Interrupted(String),
}

/// What an operator does about alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmAct {
    /// Acknowledges them.
    Acknowledge,
    /// Stores a note.
    Note,
    /// Silences them for some time.
    Shelve,
}

impl AlarmAct {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Note => "note",
            Self::Shelve => "shelve",
        }
    }

    /// What has been done.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::Note => "noted",
            Self::Shelve => "shelved",
        }
    }
}

/// What is to be stored about alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmRequest {
    /// What is done.
    pub act: AlarmAct,
    /// The messages.
    pub records: Vec<Record>,
    /// The episodes that were drawn when it was asked for.
    pub about: Vec<Episode>,
    /// The shelf that the record changes: its id, and the sequence number of its newest message.
    pub shelf: Option<(String, u64)>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmReply {
    /// What was to be stored.
    pub request: AlarmRequest,
    /// The sequence number of the last message, or why it was not stored.
    pub outcome: Result<u64, String>,
}

/// What the streams hold of the past.
#[derive(Debug, Clone)]
pub struct PastRead {
    /// From when on it is whole.
    pub since: DateTime<Utc>,
    /// All that was known then.
    pub before: Fleet,
    /// What was stored since.
    pub messages: Vec<Heard>,
    /// What happened since.
    pub transitions: Vec<Transition>,
    /// What is missing in it, in words.
    pub problems: Vec<String>,
}

/// The verdicts of a period.
#[derive(Debug, Clone)]
pub struct PeriodRead {
    /// All that is known of it.
    pub chronicle: Arc<Chronicle>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

/// What the mouse did, by what is under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mouse {
    /// A click.
    Click(Spot),
    /// The wheel, by so many lines; down is positive.
    Wheel(Spot, i32),
}

/// What is at a place on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// This row of the table, counted from the first of all.
    Row(usize),
    /// This row of the block of problems, counted from the first of all.
    Problem(usize),
    /// This row of the page of alarms, counted from the first of all.
    Alarm(usize),
    /// This row of the timeline, counted from the first of all, and this column.
    Moment(usize, usize),
    /// A column's title.
    Title(Column),
    /// The detail pane.
    Detail,
    /// The events, or the logs.
    Lower,
    /// A command in the footer.
    Command(Command),
    /// A line of the list in front: palette, action menu.
    Choice(usize),
    /// Nothing that answers.
    Nothing,
}

/// How the link stands, in the broker's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFacts {
    /// Never connected yet.
    Connecting {
        /// Since when it is tried.
        since: DateTime<Utc>,
        /// Attempts that failed.
        attempts: u32,
        /// Why the last one did.
        why: Option<String>,
    },
    /// Connected.
    Up {
        /// Since when.
        since: DateTime<Utc>,
        /// When it was lost before, if it was.
        lost: Option<DateTime<Utc>>,
        /// The server's address.
        server: String,
        /// Round trip, in microseconds.
        rtt_us: Option<u64>,
        /// Whether JetStream answers; `None`: not known yet.
        jetstream: Option<bool>,
        /// Whether the streams are read and the broker's clock is still not known, so that ages
        /// are by this machine's clock.
        clock_unchecked: bool,
    },
    /// Was connected.
    Down {
        /// Since when.
        since: DateTime<Utc>,
        /// Attempts that failed.
        attempts: u32,
        /// Why it was lost, or why the last attempt failed.
        why: Option<String>,
    },
    /// There is no link: a recording is played.
    Recording {
        /// The file's name.
        file: String,
    },
}

impl LinkFacts {
    /// What the fleet's model wants to know of it, as far as the connection itself knows.
    pub fn for_fleet(&self) -> Link {
        match self {
            Self::Connecting { since, .. } | Self::Down { since, .. } => {
                Link::Down { since: *since }
            }
            Self::Up { since, lost: Some(lost), .. } => Link::Back { lost: *lost, since: *since },
            Self::Up { lost: None, .. } | Self::Recording { .. } => Link::Steady,
        }
    }

    /// Whether messages can come.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. } | Self::Recording { .. })
    }
}

/// News of a log that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct LogNews {
    /// Whose.
    pub service: Arc<str>,
    /// What came; or why nothing does.
    pub outcome: Result<Vec<LogLine>, String>,
    /// How its runs ended, as far as that is told now.
    pub runs: Vec<LogRun>,
    /// Whether it replaces what was there, or goes on from it.
    pub whole: bool,
}

/// What services use, as launchers have answered.
#[derive(Debug, Clone, Default)]
pub struct UsageNews {
    /// Those that answered.
    pub answers: Vec<Answer>,
    /// Launchers that gave no answer, and why.
    pub problems: Vec<(Arc<str>, String)>,
    /// The figures of one service, with those of the last minutes.
    pub history: Option<(Arc<str>, ServiceFigures)>,
}

/// A program that is run in the terminal: no shell takes part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What it is called in messages.
    pub name: String,
    /// The program, and its arguments.
    pub arguments: Vec<String>,
    /// Its output stays until Enter is pressed.
    pub waits: bool,
}

/// What the dashboard wants done by the program around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// End.
    Quit,
    /// Give the terminal back and stop, as ctrl-z does.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Put this text on the person's clipboard.
    Copy(String),
    /// Write this JSON document into a file of its own.
    Save(String),
    /// Ask a launcher for something.
    Request(Request),
    /// Ask these launchers which profiles they have.
    AskProfiles(Vec<Arc<str>>),
    /// Ask launchers what would change in a profile.
    PlanProfile {
        /// Which; `None`: without one.
        name: Option<Arc<str>>,
        /// Which launchers.
        launchers: Vec<Arc<str>>,
    },
    /// Read a service's log and follow it.
    FetchLogs {
        /// Whose.
        service: Arc<str>,
        /// The launcher that holds it.
        launcher: Option<Arc<str>>,
        /// How many of its last lines.
        lines: u64,
    },
    /// Write the lines of the log that are shown into a new file of this name.
    SaveLog(String),
    /// Show the lines of the log that are shown in the person's pager.
    PageLog,
    /// Run a program that has the terminal until it ends.
    Run(Program),
    /// Read what tells why a service is as it is.
    Explain(Box<Subject>),
    /// Ask launchers what services use.
    AskUsage {
        /// Which launchers.
        launchers: Vec<Arc<str>>,
        /// The service of which the last minutes are wanted, and its launcher.
        history: Option<(Arc<str>, Arc<str>)>,
    },
    /// Follow that log no longer.
    DropLogs,
    /// Read what the streams hold of this time.
    LoadHistory(Span),
    /// Read the verdicts of this time; what is being read for another one is not wanted any more.
    ReadTimeline(Span),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Store something about alarms.
    Alarm(AlarmRequest),
}
