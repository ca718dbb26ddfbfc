//! Which services are shown, in which order, and which is chosen.
//!
//! What is chosen is a service, not a row: whatever moves, the choice goes with it, and so does its
//! place on the screen. Only as long as nobody has chosen anything, it is the first that is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use tcs_core::fleet::{Filter, FleetView, ServiceView};
use tcs_present::by_host::{HostGroup, Order, groups};
use tcs_present::{columns::Column, text, usage::Usage};

/// A row: a service of the picture, and where it stands in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Index into the picture's services.
    pub service: usize,
    /// Levels above it.
    pub depth: usize,
    /// Bit n: the ancestor at level n (or the row itself) has a next sibling.
    pub more: u64,
    /// Whether there is anything below it, shown or not.
    pub parent: bool,
    /// How many services below it are not shown because it is folded.
    pub hidden: usize,
    /// It is not wanted itself: it stands here because something below it is, or because it is
    /// chosen and was wanted before.
    pub context: bool,
    /// It is no service's row, but the name of this host of [`Table::hosts`], whose services follow.
    pub heading: Option<usize>,
}

impl Row {
    /// Whether it is a service that is wrong by itself.
    fn is_wrong(&self, picture: &FleetView) -> bool {
        let is_fault = picture.services[self.service].verdict.is_fault();
        is_fault && !self.context && self.heading.is_none()
    }

    /// Of a service outside the tree.
    fn flat(service: usize) -> Self {
        Self { service, depth: 0, more: 0, parent: false, hidden: 0, context: false, heading: None }
    }
}

/// The rows of the table, and the selected service.
#[derive(Debug, Clone)]
pub struct Table {
    /// What is shown.
    pub rows: Vec<Row>,
    /// The chosen row, if there is any.
    pub cursor: usize,
    /// First row on the screen.
    pub offset: usize,
    /// By what it is sorted.
    pub sort: Column,
    /// The other way round.
    pub reverse: bool,
    /// Columns of what services use stand in the place of others.
    pub shows_usage: bool,
    /// What services use.
    pub usage: Usage,
    /// The tree of launchers, by host, or flat.
    pub view: Order,
    /// The hosts of what is shown, in the view by host.
    pub hosts: Vec<HostGroup>,
    /// What a person typed to see less.
    pub filter: Filter,
    /// Only what is wrong.
    pub faults: bool,
    /// The stopped and the declared too.
    pub all: bool,
    /// Services left out because they are stopped.
    pub left_out: usize,
    /// Services that only the filter keeps out.
    pub filtered_out: usize,
    /// Cells of the longest name, with its place in the tree, and of the longest host name.
    pub longest: (u16, u16),
    folded: BTreeSet<Arc<str>>,
    chosen: Option<Arc<str>>,
    moved: bool,
    /// What is chosen next, if nobody has chosen.
    proposed: Option<Arc<str>>,
    keeps: bool,
    /// What narrowed the rows when they were made.
    narrowed_by: (String, bool, bool),
}

impl Table {
    pub(super) fn new(filter: Filter, all: bool) -> Self {
        Self {
            rows: Vec::new(),
            cursor: 0,
            offset: 0,
            sort: Column::Verdict,
            reverse: false,
            shows_usage: false,
            usage: Usage::default(),
            view: Order::default(),
            hosts: Vec::new(),
            filter,
            faults: false,
            all,
            left_out: 0,
            filtered_out: 0,
            longest: (0, 0),
            folded: BTreeSet::new(),
            chosen: None,
            moved: false,
            proposed: None,
            keeps: false,
            narrowed_by: Default::default(),
        }
    }

    /// The name of the chosen service.
    pub fn chosen(&self) -> Option<&Arc<str>> {
        self.chosen.as_ref()
    }

    /// Whether services stand in the tree of launchers.
    pub fn in_tree(&self) -> bool {
        self.view == Order::Launcher && self.sort.in_tree()
    }

