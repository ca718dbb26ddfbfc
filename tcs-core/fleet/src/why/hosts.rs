//! What messages say about hosts: reboots, clock steps, and processes that the kernel killed because
//! memory ran out.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_wire::control::HostFigures;
use tcs_wire::{Message, Meta};

use super::Told;
use crate::transitions::boots::{BOOT_ID, Boots, boot_id, booted};
use crate::view::FleetView;

/// A clock that changes by less is being corrected slowly, or the message was under way.
const STEP: TimeDelta = TimeDelta::seconds(1);

/// A clock that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockStep {
    /// When the first message after it was stored.
    pub at: DateTime<Utc>,
    /// The host.
    pub host: Arc<str>,
    /// Positive: it was set forward.
    pub by: TimeDelta,
}

/// Clock steps, the first one of each host and minute. Senders give the time by a clock that can be
/// set, and the age of their run by one that cannot.
pub(super) fn clock_steps<'a>(
    view: &FleetView,
    messages: impl Iterator<Item = Told<'a>>,
) -> Vec<ClockStep> {
    let mut last: HashMap<&str, (f64, DateTime<Utc>)> = HashMap::new();
    let mut steps: Vec<ClockStep> = Vec::new();
    for (_, decoded, stamp) in messages {
        let Some((run, began)) = began(&decoded.meta) else { continue };
        let before = last.insert(&decoded.meta.sender, (run, began));
        // less far into its run: another run of the same name
        let Some((_, old)) = before.filter(|(old, _)| *old <= run) else { continue };
        let by = began - old;
        let host = decoded.message.name().and_then(|name| view.get(name)?.host.clone());
        let Some(host) = host.filter(|_| by.abs() >= STEP) else { continue };
        let is_told =
            |step: &ClockStep| step.host == host && stamp.stored - step.at < TimeDelta::minutes(1);
        if !steps.iter().any(is_told) {
            steps.push(ClockStep { at: stamp.stored, host, by });
        }
    }
    steps
}

/// How far into its run, and when that began by the sender's clock.
fn began(meta: &Meta) -> Option<(f64, DateTime<Utc>)> {
    let run = meta.run_s.filter(|run| (0.0..1e9).contains(run))?;
    let into = TimeDelta::microseconds((run * 1e6) as i64);
    Some((run, meta.ts?.time() - into))
}

/// A host that was booted.
pub(super) struct Reboot {
    pub(super) at: DateTime<Utc>,
    pub(super) host: Arc<str>,
    pub(super) launcher: Arc<str>,
}

/// Boots that the heartbeats of launchers are the first to tell of, and those of hosts that were
/// not heard of before, where they fall into the time of these messages.
pub(super) fn reboots<'a>(
    view: &FleetView,
    messages: impl Iterator<Item = Told<'a>>,
) -> Vec<Reboot> {
    let (mut boots, mut first) = (Boots::default(), None);
    let mut last: HashMap<Arc<str>, DateTime<Utc>> = HashMap::new();
    let mut all = Vec::new();
    for (_, decoded, stamp) in messages {
        let began = *first.get_or_insert(stamp.stored);
        let Message::Heartbeat(beat) = &decoded.message else { continue };
        let launcher = view.get(&beat.service_id).filter(|service| service.is_launcher);
        let Some(launcher) = launcher else { continue };
        let id = boot_id(beat.metrics.get(BOOT_ID));
        let (Some(id), Some(host)) = (id, &launcher.host) else { continue };
        let before = last.insert(Arc::clone(host), stamp.stored);
        let at = booted(&decoded.meta, beat, stamp.stored, before);
        let is_new = boots.is_new(host, id);
        let is_first = before.is_none() && at.is_some_and(|at| at > began);
        if is_new || is_first {
            let (host, launcher) = (Arc::clone(host), Arc::clone(&launcher.id));
            all.push(Reboot { at: at.unwrap_or(stamp.stored), host, launcher });
        }
    }
    all
}

/// A rise of a host's counter.
pub(super) struct Kills {
    pub(super) at: DateTime<Utc>,
    pub(super) host: Arc<str>,
    pub(super) launcher: Arc<str>,
    pub(super) count: u64,
}

/// What launchers' heartbeats tell of processes that were killed because memory ran out.
pub(super) fn kills<'a>(view: &FleetView, messages: impl Iterator<Item = Told<'a>>) -> Vec<Kills> {
    let mut last: HashMap<Arc<str>, u64> = HashMap::new();
    let mut all = Vec::new();
    for (at, host, launcher, count) in counts(view, messages) {
        let before = last.insert(Arc::clone(&host), count);
        let risen = before.map_or(0, |before| count.saturating_sub(before));
        if risen > 0 {
            all.push(Kills { at, host, launcher, count: risen });
        }
    }
    all
}

/// Whether the host of a service killed processes because memory ran out, when the service ended at
/// `end`: from the host's counter before and after it. `None`: not known.
pub fn out_of_memory<'a>(
    view: &FleetView,
    host: &str,
    end: DateTime<Utc>,
    messages: impl Iterator<Item = Told<'a>>,
) -> Option<bool> {
    let (mut before, mut after) = (None, None);
    for (at, of, _, count) in counts(view, messages) {
        if &*of == host && at <= end {
            before = Some(count);
        } else if &*of == host {
            after = after.or(Some(count));
        }
    }
    Some(before? < after?)
}

/// The counters, in the order of the messages.
fn counts<'a>(
    view: &FleetView,
    messages: impl Iterator<Item = Told<'a>>,
) -> impl Iterator<Item = (DateTime<Utc>, Arc<str>, Arc<str>, u64)> {
    messages.filter_map(|(_, decoded, stamp)| {
        let Message::Heartbeat(beat) = &decoded.message else { return None };
        let launcher = view.get(&beat.service_id).filter(|service| service.is_launcher)?;
        let count = HostFigures::read(&beat.metrics).oom_kills?;
        Some((stamp.stored, launcher.host.clone()?, Arc::clone(&launcher.id), count))
    })
}
