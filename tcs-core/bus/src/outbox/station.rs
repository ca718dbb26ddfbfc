//! One lane and what is known of its streams. Pure.

use std::time::{Duration, Instant};

use super::effect::{Effect, Remark, Trouble};
use super::lane::{Class, Lane, State};

/// The wait after a first failure; it doubles up to [`RETRY_AT_MOST`].
const RETRY: Duration = Duration::from_millis(250);
const RETRY_AT_MOST: Duration = Duration::from_secs(2);
/// How often the server is asked for its streams while messages fail, and while there is none.
const ASK_AGAIN: Duration = Duration::from_secs(2);
const ASK_FOR_MISSING: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Station {
    pub(super) lane: Lane,
    /// Messages are sent without a stream until asking again; `None`: a stream is there, or it is
    /// not known.
    pub(super) missing: Option<Missing>,
    /// The stream and sequence of the last acknowledgement.
    pub(super) acknowledged: Option<(String, u64)>,
    /// When a list of streams first did not have an acknowledged one.
    pub(super) missed: Option<Instant>,
    pub(super) asking: bool,
    pub(super) ask_at: Option<Instant>,
    pub(super) failures: u32,
    pub(super) retry_at: Option<Instant>,
    pub(super) trouble: Option<Trouble>,
    pub(super) logged_trouble: bool,
    /// Whether it was said that no stream is there.
    pub(super) said_missing: bool,
}

#[derive(Debug)]
pub(super) struct Missing {
    /// Somebody listens to the subject, so that a request would wait for its whole limit; or
    /// answers cannot be received at all.
    pub(super) tell: bool,
}

impl Station {
    pub(super) fn new(class: Class, max_len: usize, max_bytes: usize) -> Self {
        Self {
            lane: Lane::new(class, max_len, max_bytes),
            missing: None,
            acknowledged: None,
            missed: None,
            asking: false,
            ask_at: None,
            failures: 0,
            retry_at: None,
            trouble: None,
            logged_trouble: false,
            said_missing: false,
        }
    }

    pub(super) fn poll(
        &mut self,
        class: Class,
        link: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.lane.len() == 0 {
            return;
        }
        if self.must_ask()
            && !self.asking
            && self.ask_at.is_none_or(|at| at <= now)
            && let Some(subject) = self.lane.a_subject()
        {
            self.asking = true;
            let subject = subject.to_owned();
            let pause = if self.missing.is_some() { ASK_FOR_MISSING } else { ASK_AGAIN };
            self.ask_at = Some(now + pause);
            effects.push(Effect::AskStreams { class, subject });
        }
        if self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        self.retry_at = None;
        for serial in self.lane.ready(self.failures > 0) {
            let Some(item) = self.lane.get(serial) else { continue };
            let parcel = item.parcel.clone();
            if item.state == State::Doubtful && self.missing.is_none() {
                let attempt = self.lane.begin(serial, State::LookedUp, link);
                let after = self.acknowledged.clone();
                effects.push(Effect::LookUp { class, serial, attempt, parcel, after });
            } else {
                let attempt = self.lane.begin(serial, State::Sent, link);
                let ask = self.missing.as_ref().is_none_or(|missing| !missing.tell);
                effects.push(Effect::Send { class, serial, attempt, parcel, ask });
            }
        }
    }

    /// Whether it is to be found out what streams there are.
    pub(super) fn must_ask(&self) -> bool {
        self.failures > 0 || self.missing.is_some()
    }

    /// A message was not stored; it is tried again.
    pub(super) fn failed(
        &mut self,
        class: Class,
        serial: u64,
        why: &str,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.lane.pass_over(serial);
        let wait = (RETRY * 2_u32.pow(self.failures.min(4))).min(RETRY_AT_MOST);
        self.failures += 1;
        self.retry_at = Some(now + wait);
        let trouble = self.trouble.get_or_insert_with(|| Trouble {
            class,
            reason: why.to_owned(),
            since: now,
        });
        if trouble.reason != why {
            why.clone_into(&mut trouble.reason);
        }
        // an election takes a few seconds, and is not logged
        if self.failures > 3 || now >= trouble.since + RETRY_AT_MOST * 2 {
            self.logged_trouble = true;
            effects.push(Effect::Log(Remark::NotStored(class, why.to_owned())));
        }
    }

    /// No stream holds messages of this class.
    pub(super) fn without(
        &mut self,
        class: Class,
        why: &str,
        tell: bool,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        (self.failures, self.retry_at, self.trouble, self.logged_trouble) = (0, None, None, false);
        self.ask_at = Some(now + ASK_FOR_MISSING);
        if let Some(missing) = &mut self.missing {
            missing.tell |= tell;
            return;
        }
        self.missing = Some(Missing { tell });
        if !std::mem::replace(&mut self.said_missing, true) {
            effects.push(Effect::Log(Remark::NoStream(class, why.to_owned())));
        }
    }
}
