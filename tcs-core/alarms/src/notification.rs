//! One notification, as channels get it (`docs/spec/alarms.md#notification`).

use chrono::{DateTime, Utc};
use serde::Serialize;
use tcs_fleet::FleetView;

use crate::address::Address;
use crate::alarms::Held;
use crate::due::{Attempt, Due, of_episode};
use crate::id::{AlarmId, Episode};
use crate::record::{Delivery, Record, SentRecord, Why};
use crate::rules::{RuleSet, built_in};
use crate::severity::Severity;
use crate::view::{AlarmState, AlarmView};

/// In place of a rule, of the report of a shift.
const REPORT: &str = "report";
/// Alarms named in one digest.
const MAX_LISTED: usize = 50;

/// An alarm in a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Which.
    pub id: AlarmId,
    /// How urgent.
    pub severity: Severity,
    /// Its state.
    pub state: &'static str,
    /// In one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A notification as people get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// By which channel.
    pub channel: String,
    /// The same in each repeated attempt: receivers recognise repeats by it.
    pub episode: Episode,
    /// The name of the rule.
    pub rule: String,
    /// The service id, or another object such as `_host.<name>`.
    pub object: String,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Why the notification is sent now.
    pub why: Why,
    /// `active`, or `returned` or `normal` where it is over.
    pub state: &'static str,
    /// How urgent.
    pub severity: Severity,
    /// Since when it has been in its state.
    pub since: DateTime<Utc>,
    /// How often it was raised in this episode.
    pub occurrences: u32,
    /// The verdict of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// In one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where it says what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Which step of the escalation, from 0.
    pub step: u32,
    /// It may have been sent before.
    pub may_repeat: bool,
    /// Of a report: all of it, as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a digest: how many alarms are active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<usize>,
    /// Of a digest: the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Listed>,
}

impl Notification {
    /// Reports that the broker has not been reachable since `lost`. Nothing can be claimed then, so
    /// each sentinel sends its own.
    pub fn unreachable(channel: &str, lost: DateTime<Utc>) -> Option<Self> {
        let alarm = AlarmId::new(built_in::BROKER_UNREACHABLE, AlarmId::BROKER).ok()?;
        let message = "broker unreachable: nothing is watched".to_owned();
        // other sentinels may tell it too
        Some(Self { may_repeat: true, ..Self::unstored(channel, alarm, lost, message) })
    }

    /// A test of a channel, as urgent as a critical alarm.
    pub fn test(channel: &str, sentinel: &str, now: DateTime<Utc>) -> Option<Self> {
        let alarm = AlarmId::new(built_in::TEST, AlarmId::channel_object(channel)).ok()?;
        let message = format!("a test of the channel {channel} by {sentinel}; nothing is wrong");
        let (why, state) = (Why::Test, AlarmState::Normal.as_str());
        Some(Self { why, state, ..Self::unstored(channel, alarm, now, message) })
    }

    /// The report of a shift that the service `by` has made.
    pub fn report(
        channel: &str,
        by: &str,
        title: String,
        text: String,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let alarm = AlarmId::new(REPORT, by).ok()?;
        let (why, state, text) = (Why::Report, AlarmState::Normal.as_str(), Some(text));
        let severity = Severity::Info;
        Some(Self { why, state, severity, text, ..Self::unstored(channel, alarm, now, title) })
    }

    /// A notification without a stored record.
    fn unstored(channel: &str, alarm: AlarmId, at: DateTime<Utc>, message: String) -> Self {
        Self {
            channel: channel.to_owned(),
            rule: alarm.rule().to_owned(),
            object: alarm.object().to_owned(),
            episode: Episode::new(alarm, at),
            host: None,
            why: Why::Raised,
            state: AlarmState::Active.as_str(),
            severity: Severity::Critical,
            since: at,
            occurrences: 1,
            verdict: None,
            message: Some(message),
            help: None,
            step: 0,
            may_repeat: false,
            text: None,
            active: None,
            alarms: Vec::new(),
        }
    }
}

/// A notification and the claim that has to be stored before it may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is sent.
    pub notification: Notification,
    /// What is stored first.
    pub record: SentRecord,
    /// The last sequence number of its subject.
    pub expected: u64,
}

impl Claim {
    /// Where it is stored.
    pub fn address(&self) -> Address {
        let alarm = self.record.episode.alarm.clone();
        Address::Sent { channel: self.notification.channel.clone(), alarm }
    }

