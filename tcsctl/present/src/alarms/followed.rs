//! What has changed about alarms since the last look.

use std::collections::BTreeMap;
use std::sync::Arc;

use tcs_alarms::{AlarmId, AlarmState, AlarmView, Delivery, Place, Severity, watching};
use tcs_fleet::FleetView;
use tcs_wire::Timestamp;

use super::{Line, Look, Role, mark, remarks, role, state, text, watched};

/// What was known of alarms at the last look.
#[derive(Debug, Default)]
pub struct Followed {
    known: BTreeMap<AlarmId, Facts>,
    watched: Option<bool>,
}

/// What is told of an alarm: a change of it is news.
#[derive(Debug, PartialEq)]
struct Facts {
    state: AlarmState,
    severity: Severity,
    raised: Timestamp,
    occurrences: u32,
    chatter: bool,
    acked: Option<Place>,
    shelf: Option<String>,
    suppressed_by: Option<AlarmId>,
    told: Vec<(Arc<str>, u32, Timestamp)>,
}

/// What is news.
#[derive(Debug)]
pub struct News<'a> {
    alarms: Vec<&'a AlarmView>,
    watched: bool,
}

impl Facts {
    fn of(view: &AlarmView) -> Self {
        let record = view.record();
        let done = view.told.iter().filter(|(_, sent)| sent.record.st == Delivery::Done);
        Self {
            state: view.state,
            severity: record.severity,
            raised: record.episode.raised,
            occurrences: record.occurrences,
            chatter: record.chatter,
            acked: view.acked.as_ref().map(|acked| acked.original().place),
            shelf: view.shelved.as_ref().map(|shelved| shelved.id.clone()),
            suppressed_by: view.suppressed_by.clone(),
            told: done
                .map(|(channel, sent)| (Arc::clone(channel), sent.record.step, sent.record.due))
                .collect(),
        }
    }
}

impl Followed {
    /// What differs from the last look; these are the alarms that are wanted, those that are over too.
    pub fn take<'a>(&mut self, views: &[&'a AlarmView], fleet: &FleetView) -> News<'a> {
        let is_watched = Some(watching(fleet).next().is_some());
        let watched = self.watched.is_some() && self.watched != is_watched;
        self.watched = is_watched;
        let mut alarms = Vec::new();
        for view in views {
            let facts = Facts::of(view);
            if self.known.get(&view.id) != Some(&facts) {
                self.known.insert(view.id.clone(), facts);
                alarms.push(*view);
            }
        }
        News { alarms, watched }
    }
}

impl News<'_> {
    /// Whether nothing has changed.
    pub const fn is_empty(&self) -> bool {
        self.alarms.is_empty() && !self.watched
    }

    /// A line for each, with its time.
    pub fn lines(&self, fleet: &FleetView, look: &Look) -> Vec<Line> {
        let time = || Line::new().with(Role::Dim, &look.times.stamp(fleet.now, fleet.now));
        let line = |view: &&AlarmView| {
            let ((sign, colour), severity) = (mark(view), view.record().severity);
            let mut line = time().with(colour, &format!("  {sign} "));
            line.push(Role::Text, &text::shown(&view.id.to_string()));
            line.push(role(severity), &format!("  {severity}"));
            line.push(colour, &format!("  {}  ", state(view)));
            line.extend(remarks(view, fleet, look));
            line
        };
        let mut lines: Vec<Line> = self.alarms.iter().map(line).collect();
        if self.watched {
            let mut line = time().with(Role::Text, "  ");
            line.extend(watched(fleet, look));
            lines.push(line);
        }
        lines
    }
}
