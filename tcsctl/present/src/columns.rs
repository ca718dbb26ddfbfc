//! The table's columns: title, width, order and cell of each in one place.

use std::cmp::Ordering;

use chrono::TimeDelta;
use tcs_fleet::{FleetView, Reason, ServiceView, Verdict};

use super::usage::Usage;
use super::{Line, Role, list, rhythm, symbols, text};

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// Symbol and word.
    Verdict,
    /// Its name, in the tree.
    Service,
    /// Where it runs.
    Host,
    /// Processor time, of one core.
    Cpu,
    /// Resident memory.
    Memory,
    /// Open descriptors.
    Descriptors,
    /// Threads.
    Threads,
    /// How its last process ended.
    Exit,
    /// Age of its last heartbeat.
    Heard,
    /// The last heartbeats, one sign each.
    Beats,
    /// Restarts in the window.
    Restarts,
    /// How long it has been up.
    Uptime,
    /// The one line that says most.
    Message,
}

/// How much room a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// This many cells.
    Fixed(u16),
    /// What its longest cell takes, between these.
    Content(u16, u16),
    /// What is left.
    Rest,
}

/// How a column stands in the table.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The heading.
    pub title: &'static str,
    /// Its room.
    pub width: Width,
    /// From how many cells of the table on it is shown.
    pub from_width: u16,
    /// Whether its cells stand at the right.
    pub right: bool,
    /// Whether `s` sorts by it.
    pub sorts: bool,
}

/// A service in a row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The picture.
    pub view: &'a FleetView,
    /// The service.
    pub service: &'a ServiceView,
    /// How many services below it are not shown because it is folded.
    pub hidden: usize,
    /// It stands here only because something below it is wanted.
    pub context: bool,
    /// What services use.
    pub usage: &'a Usage,
}

impl Column {
    /// From left to right; `s` sorts by them in this order.
    pub const ALL: [Self; 13] = [
        Self::Verdict,
        Self::Service,
        Self::Host,
        Self::Cpu,
        Self::Memory,
        Self::Descriptors,
        Self::Threads,
        Self::Exit,
        Self::Heard,
        Self::Beats,
        Self::Restarts,
        Self::Uptime,
        Self::Message,
    ];

    /// Whether it is shown: with what services use, or without.
    pub const fn is_shown(self, usage: bool) -> bool {
        match self {
            Self::Verdict | Self::Service | Self::Host | Self::Message => true,
            Self::Cpu | Self::Memory | Self::Descriptors | Self::Threads | Self::Exit => usage,
            Self::Heard | Self::Beats | Self::Restarts | Self::Uptime => !usage,
        }
    }

    /// Its place.
    pub const fn layout(self) -> Layout {
        let (title, width, from_width, right, sorts) = match self {
            Self::Verdict => ("VERDICT", Width::Fixed(14), 0, false, true),
            Self::Service => ("SERVICE", Width::Content(16, 44), 0, false, true),
            Self::Host => ("HOST", Width::Content(4, 12), 120, false, true),
            Self::Cpu => ("CPU", Width::Fixed(7), 0, true, true),
            Self::Memory => ("MEM", Width::Fixed(6), 0, true, true),
            Self::Descriptors => ("FDS", Width::Fixed(5), 0, true, true),
            Self::Threads => ("THR", Width::Fixed(5), 0, true, true),
            Self::Exit => ("EXIT", Width::Fixed(8), 0, false, true),
            // what is wrong is read in the message, which comes before all of these
            Self::Heard => ("HEARD", Width::Fixed(6), 88, true, true),
            Self::Beats => ("BEATS", Width::Fixed(10), 128, false, false),
            Self::Restarts => ("RST", Width::Fixed(5), 100, true, true),
            Self::Uptime => ("UP", Width::Fixed(7), 140, true, true),
            Self::Message => ("MESSAGE", Width::Rest, 48, false, false),
        };
        Layout { title, width, from_width, right, sorts }
    }

    /// Whether services sorted by it stand in their tree.
    pub const fn in_tree(self) -> bool {
        matches!(self, Self::Verdict | Self::Service)
    }

