//! Alarms: what the stream of alarms holds, folded, and what of it is shown.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_alarms::{
    Address, AlarmId, AlarmState, AlarmView, Alarms, Condition, NoteRecord, Record, RuleSet, Taken,
    taken,
};
use tcs_core::fleet::{FleetView, Order, Stamp};
use tcs_present::Role;

use super::alarm_acts::Awaited;
use super::{Moment, Page, Stale, State};
use crate::dashboard::event::AlarmNews;

/// Messages kept for moments of the past; older ones are folded, and no longer taken apart.
const MOST_KEPT: usize = 20_000;

/// A message of the stream.
type Kept = (Address, Arc<Record>, Stamp);

/// The alarms of the stream, and those of them that are shown.
#[derive(Debug, Clone, Default)]
pub struct AlarmBook {
    log: VecDeque<Kept>,
    folded: Alarms,
    /// Of the moment shown, where that is in the past.
    past: Option<(DateTime<Utc>, Alarms)>,
    /// Whether all that a stream holds has been read.
    pub is_read: bool,
    /// Why it cannot be read at present.
    pub trouble: Option<String>,
    /// The open alarms of the moment shown, those that want somebody first.
    pub views: Vec<AlarmView>,
    rules: (String, RuleSet),
    marks: BTreeMap<Arc<str>, Mark>,
    /// Row of the page that has the keys.
    pub cursor: usize,
    /// First row of the page on the screen.
    pub offset: usize,
    selected: Option<AlarmId>,
    /// Since when each alarm has demanded attention that has been told by the bell.
    rung: Option<BTreeMap<AlarmId, DateTime<Utc>>>,
    ring: Option<String>,
    pub(super) unconfirmed: Vec<Awaited>,
    pub(super) last_seq: u64,
}

/// What is said of a service in trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// One cell: `!` nobody has acknowledged it, `+` somebody has, `-` shelved.
    pub sign: &'static str,
    /// `taken by anna`; empty where nobody has acknowledged it.
    pub text: String,
    /// How it looks.
    pub role: Role,
}

impl AlarmBook {
    /// Takes in what the stream tells.
    pub(super) fn take(&mut self, news: Vec<AlarmNews>) {
        for news in news {
            match news {
                AlarmNews::Record { address, record, stamp } => {
                    if let Order::Stream { seq, .. } = stamp.order {
                        self.last_seq = seq;
                    }
                    self.folded.apply(&address, (*record).clone(), &stamp);
                    self.log.push_back((address, record, stamp));
                    if self.log.len() > MOST_KEPT {
                        self.log.pop_front();
                    }
                    self.past = None;
                }
                AlarmNews::Current => (self.is_read, self.trouble) = (true, None),
                AlarmNews::Interrupted(why) => self.trouble = Some(why),
            }
        }
    }

    /// The records of the moment shown.
    fn shown(&self) -> &Alarms {
        self.past.as_ref().map_or(&self.folded, |(_, alarms)| alarms)
    }

    /// The records of now.
    pub(super) const fn folded(&self) -> &Alarms {
        &self.folded
    }

    /// Makes what is shown anew.
    pub(super) fn rebuild(&mut self, picture: &FleetView, moment: &Moment) {
        match moment {
            Moment::Past { at, .. } if self.past.as_ref().is_none_or(|(of, _)| of != at) => {
                self.past = Some((*at, self.until(*at)));
            }
            Moment::Past { .. } => {}
            Moment::Live | Moment::Paused { .. } => self.past = None,
        }
        let mut views = self.shown().views(picture.now, picture);
        views.retain(|view| view.state != AlarmState::Normal);
        self.views = views;
        self.renew_rules();
        self.marks = self.marks_of(picture);
        let kept = self.selected.as_ref();
        let kept = kept.and_then(|id| self.views.iter().position(|view| view.id == *id));
        self.select(kept.unwrap_or(self.cursor));
        if matches!(moment, Moment::Live) && self.is_read {
            self.listen();
        }
    }

    fn until(&self, at: DateTime<Utc>) -> Alarms {
        let mut alarms = Alarms::new();
        let stored = self.log.iter().filter(|(_, _, stamp)| stamp.stored <= at);
        for (address, record, stamp) in stored {
            alarms.apply(address, (**record).clone(), stamp);
        }
        alarms
    }

    fn renew_rules(&mut self) {
        let text = self.shown().rules().map_or("", |held| &held.record.text);
        if self.rules.0 != text || self.rules.1.rules.is_empty() {
            let rules = RuleSet::of_text(text).unwrap_or_else(|_| RuleSet::defaults());
            self.rules = (text.to_owned(), rules);
        }
    }

