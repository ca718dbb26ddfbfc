//! The life of one alarm: from its condition at each moment to the records of its state
//! (`docs/spec/alarms.md#life-of-an-alarm`).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Timestamp;

use crate::alarms::Held;
use crate::findings::Finding;
use crate::id::{AlarmId, Episode};
use crate::record::{Condition, Notify, Place, StateRecord, Why};
use crate::rules::Terms;

/// So many raises in this time are chatter.
const CHATTER: [(usize, TimeDelta); 2] = [(3, TimeDelta::seconds(60)), (5, TimeDelta::minutes(10))];
/// Raises are remembered for this long.
const REMEMBERED: TimeDelta = TimeDelta::minutes(10);
/// Chatter ends after this time without a raise.
const QUIET: TimeDelta = TimeDelta::minutes(5);
/// Clocks of two sentinels differ by less: a raise that is later has a wrong date, and counts for nothing.
const AHEAD: TimeDelta = TimeDelta::seconds(5);
/// A raise in chatter is noted once in this time.
const NOTED: TimeDelta = TimeDelta::seconds(30);

/// What is not stored of an alarm: since when its condition holds, or does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Watch {
    holds: Option<DateTime<Utc>>,
    over: Option<DateTime<Utc>>,
    uncaused: Option<DateTime<Utc>>,
}

impl Watch {
    /// Takes in whether the condition holds.
    pub(crate) fn observe(&mut self, finding: Option<&Finding>, now: DateTime<Utc>) {
        let Some(finding) = finding else {
            *self = Self { over: Some(self.over.unwrap_or(now)), ..Self::default() };
            return;
        };
        // what is seen for the first time may have held before; what was over has not
        let known = finding.since.filter(|since| *since < now && self.over.is_none());
        self.holds = self.holds.or(known).or(Some(now));
        self.over = None;
        self.uncaused = match finding.cause {
            Some(_) => None,
            None => self.uncaused.or(Some(now)),
        };
    }

    /// Time that does not count: we could not see.
    pub(crate) fn freeze(&mut self, by: TimeDelta) {
        for moment in [&mut self.holds, &mut self.over, &mut self.uncaused] {
            *moment = moment.map(|moment| moment + by);
        }
    }

    /// Whether the condition has held for as long as the rule says.
    fn is_ripe(&self, finding: &Finding, terms: &Terms, now: DateTime<Utc>) -> bool {
        let delay = terms.held.delta() + finding.wait;
        self.holds.is_some_and(|since| now >= since + delay)
    }

    fn is_over(&self, terms: &Terms, now: DateTime<Utc>) -> bool {
        self.over.is_some_and(|since| now >= since + terms.clear_after.delta())
    }
}

/// One alarm at one moment.
pub(crate) struct Case<'a> {
    pub(crate) id: &'a AlarmId,
    pub(crate) held: Option<&'a Held<StateRecord>>,
    /// Whether somebody has acknowledged the episode.
    pub(crate) acked: bool,
    pub(crate) finding: Option<&'a Finding>,
    pub(crate) terms: Terms,
    pub(crate) evidence: BTreeMap<String, Place>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) by: &'a str,
}

