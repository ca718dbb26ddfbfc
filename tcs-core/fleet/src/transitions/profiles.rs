//! Moves of launchers to other profiles, as their heartbeats tell
//! (`docs/spec/history.md#profiles`).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tcs_wire::{HeartbeatMessage, Meta};

use super::{Cause, Told, Transition, Transitions};
use crate::stamp::SLACK;
use crate::view::ServiceView;
use crate::{Fleet, Verdict};

/// The profile of a launcher.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    /// `None`: it has left the one that it had.
    name: Option<Box<str>>,
    /// Since when, by the clock of its host.
    since: Option<DateTime<Utc>>,
}

/// The metric that names it.
pub(super) const PROFILE: &str = "profile";

/// What is known of the profile of a launcher.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Known {
    /// No heartbeat of it.
    #[default]
    Nothing,
    /// None has been chosen.
    None,
    /// This one.
    Profile(Profile),
}

/// What a heartbeat says; `None`: nothing.
fn told<'a>(metric: impl Fn(&str) -> Option<&'a Value>) -> Option<Profile> {
    let name = match metric(PROFILE)? {
        Value::String(name) => Some(name.as_str().into()),
        Value::Null => None,
        _ => return None,
    };
    let since = metric("profile_since").and_then(Value::as_str);
    let since = since.and_then(|since| DateTime::parse_from_rfc3339(since).ok());
    Some(Profile { name, since: since.map(|since| since.to_utc()) })
}

impl Transitions {
    /// Takes the profile that a launcher is in.
    pub(super) fn know_profile(&mut self, service: &ServiceView) {
        let metrics = service.record.last_beat().and_then(|beat| beat.metrics.as_ref());
        if !service.is_launcher || metrics.is_none() {
            return;
        }
        let profile = metrics.and_then(|metrics| told(|name| metrics.get(name)));
        let known = self.known.entry(Arc::clone(&service.id)).or_default();
        known.profile = profile.map_or(Known::None, Known::Profile);
    }

    /// That a launcher has moved to another profile, which its heartbeat is the first to tell of.
    pub(super) fn profile(
        &mut self,
        fleet: &Fleet,
        heartbeat: &Told<'_>,
        message: &HeartbeatMessage,
    ) -> Option<Transition> {
        let profile = told(|name| message.metrics.get(name));
        let known = self.known.entry(Arc::clone(heartbeat.id)).or_default();
        let Some(profile) = profile else {
            // the first heartbeats of a launcher may come before it says it
            if known.profile == Known::Nothing {
                known.profile = Known::None;
            }
            return None;
        };
        if matches!(&known.profile, Known::Profile(before) if *before == profile) {
            return None;
        }
        let before = std::mem::replace(&mut known.profile, Known::Profile(profile.clone()));
        let service = fleet.view_of(heartbeat.id, heartbeat.stored, heartbeat.link)?;
        if !service.is_launcher {
            return None;
        }
        let mut beats = service.beats().rev().map(|beat| beat.stamp.stored);
        let last = beats.find(|stored| *stored < heartbeat.stored);
        let moved = moved(heartbeat.meta, message, heartbeat.at, profile.since);
        let is_since_last = |at: DateTime<Utc>| last.is_none_or(|last| last - SLACK <= at);
        let moved = moved.filter(|at| is_since_last(*at));
        let before = match before {
            Known::Nothing => return None,
            // what it was before it said nothing is known to be none only if it has moved since
            Known::None => {
                moved?;
                None
            }
            Known::Profile(before) => before.name,
        };
        let by = message.metrics.get("profile_by").and_then(Value::as_str);
        Some(Transition {
            at: moved.unwrap_or(heartbeat.at),
            delivered_late: (heartbeat.stored - heartbeat.at).max(TimeDelta::zero()),
            id: Arc::clone(heartbeat.id),
            cause: Cause::Profile {
                name: profile.name.map(String::from),
                before: before.map(String::from),
            },
            by: by.map(str::to_owned),
            before: None,
            verdict: service.verdict,
            reasons: Vec::new(),
        })
    }
}

/// When it moved, by the broker's clock, as a heartbeat tells that was sent at `sent` by that clock.
fn moved(
    meta: &Meta,
    message: &HeartbeatMessage,
    sent: DateTime<Utc>,
    since: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let sent_by_host = meta.ts.or(message.timestamp)?.time();
    let at = since?.checked_add_signed(sent - sent_by_host)?;
    (at <= sent).then_some(at)
}

/// How grave it is: not at all.
pub(super) const SEVERITY: Verdict = Verdict::Ok;