    /// What is stored after the attempt; it follows the claim.
    pub fn outcome(&self, result: Result<(), Failure>) -> Record {
        let mut record = self.record.clone();
        (record.st, record.error) = match result {
            Ok(()) => (Delivery::Done, None),
            Err(Failure { error, may_have_arrived }) => {
                if may_have_arrived {
                    record.unsure = record.unsure.max(Some(record.due));
                }
                (Delivery::Failed, Some(error))
            }
        };
        Record::Sent(record)
    }
}

/// Why a notification was not sent, as far as the sender knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub error: String,
    /// It was on its way, and there was no answer.
    pub may_have_arrived: bool,
}

impl Failure {
    /// On its way, and then no answer.
    pub fn without_answer(error: impl Into<String>) -> Self {
        Self { error: error.into(), may_have_arrived: true }
    }
}

/// A failure of a notification that was not sent, or was refused.
impl<T: Into<String>> From<T> for Failure {
    fn from(error: T) -> Self {
        Self { error: error.into(), may_have_arrived: false }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

/// What is the same of all claims of one moment.
#[derive(Clone, Copy)]
pub(crate) struct Teller<'a> {
    pub(crate) channel: &'a str,
    pub(crate) by: &'a str,
    pub(crate) rules: &'a RuleSet,
    pub(crate) fleet: &'a FleetView,
}

impl Teller<'_> {
    /// About one alarm.
    pub(crate) fn claim(
        &self,
        view: &AlarmView,
        due: &Due,
        attempt: Attempt,
        last: Option<&Held<SentRecord>>,
        expected: u64,
    ) -> Claim {
        let record = view.record();
        let service = view.id.service().and_then(|id| self.fleet.get(id));
        let notification = Notification {
            channel: self.channel.to_owned(),
            episode: record.episode.clone(),
            rule: view.id.rule().to_owned(),
            object: view.id.object().to_owned(),
            host: service.and_then(|it| it.host.as_deref().map(str::to_owned)),
            why: due.why,
            state: view.state.as_str(),
            severity: record.severity,
            since: record.since.time(),
            occurrences: record.occurrences,
            verdict: record.verdict.clone(),
            message: record.message.clone(),
            help: self.rules.rules.get(view.id.rule()).and_then(|rule| rule.help.clone()),
            step: due.step,
            may_repeat: attempt.may_repeat,
            text: None,
            active: None,
            alarms: Vec::new(),
        };
        self.with(notification, record.rev, due, attempt, last, expected)
    }

    /// About all alarms of a flood.
    pub(crate) fn digest(
        &self,
        views: &[AlarmView],
        episode: Episode,
        due: &Due,
        attempt: Attempt,
        last: Option<&Held<SentRecord>>,
        expected: u64,
    ) -> Claim {
        let loud = || views.iter().filter(|view| view.is_loud());
        let alarms = loud().take(MAX_LISTED).map(|view| Listed {
            id: view.id.clone(),
            severity: view.record().severity,
            state: view.state.as_str(),
            message: view.record().message.clone(),
        });
        let notification = Notification {
            channel: self.channel.to_owned(),
            rule: built_in::FLOOD.to_owned(),
            object: episode.alarm.object().to_owned(),
            host: None,
            why: Why::Digest,
            state: AlarmState::Active.as_str(),
            severity: loud().map(|view| view.record().severity).max().unwrap_or_default(),
            since: episode.raised.time(),
            episode,
            occurrences: 1,
            verdict: None,
            message: Some(format!("{} alarms are active", loud().count())),
            help: None,
            step: 0,
            may_repeat: attempt.may_repeat,
            text: None,
            active: Some(loud().count()),
            alarms: alarms.collect(),
        };
        self.with(notification, 0, due, attempt, last, expected)
    }

    fn with(
        &self,
        notification: Notification,
        rev: u64,
        due: &Due,
        attempt: Attempt,
        last: Option<&Held<SentRecord>>,
        expected: u64,
    ) -> Claim {
        let last = of_episode(last, &notification.episode);
        let record = SentRecord {
            episode: notification.episode.clone(),
            rev,
            step: due.step,
            st: Delivery::Claim,
            attempt: attempt.number,
            // so that it is seen why the channel fails while it is tried again
            error: last.filter(|_| attempt.number > 1).and_then(|last| last.error.clone()),
            told: last.and_then(SentRecord::told),
            unsure: last.and_then(SentRecord::unsure),
            due: due.at.into(),
            why: due.why,
            by: self.by.to_owned(),
        };
        Claim { notification, record, expected }
    }
}