impl Case<'_> {
    /// The record to be written, if the state changes.
    pub(crate) fn next(&self, watch: &Watch) -> Option<StateRecord> {
        if self.is_behind() {
            return None;
        }
        let state = self.held.map_or(Condition::Normal, |held| held.record.state);
        match (state, self.held, self.finding) {
            (Condition::Active, Some(held), Some(finding)) => self.go_on(held, finding, watch),
            (Condition::Active, Some(held), None) => self.end(held, watch),
            (Condition::Returned, Some(held), None) if self.acked => {
                Some(self.ended(held, Condition::Normal))
            }
            (Condition::Returned, Some(held), Some(finding)) if !self.acked => {
                let is_ripe = watch.is_ripe(finding, &self.terms, self.now);
                is_ripe.then(|| self.raise_again(held, finding))
            }
            (Condition::Normal | Condition::Returned, _, Some(finding)) => {
                watch.is_ripe(finding, &self.terms, self.now).then(|| self.raise(finding))
            }
            (Condition::Active | Condition::Normal | Condition::Returned, _, _) => None,
        }
    }

    /// Whether the record rests on newer messages than we have: then another sentinel has seen more.
    fn is_behind(&self) -> bool {
        let held = self.held.into_iter().flat_map(|held| &held.record.evidence);
        held.into_iter().any(|(kind, place)| self.evidence.get(kind).is_some_and(|own| own < place))
    }

    fn raise(&self, finding: &Finding) -> StateRecord {
        let (raises, chatter) = self.raises();
        let severity = self.terms.severity;
        StateRecord {
            episode: Episode::new(self.id.clone(), self.now),
            rev: 1,
            state: Condition::Active,
            severity,
            max_severity: severity,
            since: self.now.into(),
            verdict: finding.verdict.map(|verdict| verdict.to_string()),
            reasons: finding.reasons.clone(),
            message: finding.message.clone(),
            cause: finding.cause.clone(),
            occurrences: 1,
            chatter,
            evidence: self.evidence.clone(),
            by: self.by.to_owned(),
            notify: self.notify(if chatter { Why::Chatter } else { Why::Raised }),
            raised: None,
            raises,
        }
    }

    fn raise_again(&self, held: &Held<StateRecord>, finding: &Finding) -> StateRecord {
        let record = &held.record;
        StateRecord {
            episode: record.episode.clone(),
            rev: record.rev.saturating_add(1),
            max_severity: record.max_severity.max(self.terms.severity),
            occurrences: record.occurrences.saturating_add(1),
            ..self.raise(finding)
        }
    }

    /// What stays active may become worse, get or lose its cause, or end to come and go.
    fn go_on(
        &self,
        held: &Held<StateRecord>,
        finding: &Finding,
        watch: &Watch,
    ) -> Option<StateRecord> {
        let mut next = self.following(held);
        let severity = self.terms.severity;
        if severity > next.severity {
            next.notify = self.notify(Why::Severity);
        }
        (next.severity, next.max_severity) = (severity, next.max_severity.max(severity));
        let uncaused =
            watch.uncaused.is_some_and(|at| self.now >= at + self.terms.clear_after.delta());
        if finding.cause.is_some() {
            next.cause.clone_from(&finding.cause);
        } else if next.cause.is_some() && uncaused {
            (next.cause, next.notify) = (None, self.notify(Why::CauseEnded));
        }
        let verdict = finding.verdict.map(|verdict| verdict.to_string());
        if verdict != next.verdict {
            next.verdict = verdict;
            next.reasons.clone_from(&finding.reasons);
            next.message.clone_from(&finding.message);
        }
        if next.chatter {
            self.note_chatter(&mut next, watch);
        }
        self.differs(held, &next).then_some(next)
    }

    /// In chatter: another raise, or the end of it.
    fn note_chatter(&self, next: &mut StateRecord, watch: &Watch) {
        let last = self.last_raise(&next.raises);
        let risen = watch.holds.filter(|at| last.is_none_or(|last| *at > last + NOTED));
        if let Some(risen) = risen {
            next.raises = self.remembered(&next.raises);
            next.raises.push(risen.into());
        } else if last.is_none_or(|last| self.now >= last + QUIET) {
            (next.chatter, next.notify) = (false, self.notify(Why::ChatterEnded));
        }
    }

    fn end(&self, held: &Held<StateRecord>, watch: &Watch) -> Option<StateRecord> {
        let record = &held.record;
        let last = self.last_raise(&record.raises);
        let restless = record.chatter && last.is_some_and(|last| self.now < last + QUIET);
        if restless || !watch.is_over(&self.terms, self.now) {
            return None;
        }
        let seen = self.acked || !self.terms.latch;
        Some(self.ended(held, if seen { Condition::Normal } else { Condition::Returned }))
    }

    fn ended(&self, held: &Held<StateRecord>, state: Condition) -> StateRecord {
        let since = self.now.into();
        StateRecord { state, since, chatter: false, ..self.following(held) }
    }

    /// The record that follows `held`, written by us.
    fn following(&self, held: &Held<StateRecord>) -> StateRecord {
        StateRecord {
            rev: held.record.rev.saturating_add(1),
            evidence: self.evidence.clone(),
            by: self.by.to_owned(),
            raised: Some(held.raised()),
            ..(*held.record).clone()
        }
    }

    /// Whether it says anything new.
    fn differs(&self, held: &Held<StateRecord>, next: &StateRecord) -> bool {
        let same = self.following(held);
        *next != StateRecord { evidence: next.evidence.clone(), ..same }
    }

    fn notify(&self, why: Why) -> Notify {
        Notify { at: self.now.into(), why }
    }

    /// The raises of the last time, this one too, and whether they are chatter.
    fn raises(&self) -> (Vec<Timestamp>, bool) {
        let before = self.held.map(|held| held.record.raises.as_slice()).unwrap_or_default();
        let mut raises = self.remembered(before);
        raises.push(self.now.into());
        let within = |time| raises.iter().filter(|at| self.now - at.time() <= time).count();
        let chatter = CHATTER.into_iter().any(|(count, time)| within(time) >= count);
        (raises, chatter)
    }

    fn remembered(&self, raises: &[Timestamp]) -> Vec<Timestamp> {
        let lately = -AHEAD..=REMEMBERED;
        let recent = raises.iter().filter(|at| lately.contains(&(self.now - at.time())));
        recent.copied().collect()
    }

    fn last_raise(&self, raises: &[Timestamp]) -> Option<DateTime<Utc>> {
        raises.iter().map(|at| at.time()).filter(|at| *at - self.now <= AHEAD).max()
    }
}

#[cfg(test)]
mod tests;