    fn marks_of(&self, picture: &FleetView) -> BTreeMap<Arc<str>, Mark> {
        let mut marks: BTreeMap<Arc<str>, Mark> = BTreeMap::new();
        let active = self.views.iter().filter(|view| view.record().state == Condition::Active);
        // of several alarms the one that most wants somebody
        for view in active.rev() {
            let Some(service) = picture.get(view.id.object()) else { continue };
            let (sign, role) = match view.state {
                _ if view.shelved.is_some() => ("-", Role::Dim),
                AlarmState::Acked => ("+", Role::Moving),
                _ if view.suppressed_by.is_some() => ("-", Role::Dim),
                _ => ("!", Role::Bad),
            };
            marks.insert(Arc::clone(&service.id), Mark { sign, text: String::new(), role });
        }
        for (id, how) in taken(&self.views, &self.rules.1, picture) {
            let (text, role) = match how {
                Taken::Acknowledged(ack) => {
                    let who = ack.by.split('@').next().unwrap_or_default();
                    (format!("taken by {who}"), Role::Moving)
                }
                Taken::Shelved(by) => (format!("shelved: {}", by.held.record.reason), Role::Dim),
            };
            if let Some(mark) = marks.get_mut(id) {
                (mark.text, mark.role) = (text, role);
            }
        }
        marks
    }

    /// What is said of a service, if it has an active alarm.
    pub fn mark(&self, service: &str) -> Option<&Mark> {
        self.marks.get(service)
    }

    /// The alarm in the row that has the keys.
    pub fn chosen(&self) -> Option<&AlarmView> {
        self.views.get(self.cursor)
    }

    /// The newest notes on an alarm, oldest first.
    pub fn notes<'a>(&'a self, alarm: &'a AlarmId) -> impl Iterator<Item = &'a NoteRecord> {
        self.shown().notes(alarm).map(|held| &*held.record)
    }

    /// Alarms of a service that are open.
    pub fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a AlarmView> {
        self.views.iter().filter(move |view| view.id.object() == service)
    }

    /// What became of an alarm by now, whatever moment is shown.
    pub(super) fn present(&self, id: &AlarmId, picture: &FleetView) -> Option<AlarmView> {
        self.folded.views(picture.now, picture).into_iter().find(|view| view.id == *id)
    }

    /// Chooses a row of the page.
    pub(super) fn select(&mut self, row: usize) {
        self.cursor = row.min(self.views.len().saturating_sub(1));
        self.selected = self.chosen().map(|view| view.id.clone());
    }

    /// Keeps the chosen row on the screen.
    pub(super) fn scroll(&mut self, rows: usize) {
        let rows = rows.max(1);
        self.offset = self.offset.min(self.cursor).max((self.cursor + 1).saturating_sub(rows));
        self.offset = self.offset.min(self.views.len().saturating_sub(rows));
    }

    /// Notes what demands attention since the last look; at the first look everything is known.
    fn listen(&mut self) {
        let loud = self.views.iter().filter(|view| view.is_loud());
        let open: BTreeMap<AlarmId, DateTime<Utc>> =
            loud.filter_map(|view| Some((view.id.clone(), view.open?.0))).collect();
        let Some(before) = self.rung.replace(open) else { return };
        let is_news = |view: &&AlarmView| {
            let at = view.open.map(|(at, _)| at).filter(|_| view.is_loud());
            at.is_some_and(|at| before.get(&view.id).is_none_or(|known| *known < at))
        };
        let news: Vec<&AlarmView> = self.views.iter().filter(is_news).collect();
        self.ring = match &news[..] {
            [] => self.ring.take(),
            [view] => {
                let record = view.record();
                let message = record.message.as_deref().unwrap_or_default();
                let text = format!("{}: {}: {message}", record.severity, view.id);
                Some(text.trim_end_matches([':', ' ']).to_owned())
            }
            several => Some(format!("{} new alarms", several.len())),
        };
    }

    /// What the bell is to tell, once.
    pub fn take_ring(&mut self) -> Option<String> {
        self.ring.take()
    }
}

impl State {
    /// Lines of the list on the page of alarms.
    pub fn alarm_rows(&self) -> usize {
        let rows = self.page_rows();
        rows.saturating_sub(self.alarm_detail_rows(rows))
    }

    /// Lines below the list that tell all about the chosen alarm; none where there is little room.
    pub const fn alarm_detail_rows(&self, rows: usize) -> usize {
        if rows < 12 { 0 } else { rows / 3 }
    }

    /// Alarms that the keys act on: the chosen one, or those of the chosen service.
    pub fn alarm_targets(&self) -> Vec<&AlarmView> {
        match (self.page, self.chosen()) {
            (Page::Alarms, _) => self.alarms.chosen().into_iter().collect(),
            (_, Some(service)) => self.alarms.of(&service.id).collect(),
            (_, None) => Vec::new(),
        }
    }

    /// Goes from an alarm to its service.
    pub(super) fn open_service_of_alarm(&mut self) {
        let object = self.alarms.chosen().map(|view| view.id.object().to_owned());
        let service = object.as_deref().and_then(|id| self.picture.get(id));
        let Some(id) = service.map(|service| Arc::clone(&service.id)) else {
            self.tell("this alarm is about no service", false);
            return;
        };
        self.problems.focus = false;
        self.table.reveal(&id, &self.picture);
        self.table.choose_service(id, &self.picture, self.rows());
        self.table.pin();
        self.page = Page::Detail;
        self.scrolled = 0;
        self.stale = Stale::Now;
    }
}
