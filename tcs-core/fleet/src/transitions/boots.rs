//! Boots of hosts, as the heartbeats of their launchers tell (`docs/spec/history.md#reboots`).

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tcs_wire::HeartbeatMessage;
use tcs_wire::control::HostFigures;

use super::{Cause, Told, Transition, Transitions};
use crate::Fleet;
use crate::view::ServiceView;
use tcs_wire::Meta;

/// Hosts of which the boot is kept.
const MAX_HOSTS: usize = 4096;

/// The last boots of one host, by their ids.
#[derive(Debug, Clone)]
struct Boot {
    id: String,
    before: Option<String>,
}

/// The last known boots of each host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Boots(HashMap<Arc<str>, Boot>);

impl Boots {
    /// Takes the id of a boot of this host; whether another one was known before. One that comes
    /// again after a newer one was delivered late.
    pub(crate) fn is_new(&mut self, host: &Arc<str>, id: &str) -> bool {
        match self.0.get_mut(host) {
            Some(boot) if boot.id == id || boot.before.as_deref() == Some(id) => false,
            Some(boot) => {
                boot.before = Some(std::mem::replace(&mut boot.id, id.to_owned()));
                true
            }
            None => {
                if self.0.len() >= MAX_HOSTS {
                    self.0.clear();
                }
                self.0.insert(Arc::clone(host), Boot { id: id.to_owned(), before: None });
                false
            }
        }
    }
}

/// The metric of a launcher's heartbeat that tells the id of its host's boot.
pub(crate) const BOOT_ID: &str = "host_boot_id";

/// What it tells.
pub(crate) fn boot_id(metric: Option<&Value>) -> Option<&str> {
    metric?.as_str().filter(|id| !id.is_empty())
}

impl Transitions {
    /// Takes the boot that is known of the host of a launcher.
    pub(super) fn know_boot(&mut self, service: &ServiceView) {
        let metrics = service.record.last_beat().and_then(|beat| beat.metrics.as_ref());
        let Some(id) = boot_id(metrics.and_then(|metrics| metrics.get(BOOT_ID))) else { return };
        let Some(host) = service.host.as_ref().filter(|_| service.is_launcher) else { return };
        self.boots.is_new(host, id);
        self.known.entry(Arc::clone(&service.id)).or_default().boot = Some(id.into());
    }

    /// A boot of its host that a launcher's heartbeat is the first to tell of.
    pub(super) fn reboot(
        &mut self,
        fleet: &Fleet,
        told: &Told<'_>,
        message: &HeartbeatMessage,
    ) -> Option<Transition> {
        let id = boot_id(message.metrics.get(BOOT_ID))?;
        if self.known.get(told.id).is_some_and(|known| known.boot.as_deref() == Some(id)) {
            return None;
        }
        let service = fleet.view_of(told.id, told.stored, told.link)?;
        let host = service.host.clone().filter(|_| service.is_launcher)?;
        self.known.entry(Arc::clone(told.id)).or_default().boot = Some(id.into());
        if !self.boots.is_new(&host, id) {
            return None;
        }
        let mut earlier = service.beats().rev().map(|beat| beat.stamp.stored);
        let last = earlier.find(|stored| *stored < told.stored);
        Some(Transition {
            at: booted(told.meta, message, told.at, last).unwrap_or(told.at),
            delivered_late: (told.stored - told.at).max(TimeDelta::zero()),
            id: Arc::clone(told.id),
            cause: Cause::Reboot { host },
            by: None,
            before: None,
            verdict: service.verdict,
            reasons: Vec::new(),
        })
    }
}

/// When the host was booted, by the broker's clock, as a heartbeat tells that was sent at `sent` by
/// that clock. `None` where that is not known, or cannot be: before `last`, the last heartbeat from
/// before the boot, or after this one.
pub(crate) fn booted(
    meta: &Meta,
    message: &HeartbeatMessage,
    sent: DateTime<Utc>,
    last: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let seconds = HostFigures::read(&message.metrics).boot_at?;
    let by_host = DateTime::from_timestamp_millis((seconds * 1000.0) as i64)?;
    let sent_by_host = meta.ts.or(message.timestamp)?.time();
    let at = by_host.checked_add_signed(sent - sent_by_host)?;
    (at <= sent && last.is_none_or(|last| last <= at)).then_some(at)
}
