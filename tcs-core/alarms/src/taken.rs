//! Which services somebody has in hand: what is wrong with them is acknowledged or shelved
//! (`docs/spec/alarms.md#states`).

use std::collections::BTreeMap;

use tcs_fleet::{FleetView, ServiceView, Verdict};

use crate::alarms::Shelf;
use crate::record::{AckRecord, Condition};
use crate::rules::{RuleSet, When, built_in};
use crate::view::AlarmView;

/// Why nobody needs to look after a service.
#[derive(Debug, Clone, Copy)]
pub enum Taken<'a> {
    /// Somebody has seen what is wrong with it.
    Acknowledged(&'a AckRecord),
    /// It is planned work.
    Shelved(&'a Shelf),
}

/// The services whose present verdict has alarms, all of which are acknowledged or shelved. What is
/// explained by another alarm is as that one.
pub fn taken<'a>(
    views: &'a [AlarmView],
    rules: &RuleSet,
    fleet: &FleetView,
) -> BTreeMap<&'a str, Taken<'a>> {
    let by_id: BTreeMap<_, _> = views.iter().map(|view| (&view.id, view)).collect();
    let cause = |view: &AlarmView| by_id.get(view.suppressed_by.as_ref()?).copied();
    let mut all: BTreeMap<&str, Option<Taken<'_>>> = BTreeMap::new();
    for view in views.iter().filter(|view| view.record().state == Condition::Active) {
        let Some(service) = fleet.get(view.id.object()) else { continue };
        if !is_about(view.id.rule(), rules, service) {
            continue;
        }
        let own = of(view).or_else(|| of(cause(view)?));
        let before = all.get(view.id.object()).copied();
        all.insert(view.id.object(), before.map_or(own, |before| Some(both(before?, own?))));
    }
    all.into_iter().filter_map(|(id, taken)| Some((id, taken?))).collect()
}

fn of(view: &AlarmView) -> Option<Taken<'_>> {
    let shelved = view.shelved.as_ref().map(|shelved| Taken::Shelved(&shelved.shelf));
    shelved.or_else(|| Some(Taken::Acknowledged(&view.acked.as_ref()?.record)))
}

/// What is shelved in part only is still wrong.
const fn both<'a>(one: Taken<'a>, other: Taken<'a>) -> Taken<'a> {
    match one {
        Taken::Acknowledged(_) => one,
        Taken::Shelved(_) => other,
    }
}

/// Whether an alarm tells of the verdict that the service has now: that a metric is shelved says
/// nothing of a failure.
fn is_about(rule: &str, rules: &RuleSet, service: &ServiceView) -> bool {
    match rules.rules.get(rule).map(|rule| &rule.when) {
        None => matches!(rule, built_in::LAUNCHER_LOST | built_in::SENTINEL_LOST),
        Some(When { verdict, reason, .. }) if verdict.is_empty() => {
            let is_mild =
                matches!(service.verdict, Verdict::Late | Verdict::Degraded | Verdict::Restarting);
            is_mild && service.reasons.iter().any(|it| reason.iter().any(|code| code == it.code()))
        }
        Some(When { verdict, .. }) => verdict.contains(&service.verdict),
    }
}
