//! The sentinels of a fleet: which run, which watch, and by which channels they can notify
//! (`docs/spec/alarms.md#sentinels`).

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tcs_fleet::{FleetView, ServiceView, Verdict};

use crate::findings::Finding;
use crate::id::AlarmId;
use crate::rules::{RuleSet, built_in};

/// After this time without the broker the first sentinel sends a notification directly.
const UNREACHABLE: TimeDelta = TimeDelta::seconds(60);
/// And each further one so much later.
const RANK: TimeDelta = TimeDelta::seconds(30);
/// The only sentinel that has a channel may be restarting for so long.
const RESTART: TimeDelta = TimeDelta::seconds(30);

/// The metric of a sentinel that lists the channels it can send by.
pub const CHANNELS: &str = "channels";
/// The metric of a sentinel that says whether it watches: it has read the fleet, and can store.
pub const WATCHES: &str = "watches";

fn sentinels(fleet: &FleetView) -> impl Iterator<Item = &ServiceView> {
    fleet.services.iter().filter(|service| {
        let is_well = !matches!(service.verdict, Verdict::Lost | Verdict::Failed);
        service.service_type() == "sentinel" && service.phase.is_up() && is_well
    })
}

/// The sentinels that run, by id: those that are up, and neither lost nor failed.
pub fn running(fleet: &FleetView) -> impl Iterator<Item = &str> {
    sentinels(fleet).map(|service| &*service.id)
}

/// Those of them that say that they watch. After a start or an outage a sentinel first reads the fleet,
/// and one that cannot store anything does not watch either.
pub fn watching(fleet: &FleetView) -> impl Iterator<Item = &str> {
    let watches = |service: &&ServiceView| newest(service, WATCHES) == Some(&Value::Bool(true));
    sentinels(fleet).filter(watches).map(|service| &*service.id)
}

/// The value of a metric in the newest message that has it, of those since the last start.
fn newest<'a>(service: &'a ServiceView, metric: &str) -> Option<&'a Value> {
    let started = service.record.start().map(|start| start.stamp.stored);
    let status = service.record.status();
    let status =
        status.and_then(|it| Some((it.stamp.stored, it.message.details.metrics.get(metric)?)));
    let beat = service.record.last_beat();
    let beat = beat.and_then(|it| Some((it.stamp.stored, it.metrics.as_ref()?.get(metric)?)));
    let own = status.into_iter().chain(beat).filter(|(stored, _)| Some(*stored) >= started);
    let newest = own.max_by_key(|(stored, _)| *stored);
    newest.map(|(_, value)| value)
}

/// The channels by which a sentinel can send; `None`: it does not say.
fn channels(service: &ServiceView) -> Option<impl Iterator<Item = &str>> {
    let list = newest(service, CHANNELS)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str))
}

/// Channels that `escalate` names and no running sentinel has, in order: steps that nobody carries
/// out. None where a sentinel does not say what it has. `own`: what the caller has.
pub fn unknown_channels<'a>(
    rules: &'a RuleSet,
    fleet: &FleetView,
    own: &[String],
) -> BTreeSet<&'a str> {
    let mut known: BTreeSet<&str> = own.iter().map(String::as_str).collect();
    for sentinel in sentinels(fleet) {
        let Some(channels) = channels(sentinel) else { return BTreeSet::new() };
        known.extend(channels);
    }
    let steps = rules.escalate.values().flatten().map(|step| step.channel.as_str());
    steps.filter(|channel| !known.contains(channel)).collect()
}

/// The alarms of these, by the sentinel whose channels are `own`.
pub(crate) fn missing_channels(
    rules: &RuleSet,
    fleet: &FleetView,
    own: &[String],
) -> Vec<(AlarmId, Finding)> {
    let alarm = |channel| {
        let object = AlarmId::channel_object(channel);
        let id = AlarmId::new(built_in::CHANNEL_FAILING, object).ok()?;
        let message =
            Some(format!("no running sentinel has the channel {channel}, which `escalate` names"));
        Some((id, Finding { message, wait: RESTART, ..Finding::default() }))
    };
    unknown_channels(rules, fleet, own).into_iter().filter_map(alarm).collect()
}

/// Whether a sentinel is to tell by itself that the broker cannot be reached: each waits a while for
/// those before it, by the last view of the fleet that it had; who has never had one waits for nobody.
pub fn tells_unreachable(
    name: &str,
    seen: Option<&FleetView>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    let rank = seen.map_or(0, |fleet| running(fleet).filter(|other| *other < name).count());
    now >= since + UNREACHABLE + RANK * i32::try_from(rank).unwrap_or(i32::MAX)
}
