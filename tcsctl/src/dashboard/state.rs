//! What the dashboard knows and shows. Pure: no clock, no terminal, no network; `now` is an
//! argument, by the broker's clock.
//!
//! [`State::update`] takes an event and says what is wanted of the program around it;
//! [`State::settle`] makes the picture anew where something in it may have changed, before it is
//! drawn. Sorting, filtering and pruning happen in these two, never while drawing.

mod act;
pub mod alarm_acts;
pub mod alarms;
pub mod batch;
mod commands;
pub mod detail;
mod dialog;
mod dump;
pub mod help;
pub mod history;
mod log_page;
pub mod logs;
pub mod marks;
mod mouse;
mod navigation;
mod options;
pub mod overlay;
pub mod palette;
mod past;
pub mod picture;
mod place;
pub mod problems;
pub mod profile;
mod share;
mod stops;
pub mod table;
pub mod tape;
pub mod timeline;
mod travel;
pub mod usage;
pub mod why;
pub mod work;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::transitions::{Transition, Transitions};
use tcs_core::fleet::{Fleet, FleetView, Link, ServiceView};
use tcs_core::observer::{Hearing, Observed, Unanswered};

use super::event::{Action, Event, Heard, LinkFacts};
use super::pace::Wanted;
pub use super::page::Page;
use super::theme::ThemeName;
use alarms::AlarmBook;
use batch::Batch;
use history::{History, Shown};
use logs::Logs;
use marks::Marks;
pub use options::{Moments, Options};
use overlay::Overlay;
pub use past::{Past, Reading};
use picture::PictureOrder;
use problems::Problems;
use profile::ProfileBook;
use table::Table;
use tape::Tape;
use timeline::TimelinePage;
use usage::UsagePoll;
use why::Why;

/// Which moment is shown.
#[derive(Debug, Clone)]
pub enum Moment {
    /// Now.
    Live,
    /// The moment at which it was held; it goes on collecting.
    Paused {
        /// Messages that came since.
        waiting: u64,
    },
    /// A moment of the past.
    Past {
        /// Which.
        at: DateTime<Utc>,
        /// What was known then.
        fleet: Box<Fleet>,
    },
}

/// What keeps the picture from being the present, whole and true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Banner {
    /// A moment of the past is shown.
    Past,
    /// A moment of the past is being read.
    Reading(DateTime<Utc>),
    /// There is no connection.
    NoLink,
    /// The link is up, but something behind it does not answer.
    NoAnswer,
    /// It is held, and so many messages wait.
    Paused(u64),
    /// Everything is silent at once.
    HeartbeatsMissing,
    /// There are more services that nobody declares than there is room for.
    Flooded,
    /// The recording is at its end.
    ReplayEnded,
    /// Something could not be read.
    Gaps,
    /// All was read, and something is not in the streams.
    Record,
}

/// A line for a few seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// Whether it is bad news.
    pub bad: bool,
    until: DateTime<Utc>,
}