    /// Makes the rows anew for this picture.
    pub(super) fn rebuild(&mut self, picture: &FleetView, height: usize) {
        let services = &picture.services;
        let mut wanted = vec![Want::No; services.len()];
        self.left_out = 0;
        self.filtered_out = 0;
        let narrowed = !self.filter.is_empty();
        for (service, want) in services.iter().zip(&mut wanted) {
            if narrowed && !self.filter.matches(service) {
                self.filtered_out += usize::from(service.in_default);
                continue;
            }
            if self.faults && !service.verdict.is_fault() {
                self.filtered_out += usize::from(service.in_default);
            } else if service.in_default || narrowed || (self.all && service.in_all) {
                *want = Want::Itself;
            } else if service.in_all {
                self.left_out += 1;
            }
        }
        self.keep_chosen(picture, &mut wanted);
        self.hosts.clear();
        if self.in_tree() {
            context(picture, &mut wanted);
            let shown_all_the_same = services
                .iter()
                .zip(&wanted)
                .filter(|(service, want)| **want == Want::Context && service.in_default);
            self.filtered_out -= shown_all_the_same.count();
            self.rows = self.tree(picture, &wanted);
        } else {
            let mut shown: Vec<usize> =
                (0..services.len()).filter(|i| wanted[*i] != Want::No).collect();
            shown.sort_by(|a, b| self.compare(&services[*a], &services[*b]));
            if self.view == Order::Host {
                self.hosts = groups(picture, shown);
                self.rows = by_host(&self.hosts);
            } else {
                self.rows = shown.into_iter().map(Row::flat).collect();
            }
            for row in &mut self.rows {
                row.context = wanted[row.service] == Want::Context;
            }
        }
        self.longest = self.rows.iter().fold((0, 0), |(name, host), row| {
            let service = &services[row.service];
            let wide = |text: &str| text::width(text).min(500) as u16;
            let prefix = if self.in_tree() { prefix_width(row) } else { 0 };
            let name = name.max(wide(&service.id) + prefix);
            (name, host.max(service.short_host().map_or(0, wide)))
        });
        self.find_chosen(picture, height);
    }

    /// A chosen service that is no longer wanted stays, until somebody chooses another or narrows
    /// the rows in another way.
    fn keep_chosen(&mut self, picture: &FleetView, wanted: &mut [Want]) {
        let narrowed_by = (self.filter.text().to_owned(), self.faults, self.all);
        let is_same = narrowed_by == self.narrowed_by;
        self.narrowed_by = narrowed_by;
        self.keeps = false;
        let chosen = self.chosen.as_ref().filter(|_| self.moved && is_same);
        if let Some(at) = chosen.and_then(|id| picture.position(id))
            && wanted[at] == Want::No
        {
            wanted[at] = Want::Context;
            self.keeps = true;
        }
    }

    fn compare(&self, a: &ServiceView, b: &ServiceView) -> std::cmp::Ordering {
        let order = self.sort.order(a, b, &self.usage);
        if self.reverse { order.reverse() } else { order }
    }

    /// The rows in their tree. Not recursive: the network decides how deep it is.
    fn tree(&self, picture: &FleetView, wanted: &[Want]) -> Vec<Row> {
        let services = &picture.services;
        let sorted = |ids: &[usize]| {
            let mut ids: Vec<usize> =
                ids.iter().copied().filter(|i| wanted[*i] != Want::No).collect();
            ids.sort_by(|a, b| self.compare(&services[*a], &services[*b]));
            ids
        };
        let mut rows = Vec::new();
        let mut open: Vec<(std::vec::IntoIter<usize>, u64)> =
            vec![(sorted(&picture.roots).into_iter(), 0)];
        while let Some((level, above)) = open.last_mut() {
            let Some(service) = level.next() else {
                open.pop();
                continue;
            };
            let more_here = level.len() > 0;
            let above = *above;
            let depth = open.len() - 1;
            let bit = 1 << depth.min(63);
            let more = if more_here { above | bit } else { above };
            let below = sorted(&services[service].children);
            let folded = self.folded.contains(&services[service].id);
            rows.push(Row {
                service,
                depth,
                more,
                parent: !below.is_empty(),
                hidden: if folded { count_below(picture, wanted, service) } else { 0 },
                context: wanted[service] == Want::Context,
                heading: None,
            });
            if !folded && !below.is_empty() {
                open.push((below.into_iter(), more));
            }
        }
        rows
    }

