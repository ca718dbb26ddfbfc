//! What changed from one picture to the next: a line each, or a JSON object (`tcsctl.change.v1`).

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tcs_fleet::{FleetView, ServiceView, Verdict};

use super::Look;
use super::json::Service;
use super::{Line, Role};

/// One change.
#[derive(Debug)]
pub enum Change<'a> {
    /// The link was lost, or is there (again).
    Link {
        /// Whether it is there.
        up: bool,
        /// When.
        now: DateTime<Utc>,
    },
    /// A service is otherwise than before.
    Service {
        /// What was said of it before; `None`: nothing.
        from: Option<Verdict>,
        /// As it is.
        service: &'a ServiceView,
    },
    /// A service is known, or listed, no longer.
    Gone {
        /// Its name.
        id: &'a str,
    },
}

/// All that is otherwise in `after`. Ages alone are no change.
pub fn between<'a>(
    before: &'a FleetView,
    after: &'a FleetView,
    wanted: impl Fn(&ServiceView) -> bool,
) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for service in after.services.iter().filter(|service| wanted(service)) {
        let old = before.get(&service.id).filter(|old| wanted(old));
        if old.is_none_or(|old| facts(old) != facts(service)) {
            changes.push(Change::Service { from: old.map(|old| old.verdict), service });
        }
    }
    let is_gone = |old: &&ServiceView| {
        wanted(old) && after.get(&old.id).is_none_or(|service| !wanted(service))
    };
    changes.extend(before.services.iter().filter(is_gone).map(|old| Change::Gone { id: &old.id }));
    changes
}

/// What of a service makes a change.
fn facts(service: &ServiceView) -> impl PartialEq + '_ {
    let codes: Vec<_> = service.reasons.iter().map(tcs_fleet::Reason::code).collect();
    (
        (service.verdict, service.phase, service.status, &service.message),
        (service.restarts, service.attempt, service.pid, &service.parent, codes),
    )
}

/// As a line for people, also for those who hear it read.
pub fn line(view: &FleetView, change: &Change<'_>, look: &Look) -> Line {
    let mut line = Line::new().with(Role::Dim, &look.times.stamp(view.now, view.now));
    line.push(Role::Text, "  ");
    match change {
        Change::Link { up: true, .. } => {
            line.push(Role::Good, "connected");
        }
        Change::Link { up: false, .. } => {
            line.push(Role::Bad, "not connected, trying for ever");
        }
        Change::Gone { id } => {
            line.push(Role::Text, id).push(Role::Dim, " is no longer listed");
        }
        Change::Service { from, service } => {
            line.push(Role::Text, &service.id).push(Role::Text, " ");
            let role = Role::from(service.verdict);
            if let Some(from) = from.filter(|from| *from != service.verdict) {
                line.push(Role::Dim, &format!("{from}, now "));
            }
            line.push(role, service.verdict.as_str());
            if let Some(attempt) = service.attempt {
                line.push(role, &format!(" {attempt}"));
            }
            let headline = service.headline();
            if !headline.is_empty() {
                line.push(Role::Text, &format!(": {headline}"));
            }
        }
    }
    line
}

/// The picture to begin with, on one line.
pub fn snapshot(view: &FleetView, wanted: impl Fn(&ServiceView) -> bool) -> impl Serialize {
    let services: Vec<Service<'_>> = view
        .services
        .iter()
        .filter(|service| wanted(service))
        .map(|service| Service::new(view, service))
        .collect();
    json!({"schema": "tcsctl.change.v1", "kind": "snapshot", "at": view.now, "services": services})
}

/// As a JSON object.
pub fn object(view: &FleetView, change: &Change<'_>) -> Value {
    let mut object = json!({"schema": "tcsctl.change.v1", "at": view.now});
    let more = match change {
        Change::Link { up, now } => json!({"kind": "link", "connected": up, "at": now}),
        Change::Gone { id } => json!({"kind": "gone", "id": id}),
        Change::Service { from, service } => json!({
            "kind": "service",
            "id": &*service.id,
            "from": from.map(Verdict::as_str),
            "service": Service::new(view, service),
        }),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}
