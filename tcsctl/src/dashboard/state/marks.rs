//! Services that are marked, so that one command acts on all of them. Marks stay on services, whatever
//! is filtered, folded or sorted; how many there are is always shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use tcs_core::fleet::{ServiceView, Verdict, short_host};

use super::State;

/// The names of those that are marked.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    marked: BTreeSet<Arc<str>>,
}

impl Marks {
    /// How many.
    pub fn len(&self) -> usize {
        self.marked.len()
    }

    /// Whether nothing is marked.
    pub fn is_empty(&self) -> bool {
        self.marked.is_empty()
    }

    /// Whether this one is.
    pub fn contains(&self, id: &str) -> bool {
        self.marked.contains(id)
    }

    /// In the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.marked.iter()
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.marked.remove(id);
    }

    pub(super) fn clear(&mut self) {
        self.marked.clear();
    }

    /// Marks all of these; where all are marked already, takes their marks away. How many it was, and
    /// whether they are marked now.
    fn toggle(&mut self, ids: &[Arc<str>]) -> (usize, bool) {
        if ids.iter().all(|id| self.marked.contains(id)) {
            for id in ids {
                self.marked.remove(id);
            }
            return (ids.len(), false);
        }
        let before = self.marked.len();
        self.marked.extend(ids.iter().cloned());
        (self.marked.len() - before, true)
    }
}

impl State {
    /// How many marked services the table does not show.
    pub fn marked_unseen(&self) -> usize {
        let seen =
            |row: &super::table::Row| self.marks.contains(&self.picture.services[row.service].id);
        self.marks.len() - self.table.services().filter(|row| seen(row)).count()
    }

    /// Marks the chosen service, or takes its mark away, and goes to the next row.
    pub(super) fn mark(&mut self) {
        let Some(service) = self.chosen() else { return };
        if service.is_launcher {
            let text = format!("{} is a launcher: its host's service manager runs it", service.id);
            return self.tell(text, true);
        }
        let id = Arc::clone(&service.id);
        self.marks.toggle(&[id]);
        self.step(1);
        self.scrolled = 0;
    }

    /// Marks all services in the rows of the table.
    pub(super) fn mark_shown(&mut self) {
        let services = &self.picture.services;
        let shown = self.table.services().filter(|row| !row.context);
        let shown = shown.map(|row| &services[row.service]).filter(|it| can_mark(it));
        let ids: Vec<_> = shown.map(|service| Arc::clone(&service.id)).collect();
        self.toggle_marks(&ids, "shown");
    }

    /// Marks all failed services of the chosen one's host.
    pub(super) fn mark_failed(&mut self) {
        let Some(host) = self.chosen().and_then(|service| service.host.clone()) else {
            return self.tell("the host of the selected service is not known", true);
        };
        let is_failed = |it: &&ServiceView| {
            can_mark(it) && it.verdict == Verdict::Failed && it.host.as_ref() == Some(&host)
        };
        let failed = self.picture.services.iter().filter(is_failed);
        let ids: Vec<_> = failed.map(|service| Arc::clone(&service.id)).collect();
        self.toggle_marks(&ids, &format!("failed on {}", short_host(&host)));
    }

    fn toggle_marks(&mut self, ids: &[Arc<str>], which: &str) {
        if ids.is_empty() {
            return self.tell(format!("no services {which}"), false);
        }
        let text = match self.marks.toggle(ids) {
            (n, true) => format!("{n} marked: {which}; {} in all", self.marks.len()),
            (n, false) => format!("{n} unmarked: {which}"),
        };
        self.tell(text, false);
    }

    /// Takes all marks away.
    pub(super) fn unmark_all(&mut self) {
        let n = self.marks.len();
        self.marks.clear();
        self.tell(format!("{n} unmarked"), false);
    }
}

/// Whether something can be done with it: a launcher has nobody who does.
fn can_mark(service: &ServiceView) -> bool {
    !service.is_launcher && service.managed
}
