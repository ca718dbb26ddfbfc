//! From one configuration to the next: what has to be touched, and what that does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use tcs_core::config::{self, Awaited};
use tcs_wire::words;

use crate::{Diff, Phase, ServiceId, Snapshot, Spec};

/// A service as configured, for comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What the supervisor knows of it.
    pub spec: Spec,
    /// All that a running one cannot change (program, settings, environment): text by the name
    /// that it has in the file.
    pub fixed: BTreeMap<String, String>,
}

/// What is different of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Which.
    pub id: ServiceId,
    /// In which way.
    pub what: What,
    /// The changed fields, as the file names them.
    pub fields: Vec<String>,
}

/// In which way a service is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum What {
    Added,
    Changed,
    Removed,
}

/// What becomes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It is started.
    Starts,
    /// It is stopped, and started anew.
    Restarts,
    /// It is stopped.
    Stops,
    /// It goes on as it is; what has changed concerns the launcher alone.
    GoesOn,
    /// It is not running, and is not started for it.
    StaysDown,
}

impl Then {
    /// From a supervisor before a configuration and the same one after it; `None`: not there.
    pub fn of(before: Option<&Snapshot<'_>>, after: Option<&Snapshot<'_>>) -> Self {
        let is_up = |it: &Snapshot<'_>| match it.phase {
            Phase::Waiting | Phase::Starting | Phase::Running | Phase::Stopping => true,
            Phase::Declared
            | Phase::Backoff
            | Phase::Stopped
            | Phase::Completed
            | Phase::Failed => false,
        };
        let was_up = before.is_some_and(is_up);
        match after {
            Some(it) if it.phase == Phase::Stopping && it.comes_again => Self::Restarts,
            Some(it) if it.phase == Phase::Stopping => Self::Stops,
            Some(it) if is_up(it) && was_up => Self::GoesOn,
            Some(it) if is_up(it) => Self::Starts,
            // its wait for a restart goes on
            Some(it) if it.phase == Phase::Backoff => Self::GoesOn,
            Some(_) | None if was_up => Self::Stops,
            Some(_) | None => Self::StaysDown,
        }
    }
}

/// One service in the report of a reload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub service_id: String,
    /// In which way it is different.
    pub change: What,
    /// The changed fields, as the file names them.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What becomes of it.
    pub then: Then,
    /// It says that it is busy, and would be interrupted.
    #[serde(default)]
    pub busy: bool,
    /// Seconds from its stop signal to SIGKILL, where it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout_s: Option<f64>,
    /// What its start waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Wait>,
}

/// What a start waits for: a service, or all of lower levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// All services below this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_level: Option<i64>,
    /// Seconds after which it is started anyway.
    pub at_most_s: f64,
}

impl From<config::Wait<'_>> for Wait {
    fn from(wait: config::Wait<'_>) -> Self {
        let (service_id, below_level) = match wait.on {
            Awaited::Service(id) => (Some(id.to_string()), None),
            Awaited::LevelsBelow(level) => (None, Some(level)),
        };
        Self { service_id, below_level, at_most_s: wait.at_most.as_secs_f64() }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.service_id, self.below_level) {
            (Some(id), _) => f.write_str(id)?,
            (None, Some(level)) => write!(f, "all services below level {level}")?,
            (None, None) => f.write_str("others")?,
        }
        write!(f, " ({} at most)", seconds(self.at_most_s))
    }
}

fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A time in words.
pub fn duration(time: Duration) -> String {
    words(TimeDelta::from_std(time).unwrap_or_default())
}

