//! What people see of an alarm at one moment (`docs/spec/alarms.md#states`).

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_fleet::{Filter, FleetView};

use crate::alarms::{Acks, Alarms, Held, Records, Shelf};
use crate::id::AlarmId;
use crate::record::{AckOp, AckRecord, Condition, SentRecord, ShelfMatch, StateRecord, Why};

/// Where an alarm is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmState {
    /// Its condition holds, and nobody has acknowledged it.
    Active,
    /// Its condition is over, and nobody has seen it.
    Returned,
    /// Its condition holds, and somebody has acknowledged it.
    Acked,
    /// Nothing to do.
    Normal,
}

impl AlarmState {
    /// The word, as in `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Returned => "returned",
            Self::Acked => "acked",
            Self::Normal => "normal",
        }
    }
}

impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A shelf that covers an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// The shelf's id.
    pub id: String,
    /// The shelf.
    pub shelf: Shelf,
}

/// One alarm at one moment.
#[derive(Debug, Clone)]
pub struct AlarmView {
    /// Which.
    pub id: AlarmId,
    /// The newest record of its condition.
    pub held: Held<StateRecord>,
    /// Where it is in its life.
    pub state: AlarmState,
    /// The acknowledgement that counts.
    pub acked: Option<Held<AckRecord>>,
    /// What ended the last acknowledgement: an `unack`, or one that has expired.
    pub(crate) reopened_by: Option<Held<AckRecord>>,
    /// The shelf that covers it, of several the one that ends last.
    pub shelved: Option<Shelved>,
    /// The active alarm that explains this one.
    pub suppressed_by: Option<AlarmId>,
    /// While it is active and not acknowledged: since when it demands attention, and why.
    pub open: Option<(DateTime<Utc>, Why)>,
    /// What was sent about its episode, by channel.
    pub told: Vec<(Arc<str>, Held<SentRecord>)>,
}

impl AlarmView {
    /// What its record says.
    pub fn record(&self) -> &StateRecord {
        &self.held.record
    }

    /// Whether people are to be notified: active, and neither acknowledged, shelved nor explained
    /// by another alarm.
    pub fn is_loud(&self) -> bool {
        self.state == AlarmState::Active && self.shelved.is_none() && self.suppressed_by.is_none()
    }

    /// In the order of the list: what nobody has seen first, then by severity, then the newest.
    fn rank(&self) -> impl Ord + use<> {
        let hidden = self.shelved.is_some() || self.suppressed_by.is_some();
        let record = self.record();
        (
            self.state == AlarmState::Normal,
            hidden,
            self.state,
            Reverse(record.severity),
            Reverse(record.since),
        )
    }
}

impl Alarms {
    /// All alarms at `now`, those that need attention first. `fleet` decides what shelves cover.
    pub fn views(&self, now: DateTime<Utc>, fleet: &FleetView) -> Vec<AlarmView> {
        let scopes = Shelves::of(self);
        let all = self.records.iter();
        let mut views: Vec<AlarmView> =
            all.filter_map(|(id, records)| self.view(id, records, &scopes, now, fleet)).collect();
        views.sort_by_cached_key(AlarmView::rank);
        views
    }

    fn view(
        &self,
        id: &AlarmId,
        records: &Records,
        scopes: &Shelves<'_>,
        now: DateTime<Utc>,
        fleet: &FleetView,
    ) -> Option<AlarmView> {
        let held = records.state.clone()?;
        let standing = Standing::of(&held, records.acks.get(&held.record.episode.raised), now);
        let covering = || scopes.covering(id, fleet);
        let in_force = covering().filter(|(_, shelf)| shelf.end() > now);
        let shelved = in_force.max_by_key(|(_, shelf)| shelf.end());
        let shelved =
            shelved.map(|(id, shelf)| Shelved { id: id.to_owned(), shelf: shelf.clone() });
        let open = (standing.state == AlarmState::Active).then(|| {
            let ended = covering().map(|(_, shelf)| shelf.end()).filter(|end| *end <= now).max();
            let ended = ended.map(|end| (end, Why::ShelfEnded));
            let notify = held.record.notify;
            let raised = (notify.at.time(), notify.why);
            let reopened = standing.reopened().map(|at| (at, Why::Unacknowledged));
            [reopened, ended]
                .into_iter()
                .flatten()
                .fold(raised, |a, b| if b.0 > a.0 { b } else { a })
        });
        let told = records.sent.iter();
        let told = told.filter(|(_, sent)| sent.record.episode == held.record.episode);
        let told = told.map(|(channel, sent)| (Arc::clone(channel), sent.clone())).collect();
        let suppressed_by = held.record.cause.clone().filter(|cause| self.is_active(cause));
        let Standing { state, acked, reopened_by } = standing;
        Some(AlarmView {
            id: id.clone(),
            held,
            state,
            acked,
            reopened_by,
            shelved,
            suppressed_by,
            open,
            told,
        })
    }

