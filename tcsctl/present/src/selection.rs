//! Which services of a picture are shown (`docs/spec/truth.md#what-is-listed`), and in what tree.
//! Pure.

use tcs_fleet::filter::Filter;
use tcs_fleet::{Counts, FleetView, ServiceView};

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// With the stopped and the declared.
    pub all: bool,
    /// Only these; it looks through everything.
    pub filter: Filter,
}

impl Wanted {
    /// Whether this service is shown.
    pub fn includes(&self, service: &ServiceView) -> bool {
        if self.filter.is_empty() {
            service.in_default || self.all && service.in_all
        } else {
            self.filter.matches(service)
        }
    }
}

/// The services to show, as a tree.
#[derive(Debug, Clone)]
pub struct Selection {
    /// In the order of showing: parents before those below them, siblings by id.
    pub rows: Vec<Row>,
    /// What is left out, by verdict; with a filter, nothing is counted as hidden.
    pub hidden: Counts,
}

/// One service of a [`Selection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Index into [`FleetView::services`].
    pub service: usize,
    /// 0 at the top.
    pub depth: usize,
    /// Whether it is the last below its parent.
    pub last: bool,
}

impl Selection {
    /// Chooses from `view`. A service whose parent is not shown stands below the nearest one above
    /// that is, else at the top.
    pub fn new(view: &FleetView, wanted: &Wanted) -> Self {
        let mut hidden = Counts::default();
        let filtered = !wanted.filter.is_empty();
        let shown: Vec<bool> = view
            .services
            .iter()
            .map(|service| {
                let shown = wanted.includes(service);
                if !shown && !filtered {
                    hidden.add(service.verdict);
                }
                shown
            })
            .collect();
        Self { rows: tree(view, &shown), hidden }
    }

    /// One service alone, by its name; nothing where that is not known.
    pub fn of_one(view: &FleetView, id: &str) -> Self {
        let place = view.services.iter().position(|service| *service.id == *id);
        let row = place.map(|service| Row { service, depth: 0, last: true });
        Self { rows: row.into_iter().collect(), hidden: Counts::default() }
    }

    /// Counts of what is shown.
    pub fn counts(&self, view: &FleetView) -> Counts {
        let mut counts = Counts::default();
        for row in &self.rows {
            counts.add(view.services[row.service].verdict);
        }
        counts
    }
}

/// The nearest launcher above it.
pub fn launcher<'a>(view: &'a FleetView, service: &'a ServiceView) -> Option<&'a str> {
    let mut above = service.parent.as_deref();
    // a cycle in what the network says must not hold us
    for _ in 0..64 {
        let name = above?;
        match view.get(name) {
            Some(parent) if !parent.is_launcher => above = parent.parent.as_deref(),
            Some(_) => return Some(name),
            None => return service.managed.then_some(name),
        }
    }
    None
}

/// Walks the whole tree with a stack of its own: depth is whatever the network says.
fn tree(view: &FleetView, shown: &[bool]) -> Vec<Row> {
    let mut tops = Vec::new();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); view.services.len()];
    let mut stack: Vec<(usize, Option<usize>)> =
        view.roots.iter().rev().map(|root| (*root, None)).collect();
    while let Some((service, above)) = stack.pop() {
        let mut above = above;
        if shown[service] {
            above.map_or(&mut tops, |i| &mut below[i]).push(service);
            above = Some(service);
        }
        stack.extend(view.services[service].children.iter().rev().map(|child| (*child, above)));
    }
    // children of different hidden parents meet below one that is shown
    tops.sort_unstable();
    for children in &mut below {
        children.sort_unstable();
    }

    let mut rows = Vec::with_capacity(view.services.len());
    let mut stack = Vec::new();
    let push = |stack: &mut Vec<Row>, services: &[usize], depth| {
        for (i, service) in services.iter().enumerate().rev() {
            stack.push(Row { service: *service, depth, last: i + 1 == services.len() });
        }
    };
    push(&mut stack, &tops, 0);
    while let Some(row) = stack.pop() {
        push(&mut stack, &below[row.service], row.depth + 1);
        rows.push(row);
    }
    rows
}
