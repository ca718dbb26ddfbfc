//! The table's columns: title, width, order and cell of each in one place.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use tcs_fleet::{ServiceView, format_duration};

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// Symbol and word.
    Verdict,
    /// Its name, in the tree.
    Service,
    /// Where it runs.
    Host,
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
    /// That many cells.
    Fixed(u16),
    /// What its longest cell takes, between these.
    Content(u16, u16),
    /// What is left.
    Rest,
}

impl Column {
    /// From left to right.
    pub const ALL: [Self; 8] = [
        Self::Verdict,
        Self::Service,
        Self::Host,
        Self::Heard,
        Self::Beats,
        Self::Restarts,
        Self::Uptime,
        Self::Message,
    ];

    /// Those by which `s` sorts, in its order.
    pub const SORTED: [Self; 6] =
        [Self::Verdict, Self::Service, Self::Host, Self::Heard, Self::Restarts, Self::Uptime];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Verdict => "VERDICT",
            Self::Service => "SERVICE",
            Self::Host => "HOST",
            Self::Heard => "HEARD",
            Self::Beats => "BEATS",
            Self::Restarts => "RST",
            Self::Uptime => "UP",
            Self::Message => "MESSAGE",
        }
    }

    /// Its room.
    pub const fn width(self) -> Width {
        match self {
            Self::Verdict => Width::Fixed(14),
            Self::Service => Width::Content(16, 44),
            Self::Host => Width::Content(4, 12),
            Self::Heard => Width::Fixed(6),
            Self::Beats => Width::Fixed(10),
            Self::Restarts => Width::Fixed(5),
            Self::Uptime => Width::Fixed(7),
            Self::Message => Width::Rest,
        }
    }

    /// From how many cells of the table on it is shown.
    pub const fn from_width(self) -> u16 {
        match self {
            Self::Verdict | Self::Service => 0,
            Self::Message => 48,
            // what is wrong is read in the message: it comes before these
            Self::Heard => 88,
            Self::Restarts => 100,
            Self::Host => 120,
            Self::Beats => 128,
            Self::Uptime => 140,
        }
    }

    /// Whether its cells stand at the right.
    pub const fn right(self) -> bool {
        matches!(self, Self::Heard | Self::Restarts | Self::Uptime)
    }

    /// Whether services sorted by it stand in their tree.
    pub const fn in_tree(self) -> bool {
        matches!(self, Self::Verdict | Self::Service)
    }

    /// The plain text of its cell; empty for those that are drawn otherwise.
    pub fn text(self, service: &ServiceView, now: DateTime<Utc>) -> String {
        match self {
            Self::Verdict => match service.attempt {
                Some(attempt) => {
                    format!("restart {}", attempt.to_string().trim_matches(['(', ')']))
                }
                None => service.verdict.to_string(),
            },
            Self::Service => service.id.to_string(),
            Self::Host => service.short_host().unwrap_or_default().to_owned(),
            Self::Heard => service.heartbeat_age(now).map(short).unwrap_or_default(),
            Self::Restarts => match service.restarts {
                0 => String::new(),
                n => format!("↻{n}"),
            },
            Self::Uptime => service.uptime(now).map(short).unwrap_or_default(),
            Self::Message => service.headline(),
            Self::Beats => String::new(),
        }
    }

    /// Which of two services stands first; what wants attention does.
    pub fn order(self, a: &ServiceView, b: &ServiceView) -> Ordering {
        match self {
            Self::Verdict => trouble(a).cmp(&trouble(b)),
            Self::Service | Self::Beats | Self::Message => Ordering::Equal,
            Self::Host => a.host.is_none().cmp(&b.host.is_none()).then_with(|| a.host.cmp(&b.host)),
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

/// The worst of a service and all below it.
fn trouble(service: &ServiceView) -> tcs_fleet::Verdict {
    service.worst_below.map_or(service.verdict, |below| below.min(service.verdict))
}

/// A length of time in few cells: `0.4s`, `41s`, `4m12`, `3h11`, `2d4h`.
pub fn short(span: chrono::TimeDelta) -> String {
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

/// `4 min 12 s ago`.
pub fn ago(span: chrono::TimeDelta) -> String {
    format!("{} ago", format_duration(span.max(chrono::TimeDelta::zero())))
}