    /// Whether the condition of an alarm holds.
    pub(crate) fn is_active(&self, alarm: &AlarmId) -> bool {
        self.state(alarm).is_some_and(|held| held.record.state == Condition::Active)
    }
}

/// What condition and acknowledgements come to.
pub(crate) struct Standing {
    pub(crate) state: AlarmState,
    pub(crate) acked: Option<Held<AckRecord>>,
    /// What took an acknowledgement back last, or the one that expired last.
    reopened_by: Option<Held<AckRecord>>,
}

impl Standing {
    pub(crate) fn of(held: &Held<StateRecord>, acks: Option<&Acks>, now: DateTime<Utc>) -> Self {
        let record = &held.record;
        let raised = held.raised();
        let covering =
            || acks.into_iter().flat_map(|acks| acks.covering(record.max_severity, raised));
        let expired = |ack: &&Held<AckRecord>| {
            ack.record.expires.is_some_and(|expires| expires.time() <= now)
        };
        // what has been seen is over for good
        let is_over = record.state == Condition::Returned;
        let acked = covering().filter(|ack| is_over || !expired(ack));
        let acked = acked.max_by_key(|ack| ack.original()).cloned();
        let state = match (record.state, &acked) {
            (Condition::Normal, _) | (Condition::Returned, Some(_)) => AlarmState::Normal,
            (Condition::Returned, None) => AlarmState::Returned,
            (Condition::Active, Some(_)) => AlarmState::Acked,
            (Condition::Active, None) => AlarmState::Active,
        };
        let unack = acks.and_then(Acks::unack).filter(|unack| unack.original().place > raised);
        let reopened_by = unack.into_iter().chain(covering().filter(expired));
        let reopened_by = reopened_by.max_by_key(|record| ended_at(record)).cloned();
        Self { state, acked, reopened_by }
    }

    /// When an acknowledgement expired or was taken back last.
    fn reopened(&self) -> Option<DateTime<Utc>> {
        self.reopened_by.as_ref().map(ended_at)
    }
}

/// When an `unack` took effect, or an acknowledgement expired.
fn ended_at(held: &Held<AckRecord>) -> DateTime<Utc> {
    let expires = held.record.expires.filter(|_| held.record.op == AckOp::Ack);
    expires.unwrap_or(held.original().at).time()
}

/// All shelves, with their filters read.
pub(crate) struct Shelves<'a>(Vec<(&'a str, &'a Shelf, Option<Filter>)>);

impl<'a> Shelves<'a> {
    /// A shelf whose filter cannot be read covers nothing.
    pub(crate) fn of(alarms: &'a Alarms) -> Self {
        let read = |(id, shelf): (&'a str, &'a Shelf)| {
            let covers = &shelf.held.record.covers;
            let filter = covers.filter.as_deref().map(Filter::parse).transpose().ok()?;
            Some((id, shelf, filter))
        };
        Self(alarms.shelves().filter_map(read).collect())
    }

    /// Those that cover an alarm or did so.
    fn covering<'s>(
        &'s self,
        alarm: &'s AlarmId,
        fleet: &'s FleetView,
    ) -> impl Iterator<Item = (&'a str, &'a Shelf)> + 's {
        let covering = self.0.iter().filter(|(_, shelf, filter)| {
            covers(&shelf.held.record.covers, filter.as_ref(), alarm, fleet)
        });
        covering.map(|(id, shelf, _)| (*id, *shelf))
    }
}

fn covers(by: &ShelfMatch, filter: Option<&Filter>, alarm: &AlarmId, fleet: &FleetView) -> bool {
    let rule = by.rule.as_deref().is_none_or(|rule| rule == alarm.rule());
    // an empty one would silence everything
    let named = by.rule.is_some() || filter.is_some_and(|filter| !filter.is_empty());
    rule && named && filter.is_none_or(|filter| filter_covers(filter, alarm, fleet))
}

fn filter_covers(filter: &Filter, alarm: &AlarmId, fleet: &FleetView) -> bool {
    if let Some(service) = fleet.get(alarm.object()) {
        return filter.matches(service);
    }
    let is_it = |host: &&Arc<str>| AlarmId::host_object(host) == alarm.object();
    let host = fleet.hosts.keys().find(is_it).map(|host| &**host);
    filter.matches_name(alarm.object(), host.or(alarm.host()))
}
