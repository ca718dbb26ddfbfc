//! From one configuration to the next: what has to be touched.

use std::collections::BTreeMap;

use crate::supervisor::{Diff, ServiceId, Spec};

/// A service as configured, for comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What the supervisor knows of it.
    pub spec: Spec,
    /// All that a running one cannot change: program, settings, environment.
    pub fixed: String,
}

/// What changes between two plans; services keep the order of the new one.
pub fn diff(old: &BTreeMap<ServiceId, Planned>, new: &[Planned]) -> Diff {
    let mut diff = Diff::default();
    for planned in new {
        let spec = planned.spec.clone();
        match old.get(&spec.id) {
            None => diff.added.push(spec),
            Some(before) if before == planned => {}
            // what is to run at all decides about the running one, too
            Some(before)
                if before.fixed != planned.fixed
                    || before.spec.kind != planned.spec.kind
                    || before.spec.enabled != planned.spec.enabled =>
            {
                diff.restarted.push(spec);
            }
            Some(_) => diff.updated.push(spec),
        }
    }
    let stays = |id: &ServiceId| new.iter().any(|planned| planned.spec.id == *id);
    diff.removed = old.keys().filter(|id| !stays(id)).cloned().collect();
    diff
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::supervisor::{Kind, Readiness, Restart, When};

    fn planned(id: &str, fixed: &str, level: i64) -> Planned {
        let spec = Spec {
            id: id.parse().unwrap(),
            enabled: true,
            kind: Kind::Permanent,
            restart: Restart {
                when: When::No,
                delay: Duration::ZERO,
                limit: None,
                window: Duration::ZERO,
                backoff: None,
            },
            readiness: Readiness::AtOnce,
            stop_timeout: Duration::ZERO,
            after: Vec::new(),
            level,
        };
        Planned { spec, fixed: fixed.to_owned() }
    }

    #[test]
    fn only_what_changed_is_touched() {
        let old = ["same.a", "gone.a", "program.a", "level.a"].map(|id| planned(id, "x", 0));
        let old = old.map(|planned| (planned.spec.id.clone(), planned)).into();
        let new = [
            planned("new.a", "x", 0),
            planned("same.a", "x", 0),
            planned("program.a", "y", 0),
            planned("level.a", "x", 1),
        ];
        let diff = diff(&old, &new);
        let ids = |specs: &[Spec]| -> Vec<String> {
            specs.iter().map(|spec| spec.id.to_string()).collect()
        };
        assert_eq!(ids(&diff.added), ["new.a"]);
        assert_eq!(ids(&diff.restarted), ["program.a"]);
        assert_eq!(ids(&diff.updated), ["level.a"]);
        assert_eq!(diff.removed, ["gone.a".parse().unwrap()]);
    }
}