/// The whole state of the dashboard.
#[derive(Debug, Clone)]
pub struct State {
    /// As it was started.
    pub options: Options,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The last `now`.
    pub now: DateTime<Utc>,
    /// All that is known.
    pub fleet: Fleet,
    /// The picture that is shown.
    pub picture: FleetView,
    /// How the link stands.
    pub link: LinkFacts,
    /// Up to when the fleet could be heard.
    pub hearing: Hearing,
    /// What could not be read.
    pub gaps: Vec<String>,
    /// What is not in the streams, each in one line.
    pub record: Vec<String>,
    /// A recording has come to its end.
    pub replay_ended: bool,
    /// Which moment is shown.
    pub moment: Moment,
    /// What has been read of the past, and where somebody wants to go in it.
    pub past: Past,
    /// The messages of the last hour.
    pub tape: Tape,
    /// What happened.
    pub history: History,
    /// What of it the page of events and the detail show.
    pub shown_events: Shown,
    transitions: Transitions,
    /// Since when what comes is news; what was before is read from the streams.
    settled: Option<DateTime<Utc>>,
    /// Alarms, as the stream has them.
    pub alarms: AlarmBook,
    /// The block of what is wrong.
    pub problems: Problems,
    /// The table of services.
    pub table: Table,
    /// What fills the screen.
    pub page: Page,
    /// First line shown of the detail, and of the events counted from the newest.
    pub scrolled: usize,
    /// The log that is followed.
    pub logs: Logs,
    /// The explanation of a service.
    pub why: Why,
    /// The past as a picture.
    pub timeline: TimelinePage,
    /// Resource figures: when launchers are asked, and their answers.
    pub usage: UsagePoll,
    /// What stands in front.
    pub overlay: Option<Overlay>,
    /// The theme in use.
    pub theme: ThemeName,
    /// Whether the mouse is taken.
    pub mouse: bool,
    notice: Option<Notice>,
    /// Services that are marked.
    pub marks: Marks,
    /// The last operation on several services.
    pub batch: Option<Batch>,
    /// The profiles that launchers have, as far as they were asked.
    pub profiles: ProfileBook,
    /// Requests that are on their way.
    pub pending: usize,
    stale: Stale,
    /// A picture is being made.
    making: bool,
    /// How many services had been forgotten when the past was last cleared of them.
    cleared: u64,
}

/// Up to so many services the picture is made anew before every frame.
const SMALL_FLEET: usize = 300;

/// Why the picture must be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    Fresh,
    /// Heartbeats came, or time passed: within a second.
    Later,
    /// Other messages came: soon.
    Soon,
    /// A person wants to see something else: at once.
    Now,
}

