//! From one configuration to the next: what has to be touched, and what that does.

use std::collections::BTreeMap;

use tcs_wire::control::{ChangeKind, Consequence};

use crate::{Diff, Phase, ServiceId, Snapshot, Spec};

/// A service as configured, for comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned<F> {
    /// What the supervisor knows of it.
    pub spec: Spec,
    /// All that a running one cannot change.
    pub fixed: F,
}

/// What of a service only its next start can change: program, settings, environment.
pub trait Fixed {
    /// The names of what differs, as the file has them.
    fn differences(&self, other: &Self) -> Vec<String>;
}

/// What is different of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Touched {
    /// Which.
    pub id: ServiceId,
    /// In which way.
    pub kind: ChangeKind,
    /// The changed fields, as the file names them.
    pub fields: Vec<String>,
}

impl Touched {
    /// As before in the file, and to be in another state.
    pub fn by_state(id: ServiceId) -> Self {
        Self { id, kind: ChangeKind::Changed, fields: Vec::new() }
    }
}

/// What becomes of a service: from a supervisor before a configuration and the same one after it;
/// `None`: not there.
pub fn consequence(before: Option<&Snapshot<'_>>, after: Option<&Snapshot<'_>>) -> Consequence {
    let is_up = |it: &Snapshot<'_>| match it.phase {
        Phase::Waiting | Phase::Starting | Phase::Running | Phase::Stopping => true,
        Phase::Declared | Phase::Backoff | Phase::Stopped | Phase::Completed | Phase::Failed => {
            false
        }
    };
    let was_up = before.is_some_and(is_up);
    match after {
        Some(it) if it.phase == Phase::Stopping && it.comes_again => Consequence::Restarts,
        Some(it) if it.phase == Phase::Stopping => Consequence::Stops,
        Some(it) if is_up(it) && was_up => Consequence::GoesOn,
        Some(it) if is_up(it) => Consequence::Starts,
        // its wait for a restart goes on
        Some(it) if it.phase == Phase::Backoff => Consequence::GoesOn,
        Some(_) | None if was_up => Consequence::Stops,
        Some(_) | None => Consequence::StaysDown,
    }
}

/// What changes between two plans; services keep the order of the new one.
pub fn diff<F: Fixed>(
    old: &BTreeMap<ServiceId, Planned<F>>,
    new: &[Planned<F>],
) -> (Diff, Vec<Touched>) {
    let mut diff = Diff::default();
    let mut touched = Vec::new();
    let mut touch = |id: &ServiceId, kind, fields| {
        touched.push(Touched { id: id.clone(), kind, fields });
    };
    for planned in new {
        let spec = planned.spec.clone();
        match old.get(&spec.id) {
            None => {
                touch(&spec.id, ChangeKind::Added, Vec::new());
                diff.added.push(spec);
            }
            Some(before) => {
                let mut fields = before.fixed.differences(&planned.fixed);
                let is_fixed = !fields.is_empty();
                fields.extend(differences(&before.spec, &spec));
                if fields.is_empty() && before.spec == spec {
                    continue;
                }
                touch(&spec.id, ChangeKind::Changed, fields);
                // what is to run at all decides about the running one, too
                let is_scheduled = |spec: &Spec| spec.schedule.is_some();
                if is_fixed
                    || before.spec.enabled != planned.spec.enabled
                    || is_scheduled(&before.spec) != is_scheduled(&planned.spec)
                {
                    diff.restarted.push(spec);
                } else {
                    diff.updated.push(spec);
                }
            }
        }
    }
    let stays = |id: &ServiceId| new.iter().any(|planned| planned.spec.id == *id);
    diff.removed = old.keys().filter(|id| !stays(id)).cloned().collect();
    for id in &diff.removed {
        touch(id, ChangeKind::Removed, Vec::new());
    }
    (diff, touched)
}

/// The fields that differ, as the file names them.
fn differences(a: &Spec, b: &Spec) -> impl Iterator<Item = String> {
    let of_the_launcher = [
        ("launch.enabled", a.enabled != b.enabled),
        ("launch.schedule", a.schedule != b.schedule),
        ("restart", a.restart.when != b.restart.when),
        ("restart_sec", a.restart.delay != b.restart.delay),
        ("restart_max", a.restart.limit != b.restart.limit),
        ("restart_window", a.restart.window != b.restart.window),
        ("launch.backoff", a.restart.backoff != b.restart.backoff),
        ("launch.start_timeout", a.start_timeout != b.start_timeout),
        ("launch.stop_timeout", a.stop_timeout != b.stop_timeout),
        ("launch.after", a.after != b.after),
        ("launch.level", a.level != b.level),
    ];
    let changed = of_the_launcher.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Event, Readiness, RestartPolicy, Supervisor};

    impl Fixed for &'static str {
        fn differences(&self, other: &Self) -> Vec<String> {
            (self != other).then(|| "launch.exec".to_owned()).into_iter().collect()
        }
    }

    fn planned(id: &str, program: &'static str, level: i64) -> Planned<&'static str> {
        let spec = Spec {
            id: id.parse().unwrap(),
            enabled: true,
            schedule: None,
            restart: RestartPolicy::default(),
            readiness: Readiness::AtOnce,
            start_timeout: Duration::ZERO,
            stop_timeout: Duration::ZERO,
            after: Vec::new(),
            level,
        };
        Planned { spec, fixed: program }
    }

    fn plan(all: &[Planned<&'static str>]) -> BTreeMap<ServiceId, Planned<&'static str>> {
        all.iter().map(|it| (it.spec.id.clone(), it.clone())).collect()
    }

    #[test]
    fn only_what_changed_is_touched() {
        let old = ["same.a", "gone.a", "program.a", "level.a"].map(|id| planned(id, "x", 0));
        let new = [
            planned("new.a", "x", 0),
            planned("same.a", "x", 0),
            planned("program.a", "y", 0),
            planned("level.a", "x", 1),
        ];
        let (diff, touched) = diff(&plan(&old), &new);
        let ids = |specs: &[Spec]| -> Vec<String> {
            specs.iter().map(|spec| spec.id.to_string()).collect()
        };
        assert_eq!(ids(&diff.added), ["new.a"]);
        assert_eq!(ids(&diff.restarted), ["program.a"]);
        assert_eq!(ids(&diff.updated), ["level.a"]);
        assert_eq!(diff.removed, ["gone.a".parse().unwrap()]);

        // what it would do, a copy of the supervisor tells
        let now = Duration::ZERO;
        let mut before = Supervisor::new(8);
        let first = super::diff(&BTreeMap::new(), &old).0;
        before.handle(Event::Apply { diff: first, request: None }, now);
        let mut after = before.clone();
        after.handle(Event::Apply { diff, request: None }, now);
        let becomes: Vec<_> = touched
            .iter()
            .map(|it| {
                let (before, after) = (before.service(&it.id), after.service(&it.id));
                (it.kind, it.id.to_string(), consequence(before.as_ref(), after.as_ref()))
            })
            .collect();
        assert_eq!(
            becomes,
            [
                (ChangeKind::Added, "new.a".to_owned(), Consequence::Starts),
                (ChangeKind::Changed, "program.a".to_owned(), Consequence::Restarts),
                (ChangeKind::Changed, "level.a".to_owned(), Consequence::GoesOn),
                (ChangeKind::Removed, "gone.a".to_owned(), Consequence::Stops),
            ]
        );
        let fields = touched.iter().map(|it| it.fields.join(", ")).collect::<Vec<_>>();
        assert_eq!(fields, ["", "launch.exec", "launch.level", ""]);
    }
}