    fn find_chosen(&mut self, picture: &FleetView, height: usize) {
        let line = self.cursor.saturating_sub(self.offset);
        let proposed = self.proposed.take();
        let wanted = self.chosen.as_ref().filter(|_| self.moved).or(proposed.as_ref());
        let found = wanted.and_then(|chosen| self.row_of(picture.position(chosen)?));
        self.cursor = match found {
            Some(at) => at,
            // it is not shown any more: whatever is where it was
            None if self.moved => self.cursor.min(self.rows.len().saturating_sub(1)),
            None if self.sort == Column::Verdict => self.first_fault(picture).unwrap_or(0),
            None => 0,
        };
        self.cursor = self.service_row(self.cursor);
        self.chosen = self.at(self.cursor, picture);
        self.offset = self.cursor.saturating_sub(line);
        self.scroll(height);
    }

    /// The rows of services, without the names of hosts.
    pub fn services(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.heading.is_none())
    }

    /// The row of this service of the picture.
    fn row_of(&self, service: usize) -> Option<usize> {
        self.rows.iter().position(|row| row.service == service && row.heading.is_none())
    }

    /// The nearest row that can be chosen, from this one downwards.
    fn service_row(&self, row: usize) -> usize {
        let is_service = |row: &Row| row.heading.is_none();
        let below = self.rows.iter().skip(row).position(is_service).map(|n| row + n);
        below.or_else(|| self.rows.iter().rposition(is_service)).unwrap_or(0)
    }

    /// Rows that can be chosen: how many stand above the chosen one, and how many there are.
    pub(super) fn place(&self) -> (usize, usize) {
        let count = |rows: &[Row]| rows.iter().filter(|row| row.heading.is_none()).count();
        (count(&self.rows[..self.cursor.min(self.rows.len())]), count(&self.rows))
    }

    /// The row with so many above it that can be chosen.
    pub(super) fn nth(&self, n: usize) -> usize {
        let rows = self.rows.iter().enumerate();
        let mut rows = rows.filter(|(_, row)| row.heading.is_none()).map(|(at, _)| at);
        rows.nth(n).unwrap_or(self.rows.len())
    }

    fn first_fault(&self, picture: &FleetView) -> Option<usize> {
        self.rows.iter().position(|row| row.is_wrong(picture))
    }

    /// Whether somebody has chosen.
    pub(super) fn is_moved(&self) -> bool {
        self.moved
    }

    /// Chooses this service where nobody has chosen.
    pub(super) fn propose(&mut self, service: Option<Arc<str>>) {
        self.proposed = service;
    }

    /// Whether a row stands here only because it is chosen.
    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Chooses a service; `false`: the rows must be made anew to show it.
    pub(super) fn choose_service(
        &mut self,
        service: Arc<str>,
        picture: &FleetView,
        height: usize,
    ) -> bool {
        self.moved = true;
        let row = picture.position(&service).and_then(|at| self.row_of(at));
        self.chosen = Some(service);
        self.cursor = row.unwrap_or(self.cursor);
        self.scroll(height);
        row.is_some()
    }

    /// Unfolds all that is above a service.
    pub(super) fn reveal(&mut self, service: &str, picture: &FleetView) {
        let mut above = picture.get(service).and_then(|service| service.parent.as_ref());
        // a cycle in what the network says must not hold us
        for _ in 0..MAX_INDENT {
            let Some(id) = above else { return };
            self.folded.remove(id);
            above = picture.get(id).and_then(|service| service.parent.as_ref());
        }
    }

    /// What is chosen stays so, though nobody chose it: somebody does something with it.
    pub(super) fn pin(&mut self) {
        self.moved = true;
    }

    fn at(&self, row: usize, picture: &FleetView) -> Option<Arc<str>> {
        self.rows.get(row).map(|row| Arc::clone(&picture.services[row.service].id))
    }

    /// Keeps the chosen row on the screen, and the screen full.
    pub(super) fn scroll(&mut self, height: usize) {
        let height = height.max(1);
        let margin = usize::from(height > 6);
        self.offset = self.offset.min((self.cursor).saturating_sub(margin));
        self.offset = self.offset.max((self.cursor + margin + 1).saturating_sub(height));
        self.offset = self.offset.min(self.rows.len().saturating_sub(height));
        // the name above the first service is seen with it
        if self.cursor < height && self.rows[..self.cursor].iter().all(|row| row.heading.is_some())
        {
            self.offset = 0;
        }
    }

    /// Chooses a row.
    pub(super) fn choose(&mut self, row: usize, picture: &FleetView, height: usize) {
        self.moved = true;
        self.cursor = self.service_row(row.min(self.rows.len().saturating_sub(1)));
        self.chosen = self.at(self.cursor, picture);
        self.scroll(height);
    }

    /// The next row after the chosen one that is wrong by itself, going round.
    pub(super) fn next_fault(&self, picture: &FleetView) -> Option<usize> {
        let n = self.rows.len();
        (1..=n).map(|step| (self.cursor + step) % n).find(|row| self.rows[*row].is_wrong(picture))
    }

    /// Hides what is below the chosen one; where there is nothing, goes to what is above it.
    pub(super) fn fold(&mut self, picture: &FleetView, height: usize) {
        let Some(row) = self.rows.get(self.cursor) else { return };
        let id = &picture.services[row.service].id;
        if row.parent && !self.folded.contains(id) {
            self.folded.insert(Arc::clone(id));
            self.moved = true;
            self.rebuild(picture, height);
        } else if row.depth > 0 {
            let depth = row.depth;
            let above = self.rows[..self.cursor].iter().rposition(|row| row.depth < depth);
            self.choose(above.unwrap_or(0), picture, height);
        }
    }

    /// Shows what is below the chosen one; where it is shown, goes there.
    pub(super) fn unfold(&mut self, picture: &FleetView, height: usize) {
        let Some(row) = self.rows.get(self.cursor) else { return };
        if row.parent {
            let id = Arc::clone(&picture.services[row.service].id);
            self.moved = true;
            if self.folded.remove(&id) {
                self.rebuild(picture, height);
            } else {
                self.choose(self.cursor + 1, picture, height);
            }
        }
    }

    /// Folds all under which nothing is wrong; where that is so already, unfolds all.
    pub(super) fn fold_all(&mut self, picture: &FleetView, height: usize) {
        let well: BTreeSet<Arc<str>> = picture
            .services
            .iter()
            .filter(|s| !s.children.is_empty() && s.worst_below.is_none_or(|v| !v.is_fault()))
            .map(|s| Arc::clone(&s.id))
            .collect();
        self.folded = if well.is_subset(&self.folded) { BTreeSet::new() } else { well };
        self.moved = true;
        self.rebuild(picture, height);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    No,
    Context,
    Itself,
}

