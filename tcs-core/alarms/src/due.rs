//! What must be notified by which channel, and who sends it (`docs/spec/alarms.md#notification`).
//!
//! Nothing is remembered beside the stream: what was sent is compared with what is due, so that any
//! sentinel goes on where another one ended.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::Timestamp;

use crate::alarms::Held;
use crate::id::Episode;
use crate::record::{Condition, Delivery, SentRecord, Why};
use crate::rules::Step;
use crate::view::AlarmView;

/// How long a sentinel that has claimed a notification has to send it.
pub const LEASE: TimeDelta = TimeDelta::seconds(30);
/// From a failed attempt to the next one: 2 s, 4 s, ... up to this.
const MAX_BACKOFF: TimeDelta = TimeDelta::seconds(60);

/// From the failed attempt of this number, from 1, to the next one.
pub fn pause_after(attempt: u32) -> TimeDelta {
    TimeDelta::seconds(2_i64 << attempt.saturating_sub(1).min(6)).min(MAX_BACKOFF)
}

/// A notification that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Since when.
    pub(crate) at: DateTime<Utc>,
    /// Which step of the escalation.
    pub(crate) step: u32,
    /// What.
    pub(crate) why: Why,
}

/// A notification that may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// From 1.
    pub(crate) number: u32,
    /// It may have arrived before.
    pub(crate) may_repeat: bool,
}

/// What a channel has to send about an alarm by now, whether it was sent or not.
pub(crate) fn due(
    view: &AlarmView,
    steps: &[Step],
    channel: &str,
    now: DateTime<Utc>,
) -> Option<Due> {
    if view.record().state != Condition::Active {
        let at = view.record().since.time();
        return Some(Due { at, step: 0, why: Why::Cleared });
    }
    let (from, why) = view.open.filter(|_| view.is_loud())?;
    let steps = steps.iter().zip(0..).filter(|(step, _)| step.channel.as_str() == channel);
    let reached = steps.filter_map(|(step, number)| {
        let first = from + step.after.delta();
        if first > now {
            return None;
        }
        let repeated = step.repeat.map(|repeat| {
            let times = (now - first).num_milliseconds() / repeat.delta().num_milliseconds().max(1);
            repeat.delta() * i32::try_from(times).unwrap_or_default()
        });
        let at = first + repeated.unwrap_or_default();
        let why = if at > from { Why::Escalation } else { why };
        Some(Due { at, step: number, why })
    });
    reached.max_by_key(|due| due.at)
}

/// What was sent about this episode.
pub(crate) fn of_episode<'a>(
    sent: Option<&'a Held<SentRecord>>,
    episode: &Episode,
) -> Option<&'a SentRecord> {
    sent.map(|held| &*held.record).filter(|record| record.episode == *episode)
}

/// Whether a channel still has to tell this. `digest`: the last digest by that channel.
pub(crate) fn is_wanted(
    due: &Due,
    episode: &Episode,
    sent: Option<&SentRecord>,
    digest: Option<&SentRecord>,
) -> bool {
    let told_by = |digest: &&SentRecord, at: DateTime<Utc>| {
        let told = digest.told().map(Timestamp::time);
        told.is_some_and(|told| (digest.episode.raised.time()..=told).contains(&at))
    };
    if digest.as_ref().is_some_and(|digest| told_by(digest, due.at)) {
        return false;
    }
    if due.why != Why::Cleared {
        return !is_told(due, sent);
    }
    match sent {
        // a channel that was not notified of the raise is not notified of the end
        Some(sent) if sent.why != Why::Cleared => sent.told().max(sent.unsure()).is_some(),
        Some(sent) => sent.st != Delivery::Done,
        None => digest.as_ref().is_some_and(|digest| told_by(digest, episode.raised.time())),
    }
}

fn is_told(due: &Due, sent: Option<&SentRecord>) -> bool {
    sent.and_then(SentRecord::told).is_some_and(|told| told.time() >= due.at)
}

/// Whether an alarm counts as told because that digest was sent, or will once it is. As long as one
/// does, later digests reach back as far.
pub(crate) fn relies_on(
    digest: &SentRecord,
    due: &Due,
    episode: &Episode,
    sent: Option<&SentRecord>,
) -> bool {
    let covers =
        |at: DateTime<Utc>| (digest.episode.raised.time()..=digest.due.time()).contains(&at);
    if due.why == Why::Cleared {
        return sent.is_none() && covers(episode.raised.time());
    }
    !is_told(due, sent) && covers(due.at)
}

/// Whether it may be sent now, given the last message about it.
pub(crate) fn attempt(
    held: Option<&Held<SentRecord>>,
    episode: &Episode,
    due: &Due,
    now: DateTime<Utc>,
) -> Option<Attempt> {
    let first = Attempt { number: 1, may_repeat: false };
    let Some(held) = held.filter(|held| held.record.episode == *episode) else {
        return Some(first);
    };
    let sent = &held.record;
    // what became due later was not told by it
    let may_repeat = sent.unsure().is_some_and(|unsure| unsure.time() >= due.at);
    let next = Attempt { number: sent.attempt.saturating_add(1), may_repeat };
    match sent.st {
        Delivery::Done => Some(Attempt { may_repeat, ..first }),
        Delivery::Claim => (now >= held.stored + LEASE).then_some(next),
        Delivery::Failed => (now >= held.stored + pause_after(sent.attempt)).then_some(next),
    }
}

#[cfg(test)]
mod tests;