/// What a reload changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// In the order of the file, then what is removed.
    pub services: Vec<Change>,
    /// How many services are as they were.
    pub unchanged: usize,
    /// What a reload cannot do, and other things to know.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl fmt::Display for Change {
    /// `changed  dome.main  is restarted, although it is busy  (launch.env, gain)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.change {
            What::Added => "added",
            What::Changed => "changed",
            What::Removed => "removed",
        };
        let then = match self.then {
            Then::Starts => "starts",
            Then::Restarts => "restarts",
            Then::Stops => "stops",
            Then::GoesOn => "goes on",
            Then::StaysDown if self.change == What::Removed => "is forgotten",
            Then::StaysDown => "is not started",
        };
        write!(f, "{what:<7}  {}  {then}", self.service_id)?;
        if self.busy && matches!(self.then, Then::Restarts | Then::Stops) {
            f.write_str(", BUSY now")?;
        }
        if !self.fields.is_empty() {
            write!(f, "  ({})", self.fields.join(", "))?;
        }
        if let Some(timeout) = self.stop_timeout_s
            && matches!(self.then, Then::Restarts | Then::Stops)
        {
            write!(f, "; stop timeout {}", seconds(timeout))?;
        }
        if !self.waits_for.is_empty() && matches!(self.then, Then::Restarts | Then::Starts) {
            let waits: Vec<_> = self.waits_for.iter().map(ToString::to_string).collect();
            write!(f, "; waits for {}", waits.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    /// A line each, and the count of the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> =
            self.notes.iter().map(|note| format!("note: {note}")).collect();
        lines.extend(self.services.iter().map(ToString::to_string));
        match (self.services.len(), self.unchanged) {
            (0, 1) => lines.push("nothing has changed (1 service)".to_owned()),
            (0, count) => lines.push(format!("nothing has changed ({count} services)")),
            (_, 0) => {}
            (_, count) => lines.push(format!("{count} unchanged")),
        }
        f.write_str(&lines.join("\n"))
    }
}

/// What changes between two plans; services keep the order of the new one.
pub fn diff(old: &BTreeMap<ServiceId, Planned>, new: &[Planned]) -> (Diff, Vec<Touched>) {
    let mut diff = Diff::default();
    let mut touched = Vec::new();
    let mut touch = |id: &ServiceId, what, fields| {
        touched.push(Touched { id: id.clone(), what, fields });
    };
    for planned in new {
        let spec = planned.spec.clone();
        match old.get(&spec.id) {
            None => {
                touch(&spec.id, What::Added, Vec::new());
                diff.added.push(spec);
            }
            Some(before) if before == planned => {}
            Some(before) => {
                touch(&spec.id, What::Changed, fields(before, planned));
                // what is to run at all decides about the running one, too
                if before.fixed != planned.fixed
                    || before.spec.kind != planned.spec.kind
                    || before.spec.enabled != planned.spec.enabled
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
        touch(id, What::Removed, Vec::new());
    }
    (diff, touched)
}

/// The fields that differ, as the file names them.
fn fields(old: &Planned, new: &Planned) -> Vec<String> {
    let mut fields: Vec<String> = old
        .fixed
        .keys()
        .chain(new.fixed.keys().filter(|name| !old.fixed.contains_key(*name)))
        .filter(|name| old.fixed.get(*name) != new.fixed.get(*name))
        .cloned()
        .collect();
    let (a, b) = (&old.spec, &new.spec);
    let of_the_launcher = [
        ("launch.enabled", a.enabled != b.enabled),
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
    fields.extend(changed.map(|(name, _)| name.to_owned()));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Kind, Readiness, Restart, Supervisor, When};

    fn planned(id: &str, program: &str, level: i64) -> Planned {
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
            start_timeout: Duration::ZERO,
            stop_timeout: Duration::ZERO,
            after: Vec::new(),
            level,
        };
        let fixed = [("launch.exec".to_owned(), program.to_owned())].into();
        Planned { spec, fixed }
    }

    fn plan(all: &[Planned]) -> BTreeMap<ServiceId, Planned> {
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
        let lines: Vec<String> = touched
            .iter()
            .map(|it| {
                let then =
                    Then::of(before.service(&it.id).as_ref(), after.service(&it.id).as_ref());
                let (service_id, fields) = (it.id.to_string(), it.fields.clone());
                let waits_for = vec![
                    Wait { service_id: Some("db.main".into()), below_level: None, at_most_s: 60.0 },
                    Wait { service_id: None, below_level: Some(1), at_most_s: 0.5 },
                ];
                Change {
                    service_id,
                    change: it.what,
                    fields,
                    then,
                    busy: false,
                    stop_timeout_s: Some(10.0),
                    waits_for,
                }
                .to_string()
            })
            .collect();
        let waits =
            "; waits for db.main (1 min at most), all services below level 1 (0.5 s at most)";
        assert_eq!(
            lines,
            [
                &format!("added    new.a  starts{waits}"),
                &format!("changed  program.a  restarts  (launch.exec); stop timeout 10 s{waits}"),
                "changed  level.a  goes on  (launch.level)",
                "removed  gone.a  stops; stop timeout 10 s",
            ]
        );
    }
}