impl State {
    /// What happened up to the moment that is shown, oldest first, as far as it is asked for.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Transition> {
        self.happened().iter().filter(|entry| self.shown_events.shows(entry))
    }

    /// Knows nothing yet.
    pub fn new(options: Options, link: LinkFacts, size: (u16, u16), now: DateTime<Utc>) -> Self {
        let fleet = Fleet::new();
        let picture = fleet.view(now, link.for_fleet());
        Self {
            problems: Problems::new(options.filter.is_empty()),
            table: Table::new(options.filter.clone(), options.all),
            theme: options.theme,
            mouse: options.mouse,
            options,
            size,
            now,
            fleet,
            picture,
            link,
            hearing: Hearing::default(),
            gaps: Vec::new(),
            record: Vec::new(),
            replay_ended: false,
            moment: Moment::Live,
            past: Past::default(),
            tape: Tape::default(),
            shown_events: Shown::default(),
            history: History::default(),
            transitions: Transitions::default(),
            settled: None,
            alarms: AlarmBook::default(),
            page: Page::Fleet,
            scrolled: 0,
            logs: Logs::default(),
            why: Why::default(),
            timeline: TimelinePage::default(),
            usage: UsagePoll::default(),
            overlay: None,
            notice: None,
            marks: Marks::default(),
            batch: None,
            profiles: ProfileBook::default(),
            pending: 0,
            stale: Stale::Now,
            making: false,
            cleared: 0,
        }
    }

    /// Takes what happened at `now`; returns what is to be done.
    pub fn update(&mut self, event: Event, now: DateTime<Utc>) -> Vec<Action> {
        self.now = now;
        let moves =
            matches!(event, Event::Key(_) | Event::Mouse(_) | Event::Resize(..) | Event::Tick);
        let mut actions = self.take_event(event);
        if moves {
            actions.extend(self.watch_log());
        }
        actions
    }

    fn take_event(&mut self, event: Event) -> Vec<Action> {
        let now = self.now;
        match event {
            Event::Key(key) => return self.key(key),
            Event::Paste(text) => self.paste(&text),
            Event::Mouse(mouse) => return self.mouse(&mouse),
            Event::Resize(columns, rows) => {
                self.size = (columns, rows);
                self.table.scroll(self.rows());
                self.problems.scroll(self.problem_lines());
            }
            Event::Heard(messages) => self.hear(messages),
            Event::Known(messages) => self.know(&messages),
            Event::Settled => {
                self.settled.get_or_insert(now);
                self.transitions.begin(&self.fleet, now, self.fleet_link(now));
                return self.begin_in_the_past();
            }
            Event::Happened(past) => {
                self.history.replace_past(past, self.settled.unwrap_or(now));
            }
            Event::Past(span, outcome) => {
                let mut actions = self.past_read(span, outcome);
                actions.extend(self.explain_when_there());
                return actions;
            }
            Event::Timeline(span, outcome) => return self.timeline_read(span, outcome),
            Event::Link(link) => {
                self.link = link;
                self.stale = Stale::Now;
            }
            Event::Contact(hearing) => self.hearing.renew(hearing),
            Event::Gaps(gaps) => self.gaps = gaps,
            Event::ReplayEnded => self.replay_ended = true,
            Event::Reply(reply) => return self.reply(&reply),
            Event::Profiles(read) => return self.profiles_read(read),
            Event::ProfilePlan(plan) => return self.profile_planned(plan),
            Event::Alarms(news) => {
                self.alarms.take(news);
                self.confirm_alarms();
                self.stale = self.stale.max(Stale::Soon);
            }
            Event::AlarmReply(reply) => self.alarm_reply(reply),
            Event::Logs(news) => self.logs.take(news),
            Event::Explained(subject, read) => self.explained(&subject, read),
            Event::Usage(news) => self.take_usage(*news),
            Event::Saved(Ok(path)) => self.tell(format!("written: {path}"), false),
            Event::Saved(Err(why)) => self.tell(format!("not written: {why}"), true),
            Event::NotRun(why) => self.tell(why, true),
            Event::Picture(made) => self.take_picture(made.map(|made| *made)),
            Event::Fault(text) => self.tell(format!("internal fault: {text}"), true),
            Event::Tick => {
                self.clear_up();
                self.stale = self.stale.max(Stale::Later);
                self.notice.take_if(|notice| notice.until <= now);
                self.past.difference.take_if(|difference| difference.until <= now);
                let mut actions = self.ask_usage();
                actions.extend(self.tick_timeline());
                return actions;
            }
        }
        Vec::new()
    }

    /// Makes the picture anew if it may have changed, and if it is time. That of a large fleet it
    /// orders: it comes as [`Event::Picture`], and until then the old one is shown.
    pub fn settle(&mut self, now: DateTime<Utc>) -> Option<PictureOrder> {
        self.now = now;
        if self.settled.is_some() {
            let news = self.transitions.advance(&self.fleet, now, self.fleet_link(now));
            self.history.extend(news);
        }
        let stale = std::mem::replace(&mut self.stale, Stale::Fresh);
        match &self.moment {
            _ if stale == Stale::Fresh => return None,
            Moment::Live if self.fleet.len() >= SMALL_FLEET => return self.order(stale),
            Moment::Live => {
                let made = self.picture_order().make();
                (self.picture, self.record) = (made.picture, made.record);
            }
            Moment::Past { at, fleet } if stale == Stale::Now => {
                self.picture = fleet.view(*at, Link::Steady);
            }
            Moment::Paused { .. } if stale == Stale::Now => {}
            Moment::Past { .. } | Moment::Paused { .. } => return None,
        }
        self.show_picture();
        None
    }

    /// For what [`State::settle`] has something left to do later; `None`: nothing.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        match self.stale {
            Stale::Fresh => None,
            Stale::Later => Some(Wanted::Beat),
            Stale::Soon | Stale::Now => Some(Wanted::News),
        }
    }

    /// The chosen service, in the picture that is shown.
    pub fn chosen(&self) -> Option<&ServiceView> {
        self.table.chosen().and_then(|id| self.picture.get(id))
    }

    /// What must be said above the picture; the gravest.
    pub fn banner(&self) -> Option<Banner> {
        match &self.moment {
            _ if let Some(at) = self.past.wanted() => Some(Banner::Reading(at)),
            Moment::Past { .. } => Some(Banner::Past),
            _ if !self.link.is_up() => Some(Banner::NoLink),
            _ if self.unanswered().is_some() => Some(Banner::NoAnswer),
            Moment::Paused { waiting } => Some(Banner::Paused(*waiting)),
            Moment::Live if self.picture.heartbeats_missing => Some(Banner::HeartbeatsMissing),
            Moment::Live if self.fleet.is_flooded() => Some(Banner::Flooded),
            Moment::Live if self.replay_ended => Some(Banner::ReplayEnded),
            Moment::Live if !self.gaps.is_empty() => Some(Banner::Gaps),
            Moment::Live if !self.record.is_empty() => Some(Banner::Record),
            Moment::Live => None,
        }
    }

    /// Who does not answer although the link is up.
    pub fn unanswered(&self) -> Option<Unanswered> {
        matches!(self.link, LinkFacts::Up { .. }).then(|| self.hearing.unanswered(self.now))?
    }

    /// The line for a few seconds, if there is one.
    pub fn notice(&self) -> Option<&Notice> {
        self.notice.as_ref()
    }

    fn hear(&mut self, messages: Vec<Heard>) {
        if let Moment::Paused { waiting } = &mut self.moment {
            *waiting += messages.len() as u64;
        }
        let mut stale = Stale::Later;
        for heard in messages {
            if !heard.is_beat() {
                stale = Stale::Soon;
            }
            match heard {
                Heard::Message(message) => {
                    self.hearing.note(&message, self.now);
                    if self.fleet.is_passing(&message.decoded.message) {
                        fold(&mut self.fleet, &message);
                        continue;
                    }
                    self.tape.push(Arc::clone(&message), &self.fleet, self.now);
                    self.take(&message);
                }
                Heard::Malformed { subject, error } => self.fleet.malformed(&subject, &error),
            }
        }
        self.stale = self.stale.max(stale);
    }

    fn know(&mut self, messages: &[Heard]) {
        for heard in messages {
            if let Heard::Message(message) = heard {
                fold(&mut self.fleet, message);
            }
        }
        self.stale = self.stale.max(Stale::Soon);
    }

    /// After a flood of services that nobody declares: forgets what it left behind.
    fn clear_up(&mut self) {
        self.fleet.clear_up(self.now);
        let evicted = self.fleet.tally().evicted;
        if evicted != self.cleared {
            self.cleared = evicted;
            self.tape.retain_settled_in(&self.fleet);
            self.transitions.retain_settled_in(&self.fleet);
            self.history.retain_settled_in(&self.fleet);
        }
    }

    /// Folds a message in; once all that is held has come, what it tells is news.
    fn take(&mut self, message: &Observed) {
        if self.settled.is_none() {
            return fold(&mut self.fleet, message);
        }
        let link = self.fleet_link(self.now);
        let Observed { subject, decoded, stamp, .. } = message;
        let news = self.transitions.take(&mut self.fleet, subject, decoded, *stamp, link);
        self.history.extend(news);
    }

    /// The link as the fleet's rules want it.
    fn fleet_link(&self, now: DateTime<Utc>) -> Link {
        self.hearing.judge(self.link.for_fleet(), now)
    }

    /// Shows a line for a few seconds.
    pub(super) fn tell(&mut self, text: impl Into<String>, bad: bool) {
        let stay = TimeDelta::seconds(if bad { 15 } else { 6 });
        self.notice = Some(Notice { text: text.into(), bad, until: self.now + stay });
    }
}

/// Folds one message into a fleet.
pub(super) fn fold(fleet: &mut Fleet, message: &Observed) {
    fleet.apply(&message.subject, &message.decoded, message.stamp);
}

/// The launcher of a service, or the launcher itself.
pub(super) fn launcher_of(service: &ServiceView) -> Option<Arc<str>> {
    if service.is_launcher { Some(Arc::clone(&service.id)) } else { service.parent.clone() }
}
