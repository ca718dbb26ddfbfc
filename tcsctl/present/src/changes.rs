//! What changed from one picture to the next: a line each, or a JSON object (`tcsctl.change.v1`).

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::{FleetView, ServiceView, Verdict};

use super::Look;
use super::json::Service;
use super::schema::VerdictWord;
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

impl Change<'_> {
    /// Its `kind` in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Link { .. } => "link",
            Self::Service { .. } => "service",
            Self::Gone { .. } => "gone",
        }
    }
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
            line.push(Role::Bad, "not connected, retrying");
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

/// As JSON: `tcsctl.change.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "change",
    title = "What `tcsctl watch --json` prints, one object per line",
    description = "First a snapshot of what is shown, then an object for each change; a change of \
                   ages alone is left out. Times are RFC 3339 in UTC; durations are in seconds. A \
                   later version of v1 only adds fields.",
    extend("$id" = "tcsctl.change.v1")
)]
pub struct Object<'a> {
    #[schemars(extend("const" = "tcsctl.change.v1"))]
    schema: &'static str,
    /// When, by the broker's clock.
    at: DateTime<Utc>,
    #[serde(flatten)]
    change: Kind<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Kind<'a> {
    /// The picture to begin with.
    Snapshot {
        /// All that is shown.
        services: Vec<Service<'a>>,
    },
    /// Something else is said of a service.
    Service {
        /// Which.
        id: &'a str,
        /// The verdict before; null: none.
        #[schemars(with = "Option<VerdictWord>")]
        from: Option<&'static str>,
        /// What is said now.
        service: Box<Service<'a>>,
    },
    /// A service is no longer listed.
    Gone {
        /// Which.
        id: &'a str,
    },
    /// The connection came or went.
    Link {
        /// Whether it is there.
        connected: bool,
    },
}

/// The picture to begin with, on one line.
pub fn snapshot(view: &FleetView, wanted: impl Fn(&ServiceView) -> bool) -> Object<'_> {
    let services = view.services.iter().filter(|service| wanted(service));
    let services = services.map(|service| Service::new(view, service)).collect();
    Object { schema: "tcsctl.change.v1", at: view.now, change: Kind::Snapshot { services } }
}

/// As a JSON object.
pub fn object<'a>(view: &'a FleetView, change: &'a Change<'a>) -> Object<'a> {
    let (at, change) = match change {
        Change::Link { up, now } => (*now, Kind::Link { connected: *up }),
        Change::Gone { id } => (view.now, Kind::Gone { id }),
        Change::Service { from, service } => {
            let (id, from) = (&*service.id, from.map(Verdict::as_str));
            let service = Box::new(Service::new(view, service));
            (view.now, Kind::Service { id, from, service })
        }
    };
    Object { schema: "tcsctl.change.v1", at, change }
}