/// The services of each host below its name.
fn by_host(hosts: &[HostGroup]) -> Vec<Row> {
    let rows = hosts.iter().enumerate().flat_map(|(i, host)| {
        let first = host.services.first();
        let name = first.map(|first| Row { heading: Some(i), ..Row::flat(*first) });
        name.into_iter().chain(host.services.iter().copied().map(Row::flat))
    });
    rows.collect()
}

/// Cells of what stands before a name in the tree.
pub fn prefix_width(row: &Row) -> u16 {
    let mark = if row.depth == 0 || row.parent { 2 } else { 1 };
    (row.depth.min(MAX_INDENT) * 2 + mark) as u16
}

/// Deeper levels are not moved further to the right.
pub const MAX_INDENT: usize = 12;

/// Ancestors of what is wanted are shown as well, so that it has its place.
fn context(picture: &FleetView, wanted: &mut [Want]) {
    // roots downwards, then upwards in the opposite order: each parent after all its children
    let mut order = picture.roots.clone();
    let mut at = 0;
    while at < order.len() {
        order.extend_from_slice(&picture.services[order[at]].children);
        at += 1;
    }
    for i in order.into_iter().rev() {
        let below = picture.services[i].children.iter().any(|child| wanted[*child] != Want::No);
        if wanted[i] == Want::No && below {
            wanted[i] = Want::Context;
        }
    }
}

fn count_below(picture: &FleetView, wanted: &[Want], service: usize) -> usize {
    let mut count = 0;
    let mut open = picture.services[service].children.clone();
    while let Some(i) = open.pop() {
        count += usize::from(wanted[i] == Want::Itself);
        open.extend_from_slice(&picture.services[i].children);
    }
    count
}