    /// What stands in a row, in at most `room` cells.
    pub fn cell(self, row: &Cell<'_>, room: usize) -> Line {
        let Cell { view, service, .. } = *row;
        let dim = |text: &str| Line::new().with(Role::Dim, text);
        match self {
            Self::Verdict => {
                let sign = format!("{} ", symbols::symbol(service.verdict));
                let mut line = Line::new().with(service.verdict.into(), &sign);
                line.extend(list::verdict(service, room.saturating_sub(2)));
                line
            }
            Self::Service => {
                let role = if row.is_loud() { Role::Strong } else { row.role() };
                Line::new().with(role, &list::short_name(&text::shown(&service.id), room))
            }
            Self::Host => dim(service.short_host().unwrap_or_default()),
            Self::Cpu => row.usage.cpu(service),
            Self::Memory => row.usage.memory(service),
            Self::Descriptors => row.usage.descriptors(service),
            Self::Threads => row.usage.threads(service),
            Self::Exit => row.usage.exit(service),
            Self::Heard => {
                let age = service.heartbeat_age(view.now).map(short).unwrap_or_default();
                let role = match service.verdict {
                    verdict @ (Verdict::Lost | Verdict::Late) => verdict.into(),
                    _ => Role::Dim,
                };
                Line::new().with(role, &age)
            }
            Self::Beats if service.phase.is_up() => rhythm::read(service, view.now).strip(room),
            Self::Beats => Line::new(),
            Self::Restarts => Line::new().with(Role::Moving, &list::restarts(service)),
            Self::Uptime => dim(&service.uptime(view.now).map(short).unwrap_or_default()),
            Self::Message => {
                let role = match row.role() {
                    _ if row.is_loud() => service.verdict.into(),
                    _ if is_consequence(service) => Role::Dim,
                    role => role,
                };
                Line::new().with(role, &row.message(room))
            }
        }
    }

    /// Which of two services stands first; what wants attention does.
    pub fn order(self, a: &ServiceView, b: &ServiceView, usage: &Usage) -> Ordering {
        match self {
            Self::Verdict => trouble(a).cmp(&trouble(b)),
            Self::Service | Self::Beats | Self::Message => Ordering::Equal,
            Self::Host => a.host.is_none().cmp(&b.host.is_none()).then_with(|| a.host.cmp(&b.host)),
            Self::Cpu => usage.by_cpu(a, b),
            Self::Memory => usage.by_memory(a, b),
            Self::Descriptors => usage.by_descriptors(a, b),
            Self::Threads => usage.by_threads(a, b),
            Self::Exit => usage.by_exit(a, b),
            // silent for longest first; those that never beat last
            Self::Heard => (a.last_heartbeat.is_none(), a.last_heartbeat)
                .cmp(&(b.last_heartbeat.is_none(), b.last_heartbeat)),
            Self::Restarts => b.restarts.cmp(&a.restarts),
            // started last first; those that are not up last
            Self::Uptime => {
                let key = |s: &ServiceView| s.started_at.filter(|_| s.phase.is_up());
                key(b).cmp(&key(a))
            }
        }
        .then_with(|| a.id.cmp(&b.id))
    }
}

impl Cell<'_> {
    /// Whether its trouble is its own, and to be seen.
    fn is_loud(&self) -> bool {
        self.service.verdict.is_fault() && !self.context && !is_consequence(self.service)
    }

    fn role(&self) -> Role {
        let is_quiet = self.context || self.service.verdict == Verdict::Stopped;
        if is_quiet { Role::Dim } else { Role::Text }
    }

    fn message(&self, room: usize) -> String {
        let service = self.service;
        if is_consequence(service) {
            return "lost with its launcher".to_owned();
        }
        if self.hidden == 0 {
            return list::headline_text(self.view, service, room);
        }
        let worst = service.worst_below.filter(|worst| worst.is_fault());
        let worst = worst.map_or_else(String::new, |worst| format!(", worst {worst}"));
        let own = service.headline();
        let own = if own.is_empty() { own } else { format!("; {own}") };
        format!("{} below{worst}{own}", self.hidden)
    }
}

/// It is down because of what stands above it, where the cause is told.
pub(crate) fn is_consequence(service: &ServiceView) -> bool {
    service.verdict == Verdict::Lost
        && service.reasons.iter().any(|reason| matches!(reason, Reason::LauncherLost(_)))
}

/// The worst of a service and all below it.
fn trouble(service: &ServiceView) -> Verdict {
    service.worst_below.map_or(service.verdict, |below| below.min(service.verdict))
}

/// A length of time in few cells: `0.4s`, `41s`, `4m12`, `3h11`, `2d4h`.
pub(crate) fn short(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    match seconds {
        i64::MIN..0 => "0s".to_owned(),
        0..100 => format!("{seconds}s"),
        100..3600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}", seconds / 3600, seconds % 3600 / 60),
        86_400..864_000 => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
