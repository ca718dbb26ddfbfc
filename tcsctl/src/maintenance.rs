//! Maintenance of a host, as far as `tcsctl maintenance` and the dashboard share it: what services
//! stopped for it are marked with, which services it stops, and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;

use tcs_core::fleet::{FleetView, Phase, ServiceView};
use tcs_present::selection::launcher;

const BEGIN: &str = "maintenance of ";
const THEN: &str = ": ";

/// With what the comment of each service begins that is stopped for the maintenance of what this
/// filter lets through.
pub(crate) fn prefix(filter: &str) -> String {
    format!("{BEGIN}{filter}{THEN}")
}

/// For the maintenance of what a service is stopped: the filter, as it was typed.
pub(crate) fn filter_of(service: &ServiceView) -> Option<&str> {
    let comment = &service.planned()?.comment;
    comment.strip_prefix(BEGIN)?.split_once(THEN).map(|(filter, _)| filter)
}

/// Its host; of one that waits for its first start, that of its launcher.
pub(crate) fn host_of<'a>(view: &'a FleetView, service: &'a ServiceView) -> Option<&'a Arc<str>> {
    let of_launcher = || view.get(launcher(view, service)?)?.host.as_ref();
    service.host.as_ref().or_else(of_launcher)
}

/// Whether it is stopped: what a launcher runs, or is about to.
pub(crate) fn is_to_run(service: &ServiceView) -> bool {
    let waits = matches!(service.phase, Phase::Waiting | Phase::Backoff);
    let is_up = service.phase.is_up() && service.phase != Phase::Stopping;
    service.managed && !service.is_launcher && (is_up || waits)
}

/// In which order they start: each after those in its `after`, as far as these are among them.
pub(crate) fn waves(view: &FleetView, ids: &[String]) -> Vec<Vec<String>> {
    let after = |id: &str| view.get(id).map(ServiceView::after).unwrap_or_default();
    order(ids, after)
}

fn order<'a>(ids: &[String], after: impl Fn(&str) -> &'a [String]) -> Vec<Vec<String>> {
    let mut left: BTreeSet<&String> = ids.iter().collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let is_free = |id: &&&String| !after(id).iter().any(|it| it != **id && left.contains(it));
        let mut wave: Vec<&String> = left.iter().filter(is_free).copied().collect();
        if wave.is_empty() {
            // a circle: all at once
            wave = left.iter().copied().collect();
        }
        left.retain(|id| !wave.contains(id));
        waves.push(wave.into_iter().cloned().collect());
    }
    waves
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn services_start_after_those_they_need() {
        let needs = BTreeMap::from([
            ("dome", vec!["weather".to_owned(), "elsewhere".to_owned()]),
            ("guider", vec!["dome".to_owned(), "camera".to_owned()]),
            ("a", vec!["b".to_owned()]),
            ("b", vec!["a".to_owned()]),
        ]);
        let after = |id: &str| needs.get(id).map(Vec::as_slice).unwrap_or_default();
        let ids = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            order(&ids(&["guider", "camera", "dome", "weather"]), after),
            [ids(&["camera", "weather"]), ids(&["dome"]), ids(&["guider"])]
        );
        assert_eq!(order(&ids(&["b", "a"]), after), [ids(&["a", "b"])]);
        assert_eq!(order(&[], after), Vec::<Vec<String>>::new());
    }
}
