//! Whether the moment is quiet enough for another program to take over.

use std::collections::BTreeMap;

use crate::daemon::Daemon;
use crate::runner::ProcessParts;
use tcs_supervisor::ServiceId;

/// Services that are named.
const NAMED: usize = 3;

type Parts = BTreeMap<ServiceId, ProcessParts>;

impl Daemon<'_> {
    /// What keeps it from being quiet. `parts` come from those that stand still; without them it is
    /// only known that it may be.
    pub(super) fn unrest(&self, parts: Option<&Parts>) -> Option<String> {
        if let Some(drill) = &self.drill {
            return Some(format!("a drill is under way: {drill}"));
        }
        let moving = self.in_motion(parts);
        if !moving.is_empty() {
            return Some(format!("services are starting or stopping: {}", named(&moving)));
        }
        if !self.ended.is_empty() || self.supervisor.services().any(|it| it.leaving) {
            return Some("a service is just ending".to_owned());
        }
        let waits = !self.supervisor.owes_no_answer();
        waits.then(|| "somebody waits for the answer to a request".to_owned())
    }

    /// Processes that have not given what another program needs.
    pub(super) fn in_motion(&self, parts: Option<&Parts>) -> Vec<&ServiceId> {
        let processes = self.handles.iter().filter(|(_, it)| !it.is_task);
        let moves = processes.filter(|(id, it)| match parts {
            Some(parts) => parts.get(*id).is_none_or(|parts| parts.run != it.run),
            None => self.supervisor.service(id).is_none_or(|it| it.pid.is_none()),
        });
        moves.map(|(id, _)| id).collect()
    }
}

/// `a.x, b.x and 4 more`
fn named(ids: &[&ServiceId]) -> String {
    let names: Vec<&str> = ids.iter().take(NAMED).map(|id| id.as_str()).collect();
    let more = ids.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
