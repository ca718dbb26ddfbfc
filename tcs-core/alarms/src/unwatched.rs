//! The alarms as a console shows them while no sentinel watches: what is stored, and what the same rules
//! say of the fleet now (`docs/spec/alarms.md#commands`). Nothing of it is stored, and nobody is notified.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_fleet::{FleetView, Order, Stamp};

use crate::alarms::Alarms;
use crate::findings::Situation;
use crate::intent::Intent;
use crate::rules::{RuleSet, RulesError};
use crate::sentinel::Sentinel;

impl Alarms {
    /// With what the stored rules, or the defaults, would raise. What is over may still be shown as
    /// active: since when it has been over, nobody has seen.
    pub fn unwatched(
        &self,
        fleet: &FleetView,
        missing_events: &BTreeMap<Arc<str>, u64>,
    ) -> Result<Self, RulesError> {
        let stored = self.rules().filter(|held| !held.record.text.is_empty());
        let rules = stored.map(|held| RuleSet::of_text(&held.record.text)).transpose()?;
        let rules = rules.unwrap_or_else(RuleSet::defaults);
        // it has seen the fleet for long, and nothing is to be written again
        let (started, stream) = (DateTime::<Utc>::UNIX_EPOCH, Some(DateTime::<Utc>::MIN_UTC));
        let mut sentinel = Sentinel::new("console", rules, Vec::new(), started)?;
        let situation = Situation { fleet, missing_events, stream, own: &[] };
        let mut alarms = self.clone();
        // what is explained by another alarm follows that one
        for round in 0..2 {
            for (i, intent) in sentinel.evaluate(&situation, &alarms).into_iter().enumerate() {
                let Intent::Write(write) = intent else { continue };
                let seq = (round << 32) + i as u64 + 1;
                let order = Order::Stream { created: fleet.now, seq };
                alarms.apply(&write.address, write.record, &Stamp { stored: fleet.now, order });
            }
        }
        Ok(alarms)
    }
}
